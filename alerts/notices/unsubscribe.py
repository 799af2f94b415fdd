"""Links at the foot of e-mails: who has one turns off just what that e-mail was, without logging in (RFC 8058).

A link is signed, names a membership and a kind, and holds for as long as the e-mail lies about. It opens nothing.
"""

from __future__ import annotations

import msgspec
from django.core import signing
from django.urls import reverse

from accounts.models import Membership
from alerts.catalogue import KINDS
from alerts.models import Preference, Rhythm, Timing, Way
from core.emails import absolute
from core.tenancy import organization_scope, unscoped

_SALT = "alerts.unsubscribe"
# Instead of a kind: the digest.
DIGEST = "digest"


class Subscription(msgspec.Struct, frozen=True):
    """What a link speaks of. `kind` is DIGEST or a kind of the catalogue."""

    member: Membership
    kind: str

    @property
    def words(self) -> str:
        return "digests" if self.kind == DIGEST else f"“{KINDS[self.kind].title}”"

    @property
    def is_on(self) -> bool:
        """Whether there is still something to turn off."""
        with organization_scope(self.member.organization_id):
            if self.kind == DIGEST:
                return Timing.objects.filter(member=self.member, rhythm__in=(Rhythm.DAILY, Rhythm.WEEKLY)).exists()
            return not Preference.objects.filter(
                member=self.member, kind=self.kind, way=Way.EMAIL, is_on=False
            ).exists()


def link_of(member: Membership, kind: str) -> str:
    token = signing.dumps([member.pk, kind], salt=_SALT)
    return absolute(reverse("alerts:unsubscribe", args=[token]))


def read_token(token: str) -> Subscription | None:
    """None for what is none of our links, or speaks of what is no more."""
    try:
        member_id, kind = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    if kind != DIGEST and kind not in KINDS:
        return None
    with unscoped("a link in an e-mail says whose it is"):
        member = Membership.objects.filter(pk=member_id).select_related("organization", "user").first()
    return None if member is None else Subscription(member, kind)


def turn_off(subscription: Subscription) -> None:
    """No e-mail of the kind; instead of digests, what is urgent alone. The same again changes nothing."""
    member = subscription.member
    with organization_scope(member.organization_id):
        if subscription.kind == DIGEST:
            Timing.objects.filter(member=member).update(rhythm=Rhythm.URGENT)
        else:
            Preference.objects.update_or_create(
                member=member,
                kind=subscription.kind,
                way=Way.EMAIL,
                defaults={"organization_id": member.organization_id, "is_on": False},
            )

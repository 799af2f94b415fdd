"""What a member has been told: counted, listed, read."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from accounts.models import Membership
from alerts.models import Notice
from alerts.signals import inbox_changed


def unread_count(member: Membership) -> int:
    """Needs the organization's scope, as everything here."""
    return Notice.objects.filter(member=member, read_at=None).count()


class Standing(msgspec.Struct, frozen=True):
    """How much is unread, and the newest there is: what an open page watches. `newest` is 0 where there is nothing."""

    unread: int
    newest: int


def standing_of(member: Membership) -> Standing:
    newest = Notice.objects.filter(member=member).order_by("-pk").values_list("pk", flat=True).first()
    return Standing(unread_count(member), newest or 0)


def notices_of(member: Membership, *, is_unread: bool = False, kinds: Iterable[str] = ()) -> QuerySet[Notice]:
    """The newest first. Of all kinds unless some are named."""
    rows: QuerySet[Notice] = Notice.objects.filter(member=member).select_related("fact").order_by("-pk")
    if is_unread:
        rows = rows.filter(read_at=None)
    names = list(kinds)
    return rows.filter(kind__in=names) if names else rows


def mark_read(member: Membership, notices: Iterable[int] | None = None) -> int:
    """Those named, or all. Returns how many were unread."""
    rows = Notice.objects.filter(member=member, read_at=None)
    changed = (rows if notices is None else rows.filter(pk__in=list(notices))).update(read_at=now())
    return _changed(member, changed)


def mark_unread(member: Membership, notice: int) -> int:
    changed = Notice.objects.filter(member=member, pk=notice).exclude(read_at=None).update(read_at=None)
    return _changed(member, changed)


def announce(organization_id: int, user_ids: Iterable[int]) -> None:
    """Let open pages of these people know, once it is committed."""
    ids = sorted(set(user_ids))
    if ids:
        transaction.on_commit(
            lambda: inbox_changed.send(Notice, organization_id=organization_id, user_ids=ids), robust=True
        )


def _changed(member: Membership, number: int) -> int:
    if number:
        announce(member.organization_id, [member.user_id])
    return number

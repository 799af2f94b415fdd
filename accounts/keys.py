"""API keys: made, rotated, revoked, and recognized.

A secret is `tl_` and 40 characters of base 62 (238 bits), so a plain SHA-256 of it is as good as a slow hash:
there is nothing to guess. It is found by its first 12 characters and compared by hash in constant time.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import APIKey, Membership, Organization, Project, Scope
from accounts.organizations import validated
from core.errors import ApiError
from core.facts import Fact, moment, tell
from core.tenancy import unscoped

SECRET_START = "tl_"  # noqa: S105  (what every secret begins with, none itself)
SECRET_LENGTH = 40
PREFIX_LENGTH = 12
# `last_used_at` is for people: to the minute is enough, and spares a write per request.
LAST_USED_PRECISION = timedelta(minutes=1)
DEFAULT_OVERLAP = timedelta(days=1)
LONGEST_OVERLAP = timedelta(days=30)
LATEST_EXPIRY = datetime(2999, 12, 31, tzinfo=UTC)
# What a member may give to a key of their own: reading would show them everybody's usage.
OWN_KEY_SCOPES = frozenset({Scope.USAGE_WRITE, Scope.GATEWAY})

_ALPHABET = string.digits + string.ascii_letters
_LIMITS = ("requests_per_minute", "tokens_per_minute")
_CREATED = ("name", "prefix", "scopes", "project", "member", *_LIMITS, "expires_at")


class KeyGrant(msgspec.Struct, frozen=True):
    """What a recognized key may do, and for whom it acts."""

    organization_id: int
    key_id: int
    prefix: str
    scopes: frozenset[str]
    project_id: int | None
    member_id: int | None
    rpm: int | None
    tpm: int | None

    def allows(self, scope: Scope | str) -> bool:
        """`admin` includes every other scope."""
        return str(scope) in self.scopes or str(Scope.ADMIN) in self.scopes


class EndedKeyError(ApiError):
    """The whole secret of a key that does not work any more was sent: somebody still uses it."""

    def __init__(self, ended: ApiError, key: APIKey) -> None:
        super().__init__(ended.status, ended.code, ended.message)
        self.organization_id: int = key.organization_id
        self.key_id: int = key.pk


# ── Secrets ──


def new_secret() -> str:
    return SECRET_START + "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def prefix_of(secret: str) -> str:
    return secret[:PREFIX_LENGTH]


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def is_secret_of(secret: str, digest: str) -> bool:
    return hmac.compare_digest(digest_of(secret), digest)


# ── Recognizing ──


def authenticate(secret: str) -> KeyGrant:
    """The grant behind a secret. Raises ApiError 401: invalid_api_key, or EndedKeyError."""
    with unscoped("a key says which organization's it is"):
        key = APIKey.objects.filter(prefix=prefix_of(secret)).first() if looks_like_secret(secret) else None
        if key is None or not is_secret_of(secret, key.digest):
            raise ApiError(401, "invalid_api_key", "This API key is not one of ours.")
        try:
            refuse_ended(key.revoked_at, key.expires_at)
        except ApiError as ended:
            raise EndedKeyError(ended, key) from None
        _touch(key)
    return grant_of(key)


def looks_like_secret(text: str) -> bool:
    return text.startswith(SECRET_START) and len(text) == len(SECRET_START) + SECRET_LENGTH and text.isascii()


def refuse_ended(revoked_at: datetime | None, expires_at: datetime | None) -> None:
    """Only who knows the whole secret learns why it does not work any more."""
    if revoked_at is not None:
        raise ApiError(401, "revoked_api_key", "This API key has been revoked.")
    if expires_at is not None and expires_at <= now():
        raise ApiError(401, "expired_api_key", f"This API key expired at {expires_at:%Y-%m-%dT%H:%M:%SZ}.")


def grant_of(key: APIKey) -> KeyGrant:
    return KeyGrant(
        organization_id=key.organization_id,
        key_id=key.pk,
        prefix=key.prefix,
        scopes=frozenset(key.scopes),
        project_id=key.project_id,
        member_id=key.member_id,
        rpm=key.requests_per_minute,
        tpm=key.tokens_per_minute,
    )


def _touch(key: APIKey) -> None:
    moment = now()
    due = Q(last_used_at=None) | Q(last_used_at__lt=moment - LAST_USED_PRECISION)
    if key.last_used_at is None or key.last_used_at < moment - LAST_USED_PRECISION:
        APIKey.objects.filter(due, pk=key.pk).update(last_used_at=moment)


# ── Making and ending ──


def create_key(
    organization: Organization,
    name: str,
    scopes: Iterable[str],
    *,
    by: Actor,
    project: Project | None = None,
    member: Membership | None = None,
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    replaces: APIKey | None = None,
) -> tuple[APIKey, str]:
    """A new key and its secret, which nothing can show again. Needs the organization's scope."""
    secret = new_secret()
    key = APIKey(
        organization=organization,
        name=name.strip(),
        prefix=prefix_of(secret),
        digest=digest_of(secret),
        scopes=_checked_scopes(scopes),
        project=project,
        member=member,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        created_by=by.user,
        expires_at=_in_the_future(expires_at),
    )
    validated(key, exclude=("organization", "project", "member", "created_by"))
    with transaction.atomic():
        if member is not None:
            # Waits for a removal under way, which could not see this key and would leave it working.
            _refuse_departed(Membership.objects.select_for_update(of=["self"]).get(pk=member.pk))
        key.save(force_insert=True)
        audit.record(by, "key.create", key, audit.creation(key, _CREATED))
        _tell_created(key, replaces, by)
    return key, secret


def update_key(key: APIKey, values: Mapping[str, Any], *, by: Actor) -> list[str]:
    """Change name, scopes, project, limits or expiry of a key that still works."""
    locked = _working(key)
    values = dict(values)
    if "scopes" in values:
        values["scopes"] = _checked_scopes(values["scopes"])
    if "expires_at" in values and values["expires_at"] != key.expires_at:
        values["expires_at"] = _in_the_future(values["expires_at"])
    draft = copy.copy(locked)
    for name, value in values.items():
        setattr(draft, name, value)
    validated(draft, exclude=("organization", "project", "member", "created_by", "replaced_by", "digest", "prefix"))
    with transaction.atomic():
        changed = audit.change(by, "key.update", locked, values)
    key.refresh_from_db()
    return changed


def rotate_key(key: APIKey, *, by: Actor, overlap: timedelta = DEFAULT_OVERLAP) -> tuple[APIKey, str]:
    """A successor with the same powers. The old key works for `overlap` longer, so that nothing stands still."""
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ApiError(422, "invalid_parameter", "The overlap lies between 0 seconds and 30 days.", param="overlap")
    with transaction.atomic():
        old = _working(key)
        if old.replaced_by_id is not None:
            raise ApiError(409, "key_already_rotated", "This key has a successor already. Rotate that one.")
        lifetime = None if old.expires_at is None else min(now() + (old.expires_at - old.created_at), LATEST_EXPIRY)
        successor, secret = create_key(
            old.organization,
            old.name,
            old.scopes,
            by=by,
            project=old.project,
            member=old.member,
            expires_at=lifetime,
            requests_per_minute=old.requests_per_minute,
            tokens_per_minute=old.tokens_per_minute,
            replaces=old,
        )
        end = now() + overlap
        audit.change(
            by,
            "key.rotate",
            old,
            {"replaced_by": successor, "expires_at": min(end, old.expires_at) if old.expires_at else end},
        )
    key.refresh_from_db()
    return successor, secret


def revoke_key(key: APIKey, *, by: Actor) -> None:
    """Calls with this key stop at once; what it has used stays in every report. Revoking twice changes nothing."""
    with transaction.atomic():
        locked = APIKey.objects.select_for_update().get(pk=key.pk)
        if locked.revoked_at is None:
            audit.change(by, "key.revoke", locked, {"revoked_at": now()})
        key.revoked_at = locked.revoked_at


def active_keys() -> QuerySet[APIKey]:
    """Keys that work now."""
    return APIKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now()), revoked_at=None)


def _tell_created(key: APIKey, replaces: APIKey | None, by: Actor) -> None:
    tell(
        Fact(
            "key.created",
            key.organization_id,
            key=f"key:{key.pk}",
            people=(key.member.user_id,) if key.member else (),
            data={
                "page": reverse("accounts:keys", args=[key.organization.slug]),
                "name": key.name,
                "prefix": key.prefix,
                "scopes": list(key.scopes),
                "project": key.project.slug if key.project else None,
                "member": key.member.user.email if key.member else None,
                "created_by": by.label,
                "expires_at": moment(key.expires_at) if key.expires_at else None,
                "replaces": replaces.prefix if replaces else None,
            },
        )
    )


def _working(key: APIKey) -> APIKey:
    locked: APIKey = APIKey.objects.select_for_update().get(pk=key.pk)
    if locked.revoked_at is not None:
        raise ApiError(409, "key_revoked", "This key has been revoked and cannot change any more.")
    if locked.expires_at is not None and locked.expires_at <= now():
        raise ApiError(409, "key_expired", "This key has expired and cannot change any more.")
    return locked


def _refuse_departed(member: Membership) -> None:
    if member.ended_at is not None:
        raise ApiError(409, "membership_ended", "Its member has left the organization.", param="member")


def _checked_scopes(scopes: Iterable[str]) -> list[str]:
    given = {str(scope) for scope in scopes}
    unknown = given - set(Scope.values)
    if unknown:
        raise ApiError(
            422,
            "invalid_parameter",
            f"Unknown scope {min(unknown)}. There are {', '.join(Scope.values)}.",
            param="scopes",
        )
    if not given:
        raise ApiError(422, "invalid_parameter", "A key needs at least one scope.", param="scopes")
    return [scope for scope in Scope.values if scope in given]


def _in_the_future(moment: datetime | None) -> datetime | None:
    if moment is not None and moment <= now():
        raise ApiError(422, "invalid_parameter", "The expiry lies in the past.", param="expires_at")
    if moment is not None and moment > LATEST_EXPIRY:
        raise ApiError(422, "invalid_parameter", "The expiry lies a thousand years ahead.", param="expires_at")
    return moment

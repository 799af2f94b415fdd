"""API keys: made, rotated, revoked, and recognized.

A secret is `tl_` and 40 characters of base 62 (238 bits), so a plain SHA-256 of it is as good as a slow hash:
there is nothing to guess. It is found by its first 12 characters and compared by hash in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import APIKey, Membership, Organization, Project, Scope
from core.errors import ApiError
from core.tenancy import unscoped

SECRET_START = "tl_"  # noqa: S105
SECRET_LENGTH = 40
PREFIX_LENGTH = 12
# A key's `last_used_at` is for people; to the minute is enough, and spares a write per request.
LAST_USED_PRECISION = timedelta(minutes=1)
DEFAULT_OVERLAP = timedelta(days=1)
LONGEST_OVERLAP = timedelta(days=30)

_ALPHABET = string.digits + string.ascii_letters


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


def new_secret() -> str:
    return SECRET_START + "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def prefix_of(secret: str) -> str:
    return secret[:PREFIX_LENGTH]


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

"""The audit log: who did what, when, from where.

Every change that a domain function of this app makes leaves a row, written in the change's own transaction, so
neither exists without the other.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import models
from django.http import HttpRequest

from accounts.models import (
    APIKey,
    AuditEntry,
    Department,
    Invitation,
    Membership,
    Organization,
    Project,
    Role,
    Team,
    User,
)

Changes = Mapping[str, tuple[Any, Any]]
T = TypeVar("T", bound=models.Model)

# What the log calls the things it speaks of.
TARGETS: dict[type[models.Model], str] = {
    Organization: "organization",
    Membership: "member",
    Invitation: "invitation",
    Department: "department",
    Team: "team",
    Project: "project",
    APIKey: "api_key",
}


@dataclass(frozen=True)
class Actor:
    """Whoever makes a change: a person at a page, a program with a key, or a command. `role` bounds what they may."""

    label: str
    role: Role
    user: User | None = None
    ip_address: str | None = None
    request_id: str = ""

    @classmethod
    def of_command(cls, name: str) -> Actor:
        return cls(label=f"command {name}", role=Role.OWNER)

    @classmethod
    def of_person(cls, user: User, request: HttpRequest, role: Role = Role.MEMBER) -> Actor:
        return cls(user.email, role, user, ip_address_of(request), getattr(request, "id", ""))

    @classmethod
    def of_key(cls, prefix: str, request: HttpRequest) -> Actor:
        """A key with the scope `admin` may what an admin may; ownership stays with people."""
        return cls(f"key {prefix}", Role.ADMIN, None, ip_address_of(request), getattr(request, "id", ""))


def ip_address_of(request: HttpRequest) -> str | None:
    """The peer's address. The server in front of Django resolves forwarded headers, because it knows its proxies."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def record(
    actor: Actor, action: str, target: models.Model, changes: Changes | None = None, *, label: str | None = None
) -> AuditEntry:
    """Write down that `actor` did `action` ("key.revoke") to `target`; needs the organization's scope."""
    entry = _entry(actor, action, target, changes, label)
    entry.save(force_insert=True)
    return entry


def record_of_all(actor: Actor, action: str, told: Iterable[tuple[models.Model, Changes]], *, label: str) -> None:
    """One act that concerns many targets, each with its changes, in one statement; needs a scope of all of theirs."""
    AuditEntry.objects.bulk_create(_entry(actor, action, target, changes, label) for target, changes in told)


def _entry(actor: Actor, action: str, target: models.Model, changes: Changes | None, label: str | None) -> AuditEntry:
    organization_id = target.pk if isinstance(target, Organization) else target.organization_id  # type: ignore[attr-defined]
    return AuditEntry(
        organization_id=organization_id,
        actor=actor.user,
        actor_label=actor.label[:254],
        action=action,
        target=TARGETS.get(type(target), type(target).__name__.lower()),
        target_id=str(target.pk),
        target_label=(str(target) if label is None else label)[:254],
        changes={name: [_plain(before), _plain(after)] for name, (before, after) in (changes or {}).items()},
        ip_address=actor.ip_address,
        request_id=actor.request_id[:64],
    )


def change(
    actor: Actor,
    action: str,
    target: T,
    values: Mapping[str, Any],
    said: Callable[[T], Mapping[str, Any]] | None = None,
) -> list[str]:
    """Set `values` on `target`, save what differs, and record it before and after. Returns the changed fields.

    `said` gives the words of fields whose values say nothing by themselves: an amount without its unit, an id.
    """
    changes = {name: (before, after) for name, after in values.items() if (before := getattr(target, name)) != after}
    if not changes:
        return []
    words_before = said(target) if said else {}
    for name, (_, after) in changes.items():
        setattr(target, name, after)
    target.save(update_fields=list(changes))
    words_after = said(target) if said else {}
    record(
        actor,
        action,
        target,
        {
            name: (words_before.get(name, before), words_after.get(name, after))
            for name, (before, after) in changes.items()
        },
    )
    return list(changes)


def creation(target: models.Model, fields: Iterable[str]) -> dict[str, tuple[Any, Any]]:
    """The changes of something new: from nothing to what it is."""
    return {name: (None, value) for name in fields if (value := getattr(target, name)) not in (None, "", [])}


def _plain(value: Any) -> Any:
    if isinstance(value, models.Model):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return sorted(str(item) for item in value)
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)

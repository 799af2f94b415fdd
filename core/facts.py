"""What people and programs want to be told, said by the code that makes it true, in the transaction that does.

    with organization_scope(organization.pk):
        …
        facts.tell(Fact("invoice.finalized", organization.pk, key=f"invoice:{invoice.pk}", data={…}))

Whoever is to be told (alerts/) keeps it in the same transaction: what happened is never untold, and what was rolled
back is never told. docs/decisions/0013-facts.md
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from core.signals import fact_happened


@dataclass(frozen=True)
class Fact:
    """One thing that happened in one organization.

    `kind` is a name of the catalogue (alerts/catalogue.py), `key` says which one it is of its kind: the same again is
    the same fact, and is told once. `data` is what programs are told (JSON values; money as decimal strings). `scope`
    and `ref` say whom it is about, by the dimensions' names: ("team", 7); ("organization", 0) is all of it. `people`
    are ids of users who are told whatever their role is.
    """

    kind: str
    organization_id: int
    key: str
    data: Mapping[str, Any]
    scope: str = "organization"
    ref: int = 0
    people: tuple[int, ...] = ()
    happened_at: dt.datetime = field(default_factory=now)


def moment(at: dt.datetime) -> str:
    """An instant as `data` has it: RFC 3339 in UTC, to the second."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def tell(fact: Fact) -> None:
    """Needs a transaction, in the organization's scope. Raises RuntimeError outside of one."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(f"{fact.kind} was told outside of the transaction that makes it true")
    fact_happened.send(Fact, fact=fact)

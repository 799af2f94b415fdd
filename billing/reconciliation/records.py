"""Uploads that are kept: once each, summed by day and model, compared whenever they are looked at."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import msgspec

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from billing.models import ProviderStatement
from billing.reconciliation.compare import Comparison, reconcile
from billing.reconciliation.reading import read_statement
from billing.reconciliation.statement import Stated, Statement


def keep(organization: Organization, name: str, content: bytes, tolerance: Decimal, *, by: Actor) -> ProviderStatement:
    """Read an export and keep what it says. The same file again is the same row, with the new tolerance.

    Needs the organization's scope. Raises StatementError.
    """
    statement = read_statement(content)
    digest = hashlib.sha256(content).hexdigest()
    row, is_new = ProviderStatement.objects.update_or_create(
        organization=organization,
        digest=digest,
        defaults={"tolerance": tolerance},
        create_defaults={
            "file_name": name[:200],
            "provider": statement.provider,
            "first_day": statement.first_day,
            "last_day": statement.last_day,
            "tolerance": tolerance,
            "rows": [msgspec.to_builtins(one) for one in _summed(statement)],
            "created_by_label": by.label[:254],
        },
    )
    if is_new:
        audit.record(by, "provider_statement.upload", row, {"provider": (None, row.provider)}, label=row.file_name)
    kept: ProviderStatement = row
    return kept


def comparison_of(row: ProviderStatement) -> Comparison:
    """As the ledger is now. Needs the organization's scope."""
    stated = tuple(msgspec.convert(one, Stated) for one in row.rows)
    return reconcile(row.organization_id, Statement(row.provider, stated), Fraction(row.tolerance) / 100)


def _summed(statement: Statement) -> list[Stated]:
    """A row for each span and model: keys, projects and kinds of tokens of an export do not matter here."""
    sums: dict[tuple[dt.datetime, dt.datetime, str], list[Stated]] = defaultdict(list)
    for row in statement.rows:
        sums[row.start, row.end, row.model].append(row)
    return [
        Stated(
            start,
            end,
            model,
            requests=_sum([row.requests for row in rows]),
            tokens=_sum([row.tokens for row in rows]),
            cost_nanos=_sum([row.cost_nanos for row in rows]),
        )
        for (start, end, model), rows in sorted(sums.items())
    ]


def _sum(parts: list[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None

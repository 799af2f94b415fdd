"""Roll-ups made anew, and what that changed: nothing, when they were right."""

# ruff: noqa: S608  (SQL is put together from our own names of columns)
from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from django.db import connection, transaction

from accounts.models import Organization
from core.tenancy import organization_scope
from metering.models import Ledger
from metering.store.rates import RATE_KEYS
from metering.store.rebuild import ENTER_ALONE, rebuild
from metering.store.rollups import FILE_KEYS, FILE_VALUES, LATENCY_KEYS, LATENCY_MEASURES, MEASURES
from metering.store.steps import Execute, Steps, run

# What makes a row of each roll-up the same row.
ROLLUP_KEYS = {
    "metering_usage_hour": ("hour", "project_id", "api_key_id", "model_id", "provider_id"),
    "metering_usage_day": ("kind", "day", "ref"),
    "metering_usage_chat": ("month", "chat"),
    "metering_usage_file": FILE_KEYS,
    "metering_usage_latency": LATENCY_KEYS,
    "metering_usage_rate": RATE_KEYS,
}
ROLLUP_VALUES = {
    "metering_usage_hour": tuple(MEASURES),
    "metering_usage_day": tuple(MEASURES),
    "metering_usage_chat": ("first_at", "last_at", "title", "titled_at", *MEASURES),
    "metering_usage_file": FILE_VALUES,
    "metering_usage_latency": LATENCY_MEASURES,
    "metering_usage_rate": tuple(MEASURES),
}


class TableChange(msgspec.Struct, frozen=True):
    """Rows of one roll-up that a rebuild added, removed and changed."""

    table: str
    rows: int
    added: int
    removed: int
    changed: int

    @property
    def total(self) -> int:
        return self.added + self.removed + self.changed


class Rebuilt(msgspec.Struct, frozen=True):
    zone: str
    months: int
    tables: tuple[TableChange, ...]

    @property
    def changed_rows(self) -> int:
        return sum(table.total for table in self.tables)


def rebuild_rollups(organization_id: int) -> Rebuilt:
    """Make the roll-ups anew, in the organization's zone. Its writers wait meanwhile; readers see the old ones."""
    with organization_scope(organization_id):
        zone = Organization.objects.values_list("timezone", flat=True).get(pk=organization_id)
        return _run(_rebuilt(organization_id, ZoneInfo(zone)))


def follow_zone(organization_id: int) -> Rebuilt | None:
    """Rebuild when the roll-ups are kept in another zone than the organization's; None when they are not."""
    with organization_scope(organization_id):
        zone = Organization.objects.values_list("timezone", flat=True).filter(pk=organization_id).first()
        kept = Ledger.objects.values_list("timezone", flat=True).filter(organization_id=organization_id).first()
    if zone is None or kept is None or zone == kept:
        return None
    return rebuild_rollups(organization_id)


def _run(steps: Steps[Rebuilt]) -> Rebuilt:
    with transaction.atomic():
        connection.ensure_connection()
        raw: psycopg.Connection[object] = connection.connection
        return run(raw, steps)


def _rebuilt(organization_id: int, zone: ZoneInfo) -> Steps[Rebuilt]:
    # Alone before looking, so that what is compared is what is replaced.
    yield Execute(ENTER_ALONE, (f"{{{organization_id}}}", organization_id))
    for table in ROLLUP_KEYS:
        yield Execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS before_{table} (LIKE {table}) ON COMMIT DELETE ROWS")
        yield Execute(f"DELETE FROM before_{table}")
        yield Execute(
            f"INSERT INTO before_{table} SELECT * FROM {table} WHERE organization_id = %s", (organization_id,)
        )
    months = yield from rebuild(organization_id, zone)
    tables = []
    for table in ROLLUP_KEYS:
        ((rows, added, removed, changed),) = yield Execute(_difference(table), (organization_id,))
        tables.append(TableChange(table, rows, added, removed, changed))
        yield Execute(f"DELETE FROM before_{table}")
    return Rebuilt(zone.key, months, tuple(tables))


def _difference(table: str) -> str:
    keys, values = ROLLUP_KEYS[table], ROLLUP_VALUES[table]
    first = keys[0]
    old = ", ".join(f"b.{name}" for name in values)
    new = ", ".join(f"a.{name}" for name in values)
    return f"""
SELECT count(a.{first}), count(*) FILTER (WHERE b.{first} IS NULL), count(*) FILTER (WHERE a.{first} IS NULL),
    count(*) FILTER (WHERE a.{first} IS NOT NULL AND b.{first} IS NOT NULL AND ({old}) IS DISTINCT FROM ({new}))
FROM (SELECT * FROM {table} WHERE organization_id = %s) AS a FULL JOIN before_{table} AS b USING ({", ".join(keys)})
"""


def organizations_with_usage() -> Iterator[tuple[int, str]]:
    """(id, slug) of every organization that has a ledger. Needs a scope of all."""
    yield from (
        Organization.objects.filter(pk__in=Ledger.objects.values("organization_id"))
        .order_by("slug")
        .values_list("id", "slug")
    )

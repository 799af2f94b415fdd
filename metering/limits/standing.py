"""How limits stand: what is used of them, and what is held for calls under way.

One statement says both, of one snapshot. Settling a call stores its event, adds to the roll-ups and removes its hold
in one transaction, so a snapshot has the call as held or as used: never as neither, never as both. That is why this
is not asked through metering/query, which reads the same tables the same way (a test holds the two together).
"""

# ruff: noqa: S608  (SQL is put together from our own names of columns)
from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from django.db import connection

from core.tenancy import organization_scope
from metering.dimensions import HOUR_DIMENSIONS, Kind
from metering.events import BUCKETS
from metering.limits.rules import SELECTORS, Rule, Rules, Span
from metering.models import Ledger, LimitUnit
from metering.store.postgres import StaleClockError
from metering.store.rollups import TOTAL_TOKENS
from metering.store.steps import Execute, Steps, run

_ENTITIES = [name for name, dimension in SELECTORS.items() if not dimension.is_label]
_TEXTS = [name for name, dimension in SELECTORS.items() if dimension.is_label]
_HOUR_COLUMNS = [name for name, dimension in SELECTORS.items() if dimension.name in HOUR_DIMENSIONS]
# Not a kind of the day cube: which other table has it.
_BY_HOUR, _BY_EVENT = -1, -2


# Rows that have texts, where the others have labels.
_ROWS_WITH_TEXTS = "hu"


def _matches(row: str, names: Sequence[str]) -> str:
    """Each selector is any or this row's."""
    has_texts = row in _ROWS_WITH_TEXTS
    columns = [f"{name}_id" if not has_texts and name in _TEXTS else name for name in names]
    none = ["''" if has_texts and name in _TEXTS else "0" for name in names]
    return " AND ".join(f"(l.{c} = {n} OR {row}.{c} = l.{c})" for c, n in zip(columns, none, strict=True))


def _sum(row: str, tokens: str) -> str:
    return f"sum(CASE WHEN l.is_cost THEN {row}.cost_nanos ELSE {tokens} END)"


_ROLLED_UP = " + ".join(BUCKETS)
_BRANCHES = {
    _BY_HOUR: f"""
        WHEN {_BY_HOUR} THEN (
            SELECT {_sum("r", _ROLLED_UP)} FROM metering_usage_hour r
            WHERE r.organization_id = l.organization_id AND r.hour >= l.starts_at AND r.hour < l.before
                AND {_matches("r", _HOUR_COLUMNS)})""",
    _BY_EVENT: f"""
        WHEN {_BY_EVENT} THEN (
            SELECT {_sum("e", TOTAL_TOKENS)} FROM metering_event e
            WHERE e.organization_id = l.organization_id AND e.occurred_at >= l.starts_at AND e.occurred_at < l.before
                AND e.superseded_by IS NULL AND {_matches("e", list(SELECTORS))})""",
}


@functools.cache
def _statement(others: frozenset[int]) -> str:
    """With those of the other branches that are wanted: to plan for every month of events takes milliseconds."""
    return f"""
WITH l AS MATERIALIZED (
    SELECT t.*, coalesce(t.ends_at, 'infinity') AS before,
        CASE WHEN t.model = '' THEN 0 ELSE coalesce((
            SELECT b.id FROM metering_label b
            WHERE b.organization_id = t.organization_id AND b.kind = {Kind.MODEL.value} AND b.text = t.model), -1)
        END AS model_id,
        CASE WHEN t.feature = '' THEN 0 ELSE coalesce((
            SELECT b.id FROM metering_label b
            WHERE b.organization_id = t.organization_id AND b.kind = {Kind.FEATURE.value} AND b.text = t.feature), -1)
        END AS feature_id
    FROM unnest(
        %s::int[], %s::int[], %s::boolean[], %s::smallint[], %s::date[], %s::date[], %s::timestamptz[],
        %s::timestamptz[], {", ".join("%s::int[]" for _ in _ENTITIES)}, {", ".join("%s::text[]" for _ in _TEXTS)}
    ) WITH ORDINALITY AS t (id, organization_id, is_cost, reads, starts_on, ends_on, starts_at, ends_at,
        {", ".join(_ENTITIES)}, {", ".join(_TEXTS)}, number)
)
SELECT
    (SELECT m.amount FROM metering_limit m WHERE m.id = l.id AND m.is_active),
    (SELECT g.timezone FROM metering_ledger g WHERE g.organization_id = l.organization_id),
    coalesce(CASE l.reads{"".join(_BRANCHES[source] for source in sorted(others))}
        WHEN l.reads THEN (
            -- Day by day, each by its whole key: of a dimension with many values only one is wanted.
            SELECT {_sum("d", _ROLLED_UP)} FROM metering_usage_day d
            WHERE d.organization_id = l.organization_id AND d.kind = l.reads
                AND d.day = ANY (ARRAY(
                    SELECT l.starts_on + n
                    FROM generate_series(0, least(coalesce(l.ends_on, 'infinity'), current_date + 3) - l.starts_on - 1)
                        AS n))
                AND d.ref = {" + ".join(f"l.{name}" for name in _ENTITIES)} + l.model_id + l.feature_id)
    END, 0)::bigint,
    coalesce((
        SELECT {_sum("h", "h.tokens")} FROM metering_hold h
        WHERE h.organization_id = l.organization_id AND h.released_at IS NULL
            AND h.occurred_at >= l.starts_at AND h.occurred_at < l.before AND {_matches("h", list(SELECTORS))}
    ), 0)::bigint,
    coalesce(CASE WHEN l.is_cost THEN (
        SELECT sum(u.cost_nanos) FROM metering_unpriced_call u
        WHERE u.organization_id = l.organization_id
            AND u.occurred_at >= l.starts_at AND u.occurred_at < l.before AND {_matches("u", list(SELECTORS))}
    ) END, 0)::bigint
FROM l ORDER BY l.number
"""


class Standing(msgspec.Struct, frozen=True):
    """A limit in one of its periods, in tokens or nano-dollars. `amount` None: unlimited, or no limit any more.

    `used` is what every total says. `unpriced` is what a limit in money counts beside it of calls whose price is not
    known (metering/store/unpriced.py).
    """

    rule: Rule
    span: Span
    amount: int | None
    used: int
    held: int
    unpriced: int = 0

    @property
    def counted(self) -> int:
        """What is over and counts, whatever becomes of the calls under way."""
        return self.used + self.unpriced

    @property
    def remaining(self) -> int | None:
        """What a new call may still take."""
        return None if self.amount is None else max(0, self.amount - self.counted - self.held)

    @property
    def is_exceeded(self) -> bool:
        return self.amount is not None and self.counted > self.amount


class Asked(msgspec.Struct, frozen=True):
    """A limit of an organization in one of its periods, its days being those of `zone`."""

    organization_id: int
    zone: ZoneInfo
    rule: Rule
    span: Span


def read(asked: Sequence[Asked]) -> Steps[list[Standing]]:
    """How these stand, in order, in one snapshot. Needs the organizations' scope.

    Raises StaleClockError when roll-ups are kept in another zone than the spans were cut by.
    """
    others = frozenset(source for one in asked if (source := _source(one.rule)) in _BRANCHES)
    found = yield Execute(_statement(others), _columns(asked))
    stale = {one.organization_id for one, row in zip(asked, found, strict=True) if row[1] not in (None, one.zone.key)}
    if stale:
        raise StaleClockError(stale)
    return [
        Standing(one.rule, one.span, amount, used, held, unpriced)
        for one, (amount, _, used, held, unpriced) in zip(asked, found, strict=True)
    ]


def _columns(asked: Sequence[Asked]) -> list[list[Any]]:
    rows = [
        (one.rule.id, one.organization_id, one.rule.unit == LimitUnit.COST, _source(one.rule),
         one.span.starts_on, one.span.ends_on, one.span.starts_at, one.span.ends_at, *one.rule.selection)
        for one in asked
    ]  # fmt: skip
    return [list(column) for column in zip(*rows, strict=True)]


def _source(rule: Rule) -> int:
    """The day cube's kind, where one has the answer; else the smallest table that has it."""
    used = [dimension for value, dimension in zip(rule.selection, SELECTORS.values(), strict=True) if value]
    if len(used) <= 1:
        return used[0].kind if used else Kind.TOTAL
    return _BY_HOUR if all(dimension.name in HOUR_DIMENSIONS for dimension in used) else _BY_EVENT


def asked_now(organization_id: int, rules: Sequence[Rule], zone: ZoneInfo, at: dt.datetime) -> list[Asked]:
    """Those of the rules that count at a moment."""
    return [Asked(organization_id, zone, rule, span) for rule in rules if (span := rule.span(at, zone)) is not None]


def of_organization(
    organization_id: int, at: dt.datetime, wanted: Callable[[Rule], bool] = lambda _: True
) -> list[Standing]:
    """How the active limits of an organization stand, unlimited ones too; on Django's connection."""
    with organization_scope(organization_id):
        rules = [rule for rule in Rules.load(organization_id).rules if wanted(rule)]
        while True:
            zone = Ledger.objects.values_list("timezone", flat=True).filter(organization_id=organization_id).first()
            asked = asked_now(organization_id, rules, ZoneInfo(zone or "UTC"), at)
            if not asked:
                return []
            connection.ensure_connection()
            raw: psycopg.Connection[Any] = connection.connection
            try:
                return run(raw, read(asked))
            except StaleClockError:
                continue  # it has changed since it was read

"""Usage across organizations, for who runs the installation: the one question that names no tenant.

Asked in calendar days, and each organization's days are those of its own ledger's zone: what is added up is what each
organization sees of these days itself. Read from the day cube; where two dimensions have to be told apart from the
hours, and else from the events, within each zone's own boundaries.
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection

from accounts.models import Organization
from core.periods import UTC, buckets, day_start
from core.tenancy import unscoped
from metering.dimensions import DIMENSIONS, Kind
from metering.models import Label
from metering.query.labels import NONE, SLOTS, GroupValue
from metering.query.metrics import Figures
from metering.query.plan import Source
from metering.query.run import UsageRow
from metering.query.spec import check_values, refusal
from metering.store.rollups import MEASURES

ORGANIZATION = "organization"
# Told apart by the same words in every organization. People, keys, teams and projects are an organization's own affair.
SHARED_DIMENSIONS = ("model", "provider", "endpoint", "feature", "tool", "integration", "status")
_HOUR_DIMENSIONS = frozenset({"model", "provider"})
_UTC_ZONE = ZoneInfo("UTC")

Days = Literal["day", "week", "month"]


class AcrossQuery(msgspec.Struct, frozen=True):
    """Usage of every organization on the days [first, until), by buckets of days and groups.

    `filters` maps "organization" (by slug) and SHARED_DIMENSIONS (by text, None is "without") to the values wanted.
    Raises ApiError 422 for a dimension that is no shared one, and for values that cannot be looked for.
    """

    first: dt.date
    until: dt.date
    interval: Days | None = None
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str | None, ...]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.until <= self.first:
            raise refusal("to must be after from.", "to")
        for name in (*self.group_by, *self.filters):
            if name != ORGANIZATION and name not in SHARED_DIMENSIONS:
                known = ", ".join((ORGANIZATION, *SHARED_DIMENSIONS))
                raise refusal(f"Across organizations there is no dimension {name!r}. Dimensions: {known}.", name)
        for name, values in self.filters.items():
            check_values(name, values)

    @property
    def shared(self) -> tuple[str, ...]:
        """The dimensions that have to be told apart beside the organization."""
        return tuple(name for name in SHARED_DIMENSIONS if name in self.group_by or name in self.filters)

    @property
    def buckets(self) -> list[tuple[dt.datetime, dt.datetime]]:
        """Days as their midnights in UTC; with an interval the first and the last bucket are cut to the range."""
        span = _midnight(self.first), _midnight(self.until)
        return buckets(*span, self.interval, _UTC_ZONE) if self.interval else [span]


class AcrossResult(msgspec.Struct, frozen=True):
    """Rows in order of time, the largest use of tokens first. Without groups every bucket has a row.

    `zones` has the zone that each organization's days are kept in, by its id.
    """

    query: AcrossQuery
    rows: list[UsageRow]
    totals: Figures
    source: Source
    zones: Mapping[int, str]


def run_across(query: AcrossQuery, source: Source | None = None) -> AcrossResult:
    """Answer a query; `source` says where to read instead of the coarsest table that can tell.

    Raises ApiError 422 for an organization that there is not.
    """
    with unscoped("the operator reads the usage of every organization"):
        read_from = source or _coarsest(query)
        zones = _ledgers(_wanted_organizations(query))
        found = _read(query, read_from, zones, _wanted_refs(query, list(zones))) if zones else []
        groups = _groups(query, found)
    totals = reduce(Figures.__add__, groups.values(), Figures())
    return AcrossResult(query, _rows(query, groups), totals, read_from, zones)


def _coarsest(query: AcrossQuery) -> Source:
    shared = frozenset(query.shared)
    if len(shared) <= 1:
        return Source.DAY
    return Source.HOUR if shared <= _HOUR_DIMENSIONS else Source.EVENTS


# ── Which organizations, which values ──


def _wanted_organizations(query: AcrossQuery) -> list[int] | None:
    slugs = query.filters.get(ORGANIZATION)
    if slugs is None:
        return None
    known = dict(Organization.objects.filter(slug__in=[slug for slug in slugs if slug]).values_list("slug", "pk"))
    for slug in slugs:
        if slug not in known:
            raise refusal(f"There is no organization {slug!r}.", ORGANIZATION)
    return list(known.values())


def _ledgers(wanted: list[int] | None) -> dict[int, str]:
    """Organizations with usage, and the zone each one's days are kept in."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT organization_id, timezone, set_config('jit', 'off', true), set_config('work_mem', '32MB', true)"
            " FROM metering_ledger WHERE %s::int[] IS NULL OR organization_id = ANY(%s) ORDER BY organization_id",
            [wanted, wanted],
        )
        return {organization_id: zone for organization_id, zone, *_ in cursor.fetchall()}


def _wanted_refs(query: AcrossQuery, organizations: list[int]) -> dict[str, list[int]]:
    """The references that the texts of each filter have, in whichever organization; 0 is none."""
    wanted = {}
    for name, values in query.filters.items():
        if name != ORGANIZATION:
            texts = [value for value in values if value is not None]
            labels = Label.objects.filter(organization_id__in=organizations, kind=_kind(name), text__in=texts)
            wanted[name] = [*labels.values_list("pk", flat=True), *([0] if None in values else [])]
    return wanted


def _kind(name: str) -> int:
    return int(DIMENSIONS[name].kind)


# ── The statement ──


class _Part(msgspec.Struct, frozen=True):
    """Where rows come from, as words of the statement: what numbers the bucket, and where each dimension is."""

    table: str
    bucket: str
    conditions: tuple[str, ...]
    measures: tuple[str, ...]
    columns: Mapping[str, str]
    params: dict[str, Any]


def _read(
    query: AcrossQuery, source: Source, zones: Mapping[int, str], wanted: Mapping[str, list[int]]
) -> list[tuple[Any, ...]]:
    """Rows (bucket, a text or an organization's id for each group, measures …)."""
    part = _days(query) if source is Source.DAY else _moments(query, source, set(zones.values()))
    conditions = ["r.organization_id = ANY(%(organizations)s)", *part.conditions]
    params = {"organizations": list(zones), **part.params}
    for name, refs in wanted.items():
        conditions.append(f"{part.columns[name]} = ANY(%(wanted_{name})s)")
        params[f"wanted_{name}"] = refs
    # Numbers of labels differ between organizations, their texts do not: few groups, whose sums fit into memory.
    keys, joins = [part.bucket], ""
    for i, name in enumerate(query.group_by):
        if name == ORGANIZATION:
            keys.append(part.columns[name])
        else:
            joins += f" LEFT JOIN metering_label l{i} ON l{i}.id = {part.columns[name]}"
            keys.append(f"l{i}.text")
    sums = ", ".join(f"sum({measure})::bigint" for measure in part.measures)
    sql = (
        f"SELECT {', '.join(keys)}, {sums} FROM {part.table}{joins} WHERE {' AND '.join(conditions)}"
        f" GROUP BY {', '.join(str(i + 1) for i in range(len(keys)))} HAVING sum({part.measures[0]}) <> 0"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _days(query: AcrossQuery) -> _Part:
    name = query.shared[0] if query.shared else None
    starts = [start.date() for start, _ in query.buckets]
    return _Part(
        table="metering_usage_day r",
        bucket="width_bucket(r.day, %(starts)s::date[])" if query.interval else "1",
        conditions=("r.kind = %(kind)s", "r.day >= %(first)s", "r.day < %(until)s"),
        measures=tuple(f"r.{name}" for name in MEASURES),
        columns={ORGANIZATION: "r.organization_id", **({name: "r.ref"} if name else {})},
        params={
            "kind": _kind(name) if name else int(Kind.TOTAL),
            "first": query.first,
            "until": query.until,
            "starts": starts,
        },
    )


def _moments(query: AcrossQuery, source: Source, zones: set[str]) -> _Part:
    """Hours or events between the boundaries that the days have in each zone."""
    table, moment = ("metering_usage_hour", "hour") if source is Source.HOUR else ("metering_event", "occurred_at")
    edges = [
        (zone, number, day_start(start.date(), ZoneInfo(zone)), day_start(end.date(), ZoneInfo(zone)))
        for zone in sorted(zones)
        for number, (start, end) in enumerate(query.buckets, start=1)
    ]
    names, numbers, starts, ends = zip(*edges, strict=True)
    is_event = source is Source.EVENTS
    return _Part(
        table=(
            "unnest(%(zones)s::text[], %(numbers)s::int[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])"
            " AS b (timezone, number, starts_at, ends_at)"
            f" JOIN metering_ledger z USING (timezone) JOIN {table} r ON r.organization_id = z.organization_id"
            f" AND r.{moment} >= b.starts_at AND r.{moment} < b.ends_at"
        ),
        bucket="b.number",
        # All zones' days together, so that other months' partitions are left alone.
        conditions=(
            f"r.{moment} >= %(first)s",
            f"r.{moment} < %(until)s",
            *(("r.superseded_by IS NULL",) if is_event else ()),
        ),
        measures=tuple(MEASURES.values()) if is_event else tuple(f"r.{name}" for name in MEASURES),
        columns={ORGANIZATION: "r.organization_id"} | {n: f"r.{DIMENSIONS[n].column}" for n in SHARED_DIMENSIONS},
        params={
            "zones": list(names),
            "numbers": list(numbers),
            "starts": list(starts),
            "ends": list(ends),
            "first": min(starts),
            "until": max(ends),
        },
    )


# ── The answer ──


def _groups(query: AcrossQuery, found: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], Figures]:
    """Figures by (bucket, each group's value)."""
    depth = 1 + len(query.group_by)
    named = [
        _organizations({row[place] for row in found})
        if name == ORGANIZATION
        else _texts(name, {r[place] for r in found})
        for place, name in enumerate(query.group_by, start=1)
    ]
    return {
        (row[0], *(names[value] for names, value in zip(named, row[1:depth], strict=True))): Figures(*row[depth:])
        for row in found
    }


def _organizations(ids: set[int]) -> dict[Any, GroupValue]:
    rows = Organization.objects.filter(pk__in=ids).values_list("pk", "slug", "name")
    return {pk: GroupValue(pk, slug, name, (pk - 1) % SLOTS + 1) for pk, slug, name in rows}


def _texts(name: str, texts: set[str | None]) -> dict[Any, GroupValue]:
    """A text has the color that it got where it was first used."""
    known = [text for text in texts if text is not None]
    labels = Label.objects.filter(kind=_kind(name), text__in=known).order_by("text", "pk").distinct("text")
    named: dict[Any, GroupValue] = {
        text: GroupValue(text, text, text, slot) for text, slot in labels.values_list("text", "slot")
    }
    return named | {None: NONE}


def _rows(query: AcrossQuery, groups: Mapping[tuple[Any, ...], Figures]) -> list[UsageRow]:
    spans = query.buckets
    if not query.group_by:
        return [
            UsageRow(start, end, {}, groups.get((number,), Figures()))
            for number, (start, end) in enumerate(spans, start=1)
        ]
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], -item[1].total_tokens, str(item[0][1:])))
    return [
        UsageRow(start, end, dict(zip(query.group_by, values, strict=True)), figures)
        for (bucket, *values), figures in ordered
        for start, end in (spans[bucket - 1],)
    ]


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=UTC)

"""What the report of a month is made of: every figure a question to the ledger, all of them about the same usage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from accounts.models import Organization, Team
from core.periods import day_start, local_day
from metering.query.labels import GroupValue
from metering.query.latest import first_event_at
from metering.query.metrics import Figures
from metering.query.plan import EVERY_SOURCE, Source
from metering.query.ranges import Span
from metering.query.rate_parts import PRICE
from metering.query.run import UsageResult, run
from metering.query.spec import FilterValue, UsageQuery
from reports.monthly.month import Month

# With this month; the same month of the year before is the first of them.
TREND_MONTHS = 13
# More than that would be read for minutes to be counted once more.
MOST_RECOUNTED = 1_000_000
# What a forecast is told of the past.
HISTORY_DAYS = 400
PAIR = ("project", "model")
# Models that are told day by day.
TOLD_BY_DAY = 6
_ATTEMPTS = 3


class MovedError(RuntimeError):
    """The usage kept changing while it was read."""


class Whose(msgspec.Struct, frozen=True):
    """Whose usage is told: the organization's, or one team's."""

    organization: Organization
    team: Team | None = None

    @property
    def label(self) -> str:
        return self.team.name if self.team else self.organization.name

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What the report tells apart. A team's says nothing of others."""
        if self.team:
            return ("model", "member", "project", "feature")
        return ("model", "team", "department", "project", "feature")

    def run(self, span: Span, month: Month, *, sources: frozenset[Source] = EVERY_SOURCE, **other: Any) -> UsageResult:
        filters: dict[str, tuple[FilterValue, ...]] = {**other.pop("filters", {})}
        if self.team:
            filters["team"] = (self.team.pk,)
        return run(
            UsageQuery(self.organization.pk, span.start, span.end, month.zone, filters=filters, **other), sources
        )


class Compared(msgspec.Struct, frozen=True):
    """What one value of a dimension, or of several, had in the month, the month before, and the same one a year ago."""

    groups: tuple[GroupValue, ...]
    now: Figures
    before: Figures
    year_before: Figures


class MonthFigures(msgspec.Struct, frozen=True, kw_only=True):
    """`months` end with this one; one before the ledger began is None, and so is what is compared with it.

    `by` has every value a dimension had in any of the three months, the most expensive of this one first. `history` has
    the cost of every day up to the month's end, from `history_from` on. `recounted` are the totals counted from the
    events themselves; None where those are too many.
    """

    whose: Whose
    month: Month
    totals: Figures
    months: list[tuple[Month, Figures | None]]
    days: list[tuple[dt.date, Figures]]
    history_from: dt.date
    history: list[int]
    by: dict[str, list[Compared]]
    pairs: list[Compared]
    # Nano-dollars of the largest models, by reference and day.
    model_days: dict[tuple[FilterValue, dt.date], int]
    # The versions of prices that calls were rated at.
    prices: list[int]
    recounted: Figures | None
    began_on: dt.date | None

    @property
    def before(self) -> Figures | None:
        """The month before. None, too, where the ledger began within it: a part says nothing about a whole."""
        return self._whole(-2)

    @property
    def year_before(self) -> Figures | None:
        """The same month of the year before, or None as for the month before."""
        return self._whole(0)

    @property
    def is_part(self) -> bool:
        """Whether the ledger began within the month itself."""
        return is_part(self.began_on, self.month)

    def _whole(self, at: int) -> Figures | None:
        month, figures = self.months[at]
        return None if is_part(self.began_on, month) else figures

    @property
    def change(self) -> int | None:
        """Nano-dollars more than the month before."""
        return None if self.before is None else self.totals.known_cost_nanos - self.before.known_cost_nanos


def read(whose: Whose, month: Month) -> MonthFigures:
    """Needs the organization's scope. What changes while it is read is read again. Raises MovedError."""
    for _ in range(_ATTEMPTS):
        found, agree = _read(whose, month)
        if agree:
            return found
    raise MovedError(f"{whose.label}, {month.name}")


def _read(whose: Whose, month: Month) -> tuple[MonthFigures, bool]:
    """The figures, and whether the same totals stood behind each of the questions."""
    zone = month.zone
    began_at = first_event_at(whose.organization.pk)
    began_on = local_day(began_at, zone) if began_at else None
    trend = [month.back(back) for back in reversed(range(TREND_MONTHS))]
    by_month = {
        local_day(row.start, zone): row.figures
        for row in whose.run(Span(trend[0].starts_at, month.ends_at), month, interval="month").rows
    }
    totals = by_month.get(month.first, Figures())
    days = whose.run(month.span, month, interval="day")
    history_from = max(month.end - dt.timedelta(days=HISTORY_DAYS), began_on or month.first)
    history = whose.run(Span(day_start(min(history_from, month.last), zone), month.ends_at), month, interval="day")
    wanted = (month, month.before, month.year_before)
    agree = days.totals == totals
    by: dict[tuple[str, ...], list[Compared]] = {}
    for dimensions in (*((name,) for name in whose.dimensions), PAIR):
        results = [whose.run(one.span, month, group_by=dimensions) for one in wanted]
        agree = agree and all(
            result.totals == by_month.get(one.first, Figures()) for result, one in zip(results, wanted, strict=True)
        )
        by[dimensions] = _compared(dimensions, results)
    largest = [one for one in by["model",] if one.now.known_cost_nanos][:TOLD_BY_DAY]
    model_days = _by_day(whose, month, largest)
    for one in largest:
        of_days = sum(model_days.get((one.groups[0].ref, local_day(row.start, zone)), 0) for row in days.rows)
        agree = agree and of_days == one.now.known_cost_nanos
    prices = whose.run(month.span, month, group_by=(PRICE,)).rows
    recounted = None
    if totals.requests <= MOST_RECOUNTED:
        recounted = whose.run(month.span, month, sources=frozenset({Source.EVENTS})).totals
    found = MonthFigures(
        whose=whose,
        month=month,
        totals=totals,
        months=[(one, by_month.get(one.first, Figures()) if _has_begun(began_on, one) else None) for one in trend],
        days=[(local_day(row.start, zone), row.figures) for row in days.rows],
        history_from=history_from,
        history=[row.figures.known_cost_nanos for row in history.rows],
        by={names[0]: rows for names, rows in by.items() if names != PAIR},
        pairs=by[PAIR],
        model_days=model_days,
        prices=[int(row.group[PRICE].ref or 0) for row in prices if row.group[PRICE].ref],
        recounted=recounted,
        began_on=began_on,
    )
    return found, agree


def is_part(began_on: dt.date | None, month: Month) -> bool:
    """Whether the ledger begins within the month, so that it has only a part of it."""
    return began_on is not None and month.first < began_on < month.end


def _has_begun(began_on: dt.date | None, month: Month) -> bool:
    """A month before the ledger's first event is not one without usage."""
    return began_on is not None and began_on < month.end


def _by_day(whose: Whose, month: Month, models: Sequence[Compared]) -> dict[tuple[FilterValue, dt.date], int]:
    refs = tuple(one.groups[0].ref for one in models)
    if not refs:
        return {}
    rows = whose.run(month.span, month, interval="day", group_by=("model",), filters={"model": refs}).rows
    return {(row.group["model"].ref, local_day(row.start, month.zone)): row.figures.known_cost_nanos for row in rows}


def _compared(dimensions: Sequence[str], results: Sequence[UsageResult]) -> list[Compared]:
    groups: dict[tuple[Any, ...], tuple[GroupValue, ...]] = {}
    figures: list[dict[tuple[Any, ...], Figures]] = []
    for result in results:
        of_one: dict[tuple[Any, ...], Figures] = {}
        for row in result.rows:
            values = tuple(row.group[name] for name in dimensions)
            key = tuple(value.ref for value in values)
            groups.setdefault(key, values)
            of_one[key] = row.figures
        figures.append(of_one)
    nothing = Figures()
    now, before, year_before = figures
    rows = [
        Compared(
            values,
            now.get(key, nothing),
            before.get(key, nothing),
            year_before.get(key, nothing),
        )
        for key, values in groups.items()
    ]
    rows.sort(key=lambda one: (-one.now.known_cost_nanos, -one.now.total_tokens, -one.before.known_cost_nanos))
    return rows

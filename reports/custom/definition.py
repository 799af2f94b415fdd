"""What a report asks: range, dimensions, metrics, interval, comparison, order, limit, read from an address.

It is a page with the filter bar like every other, so what it shows is what its reader may see, and its state is the
address. `query` is what is asked of usage; the same question gives the same figures everywhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from django.http import QueryDict

from accounts.models import Membership, Organization
from accounts.permissions import Right
from core.errors import ApiError
from core.periods import INTERVALS, UTC, Interval
from metering.query.latest import first_event_at
from metering.query.metrics import METRICS
from metering.query.ranges import LABELS, Span, year_before
from metering.query.spec import LARGEST_LIMIT, MOST_GROUPS, UsageQuery, check_dimension
from reports.breakdown import heading
from reports.filters import NOTHING, dimension_label, dimension_words, period_words, rights_for
from reports.page import UsagePage

# What an address takes beside range and filters; `report` names the saved one that is looked at.
PARAMETERS = ("by", "metric", "every", "against", "sort", "limit", "report")
AGAINST = {"before": "The period before", "year": "A year before"}
AGAINST_WORDS = {"before": "the period before", "year": "a year before"}
TIME = "start"
CHANGE = "_change"
DEFAULT_RANGE = "last-month"
DEFAULT_METRICS = ("requests", "total_tokens", "cost_usd")
EVERY_WORDS: dict[str, str] = {
    "15m": "quarter of an hour", "hour": "hour", "day": "day", "week": "week", "month": "month"
}  # fmt: skip


class Definition(msgspec.Struct, frozen=True):
    """`sort` is "start", a metric, the change of one ("cost_usd_change") or a dimension, with "-" before to descend.

    `before` is compared with, where something is: empty when nothing of it has passed yet. All of it is told from the
    time `at`. `since` is of the first event, where something is compared: what was before that is unknown.
    """

    query: UsageQuery
    metrics: tuple[str, ...]
    against: str
    before: Span | None
    sort: str
    limit: int | None
    at: dt.datetime
    since: dt.datetime | None

    @property
    def every(self) -> Interval | None:
        return self.query.interval


class Report(UsagePage, frozen=True, kw_only=True):
    url_name: ClassVar[str] = "reports:report-new"
    template: ClassVar[str] = "reports/report_new.html"
    title: ClassVar[str] = "New report"
    default_range: ClassVar[str] = DEFAULT_RANGE
    parameters: ClassVar[tuple[str, ...]] = PARAMETERS

    def context(self) -> dict[str, Any]:
        """What the builder's template needs."""
        from reports.custom.builder import context

        return context(self)

    @property
    def by(self) -> tuple[str, ...]:
        return tuple(name for name in self.chosen.parameters.get("by", ()) if name)

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(name for name in self.chosen.parameters.get("metric", ()) if name) or DEFAULT_METRICS

    @property
    def every(self) -> Interval | None:
        given = self.chosen.given("every")
        return None if given in (None, NOTHING) else cast("Interval", given)

    @property
    def against(self) -> str:
        given = self.chosen.given("against")
        return "" if given in (None, NOTHING) else given

    def definition(self) -> Definition:
        """Raises ApiError: 422 for what makes no sense, 403 for what the role may not look through."""
        self._check_dimensions()
        self._check_metrics()
        if self.every is not None and self.every not in INTERVALS:
            raise _refusal(f"every is one of {', '.join(INTERVALS)}, {NOTHING}.", "every")
        if self.against not in ("", *AGAINST):
            raise _refusal(f"against is one of {', '.join(AGAINST)}, {NOTHING}.", "against")
        sort = self._sort()
        return Definition(
            query=self.chosen.query(
                self.organization.pk,
                interval=self.every,
                group_by=self.by,
                metrics=self.metrics,
                order_by=self._order(sort),
            ),
            metrics=self.metrics,
            against=self.against,
            before=self._before(),
            sort=sort,
            limit=self._limit(),
            at=self.now,
            since=first_event_at(self.organization.pk) if self.against else None,
        )

    def _check_dimensions(self) -> None:
        for name in self.by:
            check_dimension(name, "by")
            if name in self.hidden:
                raise ApiError(403, "forbidden", f"Your role does not see {dimension_label(name)}.", param="by")
        if len(self.by) > MOST_GROUPS:
            raise _refusal(f"A report has at most {MOST_GROUPS} dimensions.", "by")
        if len(set(self.by)) < len(self.by):
            raise _refusal("A dimension is chosen twice.", "by")

    def _check_metrics(self) -> None:
        for name in self.metrics:
            if name not in METRICS:
                raise _refusal(f"There is no metric {name!r}. Metrics: {', '.join(METRICS)}.", "metric")
        if len(set(self.metrics)) < len(self.metrics):
            raise _refusal("A metric is chosen twice.", "metric")

    def _sort(self) -> str:
        """What is asked for; else by time, or the most of the first metric first."""
        given = self.chosen.given("sort")
        if given is None:
            return TIME if self.every else f"-{self.metrics[0]}"
        if given.removeprefix("-") not in self.sorts:
            known = ", ".join(self.sorts)
            raise _refusal(f"This report has no such order. It goes by {known}, with - before one to descend.", "sort")
        return given

    @property
    def sorts(self) -> dict[str, str]:
        """What the rows can be in the order of, with its words."""
        time = {TIME: "Time"} if self.every else {}
        changes = {f"{name}{CHANGE}": f"Change of {heading(name).lower()}" for name in self.metrics}
        return {
            **time,
            **{name: heading(name) for name in self.metrics},
            **(changes if self.against else {}),
            **{name: dimension_label(name) for name in self.by},
        }

    def _order(self, sort: str) -> tuple[str, ...]:
        """As the store has it; by changes it is done afterwards (table.py). By time rows are as in an export."""
        name = sort.removeprefix("-")
        if name == TIME:
            return (sort, *self.by)
        return (sort,) if name in METRICS or name in self.by else ()

    def _limit(self) -> int | None:
        given = self.chosen.given("limit")
        if given is None:
            return None
        if not (given.isascii() and given.isdecimal() and 1 <= int(given[:9]) <= LARGEST_LIMIT):
            raise _refusal(f"A report shows at most 1 to {LARGEST_LIMIT:,} rows, or all of them.", "limit")
        return int(given)

    def _before(self) -> Span | None:
        if self.against == "before":
            return self.chosen.range.previous_so_far
        return year_before(self.chosen.range, self.chosen.zone, self.now) if self.against else None

    # ── Who may read what comes of it ──

    @property
    def rights(self) -> tuple[Right, ...]:
        """What a reader needs beside the right to see the usage."""
        return rights_for((*self.by, *self.chosen.filters))

    @property
    def scope(self) -> tuple[str, int]:
        """Whose usage it is, for comparing: of the organization, of a team, of one member."""
        if self.team is not None:
            return "team", self.team.pk
        return ("member", self.membership.pk) if self.fixed else ("organization", 0)

    # ── In words ──

    @property
    def period(self) -> str:
        span = self.chosen.range
        return period_words(Span(span.start, min(span.end, max(self.now, span.start))), self.chosen.zone)

    def said(self) -> str:
        return said(self.chosen.parameters)

    def filter_words(self) -> list[str]:
        """ "Model is gpt-4o, o3", by the names that people know."""
        labels = self._filter_labels()
        return [f"{dimension_label(name)} is {labels[name]}" for name in self.chosen.filters if name not in self.fixed]


def report_of(membership: Membership, parameters: Mapping[str, Sequence[str]], at: dt.datetime) -> Report:
    """A report as this person sees it at that time. Needs the organization's scope. Raises ApiError as `Report.of`."""
    organization: Organization = membership.organization
    return Report.seen_by(organization, membership, QueryDict(urlencode(dict(parameters), doseq=True)), at)


def said(parameters: Mapping[str, Sequence[str]], hidden: Collection[str] = ()) -> str:
    """A definition in one line: "Last month · by team and model · cost, requests · every week".

    Which values of `hidden` dimensions it is filtered by is not told.
    """

    def first(name: str) -> str:
        return next(iter(parameters.get(name, ())), "")

    key = first("range") or ("custom" if first("from") else DEFAULT_RANGE)
    by = [dimension_words(name) for name in parameters.get("by", ()) if name]
    metrics = [heading(name) for name in parameters.get("metric", ()) if name] or [heading(m) for m in DEFAULT_METRICS]
    filters = [
        f"{dimension_label(name)} {'not shown' if name in hidden else ', '.join(values)}"
        for name, values in parameters.items()
        if name not in (*PARAMETERS, "range", "from", "to", "interval", "compare", "measure", "view")
    ]
    parts = [
        _days(first("from"), first("to")) if key == "custom" else LABELS.get(key, key),
        f"by {', '.join(by)}" if by else "",
        ", ".join(metrics),
        f"every {EVERY_WORDS.get(first('every'), first('every'))}" if first("every") not in ("", NOTHING) else "",
        f"against {AGAINST_WORDS.get(first('against'), '')}" if first("against") not in ("", NOTHING) else "",
        *filters,
    ]
    return " · ".join(part for part in parts if part)


def _days(start: str, end: str) -> str:
    """ "3 Sep – 16 Oct 2026", of what an address has; as it stands there where that is no range."""
    try:
        first, behind = (dt.datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    except ValueError:
        return f"{start[:10]} to {end[:10]}"
    return period_words(Span(first, behind), ZoneInfo("UTC"))


def kept_of(given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """What is kept of an address: what the report has, without what is empty or says nothing."""
    kept = {name: [value for value in values if value] for name, values in sorted(given.items())}
    is_named = kept.get("range", ["custom"]) != ["custom"]
    idle = {"report", *(("from", "to") if is_named else ())}
    idle |= {name for name in ("every", "against") if kept.get(name) == [NOTHING]}
    return {name: values for name, values in kept.items() if values and name not in idle}


def _refusal(message: str, param: str) -> ApiError:
    return ApiError(422, "invalid_parameter", message, param=param)

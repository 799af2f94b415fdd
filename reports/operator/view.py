"""What the operator's pages with the filter bar begin with: which days, of which organizations, and the bar itself.

The address is the state, as on an organization's pages; `organization` is one more filter. Days are whole calendar
days, each in its organization's own zone, so ranges are cut to days and there is no interval below one.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any, ClassVar, Self, cast
from zoneinfo import ZoneInfo

import msgspec
from django.http import HttpRequest
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Organization
from core.periods import UTC, day_start
from core.tenancy import unscoped
from metering.query.across import ORGANIZATION, SHARED_DIMENSIONS, AcrossQuery, AcrossResult, Days, run_across
from metering.query.ranges import Range, Span
from metering.query.spec import FilterValue
from reports.filters import NOTHING, Chosen, dimension_label, period_words

DIMENSIONS = (ORGANIZATION, *SHARED_DIMENSIONS)
OVERVIEW = "operator:overview"
_DAY = dt.timedelta(days=1)
_UTC = ZoneInfo("UTC")


class AcrossView(msgspec.Struct, frozen=True, kw_only=True):
    """One page across organizations. Days are drawn as the days of UTC, which no organization need share."""

    measures: ClassVar[tuple[str, ...]] = ("cost", "tokens", "requests", "input_cost", "output_cost")

    chosen: Chosen
    now: dt.datetime

    @classmethod
    def of(cls, request: HttpRequest, path: str | None = None) -> Self:
        """Raises ApiError 422 for an address that makes no sense."""
        at = now()
        read = Chosen.read(
            path or reverse(OVERVIEW),
            request.GET,
            _UTC,
            at,
            default_range="month",
            measures=cls.measures,
            own=(ORGANIZATION,),
        )
        days = _whole_days(read.range, at)
        slugs = read.parameters.get(ORGANIZATION, ())
        first: dict[str, tuple[FilterValue, ...]] = {ORGANIZATION: tuple(slugs)} if slugs else {}
        chosen = msgspec.structs.replace(
            read, range=days, interval=days.interval(read.interval), filters=first | read.filters
        )
        view = cls(chosen=chosen, now=at)
        view.query()
        return view

    # ── Asking ──

    def query(self, span: Span | None = None, **other: Any) -> AcrossQuery:
        days = span or Span(self.chosen.range.start, self.chosen.range.end)
        filters = cast("dict[str, tuple[str | None, ...]]", self.chosen.filters)
        return AcrossQuery(days.start.date(), days.end.date(), **{"filters": filters, **other})

    def run(self, span: Span | None = None, **other: Any) -> AcrossResult:
        return run_across(self.query(span, **other))

    @property
    def interval(self) -> Days:
        """Ranges of whole days have no shorter one."""
        return cast("Days", self.chosen.interval)

    def elapsed_days(self, zone: ZoneInfo) -> Fraction:
        """How much of the range's days has passed in a zone, at least a minute of it."""
        start, end = (day_start(at.date(), zone) for at in (self.chosen.range.start, self.chosen.range.end))
        passed = max(min(self.now, end) - start, dt.timedelta(minutes=1))
        return Fraction(passed // dt.timedelta(seconds=1), 86_400)

    # ── The bar ──

    def head(self, title: str) -> dict[str, Any]:
        chosen = self.chosen
        span = Span(chosen.range.start, min(chosen.range.end, max(self.now, chosen.range.start + _DAY)))
        bar = chosen.bar(self._labels())
        bar["compare"] |= {
            "label": period_words(chosen.range.previous_so_far, _UTC) if chosen.is_compared else "nothing"
        }
        bar["add_filter"] = [
            {"label": dimension_label(name), "url": chosen.url(reverse("operator:by", args=[name]))}
            for name in DIMENSIONS
            if name not in chosen.filters
        ]
        return bar | {
            "title": title,
            "subtitle": f"{period_words(span, _UTC)} · every day in its organization’s own time zone",
            "export_url": chosen.url(reverse("operator:series")),
        }

    def _labels(self) -> dict[str, str]:
        labels = {
            name: ", ".join(NOTHING if value is None else str(value) for value in values)
            for name, values in self.chosen.filters.items()
        }
        slugs = self.chosen.filters.get(ORGANIZATION)
        if slugs:
            with unscoped("the operator's filter names organizations"):
                names = Organization.objects.filter(slug__in=slugs).order_by("name").values_list("name", flat=True)
                labels[ORGANIZATION] = ", ".join(names)
        return labels


def _whole_days(chosen: Range, at: dt.datetime) -> Range:
    """The range from the midnight before its start to the one after its end, and as many days before for comparison."""
    first, until = chosen.start.date(), (chosen.end - dt.timedelta(microseconds=1)).date() + _DAY
    start, end = day_start(first, _UTC), day_start(until, _UTC)
    before = chosen.previous if chosen.key == "month" else Span(start - (end - start), start)
    # Where the range is not over, only as many days of the one before as have begun of this one.
    begun = max(min(end, day_start(at.date() + _DAY, _UTC)), start) - start
    intervals = tuple(one for one in chosen.intervals if one in ("day", "week", "month")) or ("day",)
    return msgspec.structs.replace(
        chosen,
        start=start.astimezone(UTC),
        end=end.astimezone(UTC),
        intervals=intervals,
        previous=before,
        previous_so_far=Span(before.start, min(before.end, before.start + begun)),
    )

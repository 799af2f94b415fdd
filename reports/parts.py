"""Parts that several pages have: the cards of a range's figures, and its lines over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from django.urls import reverse

from metering.limits.standing import Standing
from metering.query.metrics import Figures
from metering.query.ranges import Span
from metering.query.run import UsageResult, UsageRow
from reports.bounds import pace_marks
from reports.filters import Chosen, period_words
from reports.page import UsagePage
from reports.series import MEASURES, Measure, chart, interval_words, table
from reports.unusual import find_unusual, listed, rings

Card = tuple[str, str, Callable[[Figures], int | None]]


class Measured(Protocol):
    """A view whose chart shows one of several measures."""

    @property
    def measures(self) -> tuple[str, ...]: ...

    @property
    def chosen(self) -> Chosen: ...


def _average(figures: Figures) -> int | None:
    return None if figures.average_tokens is None else round(figures.average_tokens)


CARDS: tuple[Card, ...] = (
    ("Total tokens", "tokens", lambda f: f.total_tokens),
    ("Prompt tokens", "tokens", lambda f: f.prompt_tokens),
    ("Completion tokens", "tokens", lambda f: f.completion_tokens),
    ("Requests", "count", lambda f: f.requests),
    ("Tokens per request", "count", _average),
)
COST: Card = ("Cost", "money", lambda f: f.cost_nanos)


def summary(
    page: UsagePage, series: UsageResult, before: Figures | None, cards: tuple[Card, ...] = CARDS
) -> list[dict[str, Any]]:
    past = [row for row in series.rows if row.start <= page.now]
    return [
        {
            "label": label,
            "value": value(series.totals),
            "format": kind,
            "previous": value(before) if before else None,
            "spark": [value(row.figures) or 0 for row in past],
            "is_finished": page.chosen.range.end <= page.now,
        }
        for label, kind, value in cards
    ]


def measure_options(page: Measured) -> dict[str, Any]:
    """What a chart's tools choose between: measures, and with a cost its types."""
    chosen = page.chosen
    current = MEASURES[chosen.measure]
    family = current.within or current.key
    known = [MEASURES[key] for key in page.measures]

    def option(measure: Measure, label: str, *, is_current: bool) -> dict[str, Any]:
        return {"label": label, "url": chosen.url(measure=measure.key), "is_current": is_current}

    types = [measure for measure in known if measure.within == family]
    return {
        "options": [option(one, one.label, is_current=one.key == family) for one in known if not one.within],
        "types": [
            option(MEASURES[family], "All", is_current=current.key == family),
            *(option(one, one.label, is_current=one is current) for one in types),
        ]
        if types
        else [],
        "type_label": current.label if current.within else "All",
    }


def earlier_rows(page: UsagePage) -> list[UsageRow]:
    """The past, for the dashed line of a chart."""
    chosen = page.chosen
    if not chosen.is_compared:
        return []
    return page.run(chosen.range.laid_under(chosen.interval, chosen.zone), interval=chosen.interval).rows


def time_series(
    page: UsagePage, series: UsageResult, earlier: Sequence[UsageRow], limits: Sequence[Standing]
) -> dict[str, Any]:
    """`limits` whose daily pace is drawn where it is of what the chart shows."""
    chosen, measure = page.chosen, MEASURES[page.chosen.measure]
    past = [row for row in series.rows if row.start <= page.now]
    hrefs = [chosen.bucket_url(row.start, row.end) for row in past]
    highest = max((measure.lines[0].value(row.figures) for row in past), default=0)
    total = measure.text(measure.lines[0].value(series.totals))
    found = find_unusual(page)
    drawn = chart(measure, chosen.interval, chosen.zone, page.now, series.rows, earlier)
    drawn["series"] += rings(measure, series.rows, found)
    period = period_words(Span(chosen.range.start, chosen.range.end), chosen.zone)
    return {
        "id": "usage",
        "title": f"{measure.label} by {interval_words(chosen.interval)}",
        "description": f"{measure.label} of {period}: {total}",
        "measure": measure_options(page),
        "json": drawn | {"marks": pace_marks(page, limits, measure, highest), "hrefs": hrefs},
        "unusual": listed(found, page.organization.slug),
        "table": table(measure, chosen.interval, chosen.zone, past, series.totals, hrefs),
        "csv_url": chosen.carried_to(reverse("reports:series", args=[page.organization.slug]), measure=chosen.measure),
    }

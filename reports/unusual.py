"""What was unusual in the range of a chart: rings on its lines, and where each alert says more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from django.urls import reverse

from alerts.models import Alert
from alerts.rules.reach import Reach
from metering.query.run import UsageRow
from reports.page import UsagePage
from reports.series import Measure

CONDITION = "anomaly"
# Findings of figures; facts such as a new model are no matter of a line's height.
_OF_FIGURES = ("unusual:", "unusual_hours:")
MOST = 3


class Unusual(msgspec.Struct, frozen=True):
    start: dt.datetime
    end: dt.datetime
    text: str
    url: str


def find_unusual(page: UsagePage) -> list[Unusual]:
    """The alerts of the range that the person sees, the newest first. Of a narrowed view nobody knows which are its."""
    chosen = page.chosen
    if page.fixed or chosen.filters:
        return []
    span = chosen.range
    alerts = Reach.of(page.membership).seen(
        Alert.objects.filter(
            condition=CONDITION, period_starts_at__lt=span.end, period_ends_at__gt=span.start
        ).order_by("-period_starts_at", "-pk")
    )
    return [
        Unusual(
            alert.period_starts_at,
            alert.period_ends_at,
            str(alert.explanation["text"]),
            reverse("alerts:alert", args=[page.organization.slug, alert.pk]),
        )
        for alert in alerts
        if alert.about.startswith(_OF_FIGURES)
    ]


def rings(measure: Measure, rows: Sequence[UsageRow], found: Sequence[Unusual]) -> list[dict[str, Any]]:
    """A series for the chart (docs/guides/design.md), if there is anything to ring."""
    line = measure.lines[0]
    in_bucket = [[one for one in found if one.start < row.end and one.end > row.start] for row in rows]
    if not any(in_bucket):
        return []
    return [
        {
            "label": "Unusual",
            "role": "anomaly",
            "is_said": True,
            "data": [
                measure.drawn(line.value(row.figures)) if hits else None
                for row, hits in zip(rows, in_bucket, strict=True)
            ],
            "texts": [_words(hits) if hits else None for hits in in_bucket],
        }
    ]


def listed(found: Sequence[Unusual], slug: str) -> dict[str, Any] | None:
    """For the foot of the chart: the newest, and how many more there are."""
    if not found:
        return None
    every = f"{reverse('alerts:alerts', args=[slug])}?state=all&condition={CONDITION}"
    return {"rows": found[:MOST], "more": max(len(found) - MOST, 0), "url": every}


def _words(hits: Sequence[Unusual]) -> str:
    return "see below" if len(hits) == 1 else f"{len(hits)} times, see below"

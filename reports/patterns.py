"""The patterns page: which hours are busy, how regular that is, and how each period stands against the one before."""

from __future__ import annotations

import calendar
import datetime as dt
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core.csvcells import csv_text
from metering.query.latest import latest_event_at
from metering.query.patterns import Cell, Change, Rhythm, find_changes, find_rhythm
from metering.query.spec import UsageQuery
from reports.filters import period_words
from reports.model_analytics import FORMATS
from reports.page import UsagePage, sees_usage, show
from reports.parts import measure_options
from reports.series import MEASURES, Measure
from reports.usage_pages import usage_tabs

# As heat.css has them.
LEVELS = 6
TOP = 5
DAYS = tuple(calendar.day_name)
LABELS = {"week": "This week", "month": "This month", "year": "This year"}
# Strength from which on a rhythm is called so.
STRONG, MODERATE = Fraction(6, 10), Fraction(3, 10)


class Patterns(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:patterns"
    template = "reports/patterns.html"
    title = "Patterns"
    measures = ("tokens", "cost", "requests")

    @property
    def measure(self) -> Measure:
        return MEASURES[self.chosen.measure]

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/patterns.html says what it needs."""
        csv_url = self.chosen.url(reverse("reports:patterns-file", args=[self.organization.slug]))
        page = self.head() | {
            "interval": {"options": []},
            "compare": {},
            "export_url": csv_url,
            "tabs": usage_tabs(self),
        }
        totals = self.run().totals
        if totals.requests == 0:
            return {"page": page | {"has_data": False}}
        found = self.rhythm()
        return {
            "page": page | {"has_data": True},
            "changes": [self._change(one) for one in find_changes(self._query(), self.now)],
            "heat": self._heat(found, csv_url),
            "busy": self._busy(found),
            "strength": _strength(found),
            "proof": self.proof(totals, latest_event_at(self.organization.pk)),
        }

    def _query(self) -> UsageQuery:
        return self.chosen.query(self.organization.pk)

    def rhythm(self) -> Rhythm:
        return find_rhythm(self._query(), self.measure.lines[0].value, self.now)

    # ── Like for like ──

    def _change(self, change: Change) -> dict[str, Any]:
        zone, before = self.chosen.zone, change.before_figures
        against = period_words(change.before, zone)
        if before is None and change.since:
            against = f"{against}, of which not all is known: usage begins on {change.since.astimezone(zone):%-d %b %Y}"
        return {
            "label": LABELS[change.period],
            "value": self.measure.of(change.now_figures),
            "format": FORMATS[self.measure.unit],
            "previous": None if before is None else self.measure.of(before),
            "words": f"{period_words(change.span, zone)}, against {against}",
        }

    # ── Hours of the week ──

    def _heat(self, found: Rhythm, csv_url: str) -> dict[str, Any]:
        highest = max((cell.average or Fraction(0) for cell in found.cells), default=Fraction(0))
        return {
            "title": f"{self.measure.label} by weekday and hour",
            "measure": measure_options(self)["options"],
            "unit": "on average in an hour",
            "highest": self._text(highest),
            "levels": range(LEVELS + 1),
            "hours": [f"{hour:02d}" for hour in range(24)],
            "rows": [
                {
                    "label": DAYS[weekday],
                    "short": DAYS[weekday][:3],
                    "cells": [self._cell(cell, highest) for cell in found.cells if cell.weekday == weekday],
                }
                for weekday in range(7)
            ],
            "table": {
                "columns": ["Hour", *DAYS],
                "rows": [
                    {
                        "label": f"{hour:02d}:00",
                        "cells": [self._text(cell.average) for cell in found.cells if cell.hour == hour],
                    }
                    for hour in range(24)
                ],
            },
            "csv_url": csv_url,
            "is_cut": found.span.start > self.chosen.range.start,
            "since": period_words(found.span, self.chosen.zone),
        }

    def _cell(self, cell: Cell, highest: Fraction) -> dict[str, Any]:
        average = cell.average
        level = 0 if not highest or average is None else math.ceil(LEVELS * average / highest)
        times = f"over {cell.hours} hour{'s' if cell.hours != 1 else ''}"
        said = f"{self._text(average)} {times}" if average is not None else "not reached yet"
        return {
            "level": level if average is not None else None,
            "text": self._text(average),
            "words": f"{DAYS[cell.weekday]} {cell.hour:02d}:00 to {(cell.hour + 1) % 24:02d}:00: {said}",
        }

    def _text(self, value: Fraction | None) -> str:
        return "—" if value is None else self.measure.text(round(value))

    # ── The busiest ──

    def _busy(self, found: Rhythm) -> list[dict[str, Any]]:
        cells = sorted((cell for cell in found.cells if cell.total), key=lambda cell: -(cell.average or Fraction(0)))[
            :TOP
        ]
        weekdays = [(DAYS[day], found.of_weekday(day)) for day in range(7)]
        dates = sorted(((day, total) for day, total in found.days.items() if total), key=lambda one: (-one[1], one[0]))
        return [
            {
                "title": "Busiest hours",
                "note": "average in an hour",
                "rows": [
                    {"label": f"{DAYS[cell.weekday]} {cell.hour:02d}:00", "text": self._text(cell.average)}
                    for cell in cells
                ],
            },
            {
                "title": "Weekdays",
                "note": "average a day",
                "rows": [
                    {"label": label, "text": self._text(average)}
                    for label, average in sorted(weekdays, key=lambda one: -(one[1] or Fraction(-1)))
                ],
            },
            {
                "title": "Busiest days",
                "note": "total of the day",
                "rows": [
                    {
                        "label": f"{day:%a} {day.day} {day:%b %Y}",
                        "text": self.measure.text(total),
                        "url": self._day_url(day),
                    }
                    for day, total in dates[:TOP]
                ],
            },
        ]

    def _day_url(self, day: dt.date) -> str:
        """The day's hours on the usage page."""
        path = reverse("reports:usage", args=[self.organization.slug])
        after = day + dt.timedelta(days=1)
        own = {"range": "custom", "from": f"{day}T00:00", "to": f"{after}T00:00", "interval": "hour"}
        return self.chosen.carried_to(path, **own, measure=self.chosen.measure)


def _strength(found: Rhythm) -> dict[str, Any]:
    strength = found.strength
    if strength is None:
        return {"share": None, "word": "Not known yet", "text": "It takes two weeks that differ from hour to hour."}
    word = "Strong" if strength >= STRONG else "Moderate" if strength >= MODERATE else "Weak"
    text = {
        "Strong": "Most of what differs from hour to hour follows the week.",
        "Moderate": "The week explains part of what differs from hour to hour.",
        "Weak": "Usage hardly follows the week; its hours differ for other reasons.",
    }[word]
    return {"share": strength, "word": word, "text": text}


@require_GET
@sees_usage
def patterns(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Patterns)


@require_GET
@sees_usage
def patterns_file(request: OrganizationRequest) -> HttpResponseBase:
    """The 168 hours of the week, exact."""
    page = Patterns.of(request)
    measure = page.measure
    rows: list[Sequence[Any]] = [("weekday", "hour", measure.metric, "hours", f"average_{measure.metric}")]
    for cell in page.rhythm().cells:
        average = "" if cell.average is None else measure.exact(round(cell.average))
        rows.append((DAYS[cell.weekday], cell.hour, measure.exact(cell.total), cell.hours, average))
    response = HttpResponse(csv_text(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-hours-of-the-week.csv"'
    return response

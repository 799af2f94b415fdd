"""The report as it is printed: every figure as the text that stands there; the template only places them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from core import emails
from reports.monthly import appendix, sections, summary
from reports.monthly.around import Around
from reports.monthly.figures import MonthFigures
from reports.monthly.phrases import moment_text

TITLE = "Usage and cost report"


class Stamp(msgspec.Struct, frozen=True):
    """When a report is made, which of its month's it is, and the path of the page that lists it."""

    made_at: dt.datetime
    revision: int
    path: str


def render(found: MonthFigures, around: Around, stamp: Stamp) -> bytes:
    """The PDF. Needs the organization's scope."""
    # WeasyPrint takes long to load; a process that makes no PDF need not.
    from core.pdf import render_pdf

    return render_pdf("pdf/monthly_report.html", context(found, around, stamp))


def context(found: MonthFigures, around: Around, stamp: Stamp) -> dict[str, Any]:
    """What templates/pdf/monthly_report.html places."""
    month, whose = found.month, found.whose
    made = moment_text(stamp.made_at, found)
    base = {
        "title": TITLE,
        "whose": whose.label,
        "organization": whose.organization.name,
        "team": whose.team,
        "month": month.name,
        "before_name": f"{month.before.first:%B}",
        "year_before_short": f"{month.year_before.first:%b %Y}",
        "period": f"1–{month.last.day} {month.name}, {month.zone.key}",
        "foot": f"{whose.label} · {month.name}" + (f" · Revision {stamp.revision}" if stamp.revision else ""),
        "made": made,
        "revision": stamp.revision,
        "url": emails.absolute(stamp.path),
        "is_empty": not found.totals.requests,
        "basis": appendix.basis(found, around) | {"made": made},
    }
    if not found.totals.requests:
        was_used = any(figures and figures.requests for _, figures in found.months)
        return base | {
            "lead": summary.lead_of_nothing(found),
            "trend": summary.trend(found, around) if was_used else None,
        }
    return base | {
        "lead": summary.lead(found, around),
        "cards": summary.cards(found, around),
        "trend": summary.trend(found, around),
        "ahead": summary.ahead(found, around),
        "units": summary.units(found),
        "drivers": summary.drivers(found),
        "to_do": summary.to_do(found, around),
        "days": sections.days(found),
        "sections": sections.breakdowns(found),
        "centers": None if whose.team else sections.centers(found),
        "budgets": [sections.budget_row(one) for one in around.budgets],
        "more_budgets": around.more_budgets,
        "unusual": [sections.unusual_row(one, found) for one in around.unusual],
        "more_unusual": around.more_unusual,
        "advice": [sections.advice_row(one) for one in around.advice],
        "advised_on": summary.advised_on(found, around.advice),
        "more_advice": around.more_advice,
        "buckets": appendix.buckets(found),
        "every_day": appendix.every_day(found),
    }

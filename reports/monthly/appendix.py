"""The appendix: every day, kinds of token, and what the report was computed on."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.urls import reverse

from billing.models import ClosedPeriod
from core import emails
from core import figures as words
from core.figures import share
from metering.models import PriceVersion
from reports.monthly.around import Around
from reports.monthly.figures import MonthFigures
from reports.monthly.phrases import day_text, moment_text, signed
from reports.monthly.tables import MOST_ROWS
from reports.split import BUCKET_LABELS

_BUCKETS = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "audio_input", "audio_output",
    "image_input", "image_output",
)  # fmt: skip


def buckets(found: MonthFigures) -> list[dict[str, str]]:
    totals, before = found.totals, found.before
    return [
        {
            "label": BUCKET_LABELS[name],
            "tokens": words.tokens(getattr(totals, name)),
            "share": words.percent(share(getattr(totals, name), totals.total_tokens)),
            "before": signed(words.delta(getattr(totals, name), getattr(before, name))) if before else words.UNKNOWN,
        }
        for name in _BUCKETS
        if getattr(totals, name) or (before and getattr(before, name))
    ]


def every_day(found: MonthFigures) -> list[dict[str, Any]]:
    rows, added = [], 0
    for day, figures in found.days:
        added += figures.known_cost_nanos
        rows.append(
            {
                "label": f"{day:%a} {day.day} {day:%b}",
                "is_quiet": day.weekday() >= 5,
                "cost": words.money(figures.cost_nanos),
                "is_partial": figures.is_cost_known and figures.unpriced_tokens > 0,
                "added": words.money(added),
                "tokens": words.tokens(figures.total_tokens),
                "requests": words.count(figures.requests),
                "errors": words.count(figures.errors),
            }
        )
    return rows


def basis(found: MonthFigures, around: Around) -> dict[str, Any]:
    """What it was computed on, and what proves it."""
    totals, slug = found.totals, found.whose.organization.slug
    counted = found.recounted
    difference: str | None = None
    if counted is not None:
        off = abs(counted.total_tokens - totals.total_tokens)
        difference = "0" if counted == totals else words.tokens(off or 1)
    coverage = totals.coverage
    return {
        "events": words.count(totals.requests),
        "difference": difference,
        "cost_exact": words.money_exact(totals.known_cost_nanos),
        "tokens": words.tokens(totals.total_tokens),
        "unpriced": words.percent(coverage.share(coverage.unpriced)) if totals.unpriced_requests else "",
        "unpriced_tokens": words.tokens(totals.unpriced_tokens),
        "unpriced_requests": f"{words.count(totals.unpriced_requests)} request"
        + ("" if totals.unpriced_requests == 1 else "s"),
        "estimated": words.percent(coverage.share(coverage.estimated)) if totals.estimated_tokens else "",
        "free": words.percent(coverage.share(coverage.free)) if totals.free_tokens else "",
        "closed": [] if found.whose.team else _closed(found, around.closed),
        "prove_url": emails.absolute(reverse("metering:integrity", args=[slug])),
        "prices": _prices(found),
        "most_rows": MOST_ROWS,
    }


def _closed(found: MonthFigures, periods: list[ClosedPeriod]) -> list[str]:
    """When its billing periods were closed, and what came since of one that is this very month."""
    said = []
    for one in {period.starts_on: period for period in periods}.values():
        text = f"The billing period {_days_of(one)} was closed with what was there by {moment_text(one.as_of, found)}."
        if (one.starts_on, one.ends_on) == (found.month.first, found.month.end):
            late = found.totals.total_tokens - one.used_tokens
            text += (
                " No usage came later."
                if not late
                else f" {words.tokens(abs(late))} tokens {'came' if late > 0 else 'were taken back'} later; they are"
                " in this report, and on a later invoice."
            )
        said.append(text)
    return said


def _days_of(period: ClosedPeriod) -> str:
    last = period.ends_on - dt.timedelta(days=1)
    return f"{day_text(period.starts_on)} to {day_text(last)} {last:%Y}"


def _prices(found: MonthFigures) -> str:
    """Which versions of prices calls were rated at."""
    versions = list(PriceVersion.published.filter(pk__in=found.prices).values_list("valid_from", "organization_id"))
    if not versions:
        return ""
    newest = max(valid_from for valid_from, _ in versions)
    own = sum(organization is not None for _, organization in versions)
    many = f"{len(versions):,} versions of prices" if len(versions) > 1 else "one version of a price"
    return (
        f"Each call was rated at the price of its moment: {many}{f', {own:,} of them your own' if own else ''}, the"
        f" newest valid since {day_text(newest.date())} {newest:%Y}."
    )

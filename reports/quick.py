"""The quick overview: what one wants to know in passing, on a phone. The installed application starts here."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

from django.urls import reverse

from accounts.permissions import Right, may
from core.periods import day_start, local_day
from metering.limits.summary import Allowance, read_balance
from metering.query.latest import latest_event_at
from metering.query.ranges import Span
from metering.query.run import UsageResult, UsageRow
from reports.live.page import LivePage

# The bars; the list below them has the last of these days.
DAYS = 14
LISTED_DAYS = 7


class Quick(LivePage, frozen=True, kw_only=True):
    """The month so far, today, and the last two weeks, of those whose usage this person sees."""

    url_name = "reports:quick"
    template = "reports/quick.html"
    body_template = "reports/_quick_body.html"
    title = "Quick overview"

    def context(self) -> dict[str, Any]:
        last_event_at = latest_event_at(self.organization.pk)
        if last_event_at is None:
            return {"page": self._head(), "empty": {"connect_url": self._url("reports:connect")}}
        month = self.run()
        days = self.run(self._last_days(), interval="day")
        return {
            "page": self._head() | {"has_data": True},
            "month": self._month(month),
            "today": self._today(days.rows),
            "days": self._days(days),
            "last_event_at": last_event_at,
        }

    # ── Parts ──

    def _head(self) -> dict[str, Any]:
        """No bar: the page has one view, which is never narrowed."""
        said = (self.whose, f"{self.now.astimezone(self.chosen.zone):%B %Y}", self.chosen.zone.key)
        return {
            "title": self.title,
            "subtitle": " · ".join(part for part in said if part),
            "whose": self._whose(),
            "live": self.live,
            "overview_url": self.chosen.carried_to(self._url("reports:overview")),
            "usage_url": self.chosen.carried_to(self._url("reports:usage")),
            "note_url": self._url("metering:notes") if may(self.membership.role, Right.NOTE_USAGE) else None,
        }

    def _month(self, month: UsageResult) -> dict[str, Any]:
        before = self.before()
        figures = month.totals
        elapsed = Fraction(max(1, (self.now - self.chosen.range.start) // dt.timedelta(seconds=1)), 86_400)
        balance = read_balance(self.organization.pk, self.chosen.filters, self.now)
        return {
            "tokens": figures.total_tokens,
            "cost_nanos": figures.cost_nanos,
            "previous_cost_nanos": before.cost_nanos if before and before.requests else None,
            "daily_tokens": round(figures.total_tokens / elapsed),
            "unpriced_tokens": figures.unpriced_tokens,
            "allowance": _allowance(balance.allowance),
        }

    def _today(self, rows: list[UsageRow]) -> dict[str, Any]:
        figures = rows[-1].figures
        return {
            "tokens": figures.total_tokens,
            "cost_nanos": figures.cost_nanos,
            "requests": figures.requests,
            "url": self.chosen.carried_to(self._url("reports:overview"), range="today"),
        }

    def _days(self, days: UsageResult) -> dict[str, Any]:
        rows = [
            {
                "day": row.start.astimezone(self.chosen.zone).date(),
                "tokens": row.figures.total_tokens,
                "cost_nanos": row.figures.cost_nanos,
                "is_today": row is days.rows[-1],
                "url": self.chosen.carried_to(
                    self._url("reports:overview"),
                    **{
                        "range": "custom",
                        "from": f"{row.start.astimezone(self.chosen.zone):%Y-%m-%d}",
                        "to": f"{row.end.astimezone(self.chosen.zone):%Y-%m-%d}",
                    },
                ),
            }
            for row in days.rows
        ]
        return {"spark": [row["tokens"] for row in rows], "rows": rows[: -LISTED_DAYS - 1 : -1], "count": len(rows)}

    def _last_days(self) -> Span:
        zone = self.chosen.zone
        today = local_day(self.now, zone)
        first = today - dt.timedelta(days=DAYS - 1)
        return Span(day_start(first, zone), day_start(today + dt.timedelta(days=1), zone))

    def _url(self, name: str) -> str:
        return reverse(name, args=[self.organization.slug])


def _allowance(allowance: Allowance | None) -> dict[str, Any] | None:
    """For the meter; None without a limit."""
    if allowance is None or not allowance.limit:
        return None
    used = Fraction(allowance.used, allowance.limit)
    marks = ((Fraction(95, 100), "critical"), (Fraction(90, 100), "caution"), (Fraction(75, 100), "warning"))
    return {
        "limit": allowance.limit,
        "used": allowance.used,
        "share": used,
        "status": next((status for mark, status in marks if used >= mark), ""),
        "overage_tokens": allowance.overage_tokens,
    }

"""The quick overview: what one wants to know in passing, on a phone. The installed application starts here."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.urls import reverse

from accounts.permissions import Right, may
from core.periods import day_start, local_day
from metering.query.latest import latest_event_at
from metering.query.ranges import Span
from metering.query.run import UsageResult, UsageRow
from reports.bounds import standings, urgent
from reports.live.page import LivePage
from reports.position import position

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
        limits = standings(self)
        days = self.run(self._last_days(), interval="day")
        return {
            "page": self._head() | {"has_data": True},
            "notices": [self._from_here(notice) for notice in urgent(self, limits)],
            "month": position(self, limits),
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

    def _from_here(self, notice: dict[str, Any]) -> dict[str, Any]:
        """What a notice of the Overview leads to on that page is on that page still."""
        overview = self.chosen.carried_to(self._url("reports:overview"))
        actions = [
            action | {"url": overview + action["url"]} if action["url"].startswith("#") else action
            for action in notice.get("actions", ())
        ]
        return notice | {"actions": actions}

    def _today(self, rows: list[UsageRow]) -> dict[str, Any]:
        figures = rows[-1].figures
        return {
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

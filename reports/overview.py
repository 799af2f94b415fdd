"""The overview: the month's position, the chosen range's figures, and what they are made of."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse

from accounts.keys import active_keys
from accounts.permissions import Right, may
from core import figures as words
from core.figures import share
from metering.query.latest import latest_event_at
from metering.query.run import UsageResult, UsageRow
from reports.advice.listing import teaser
from reports.bounds import limit_rows, standings, urgent
from reports.examples import CURL_EVENT, REST_OF_KEY, fill
from reports.live.page import LivePage
from reports.parts import earlier_rows, summary, time_series
from reports.position import position
from reports.stacks import name_of

MOST_MODELS = 8
MOST_ROWS = 5
CHAT_RANGES = ("month", "today", "yesterday")
BREAKDOWNS = (
    ("member", "Members", "Member"),
    ("project", "Projects", "Project"),
    ("api_key", "API keys", "Key"),
)


class Overview(LivePage, frozen=True, kw_only=True):
    """Where a person lands: on the organization's usage, or without the right to see it on their own."""

    url_name = "reports:overview"
    template = "reports/overview.html"
    body_template = "reports/_overview_body.html"
    title = "Overview"

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/overview.html says what it needs."""
        last_event_at = latest_event_at(self.organization.pk)
        if last_event_at is None:
            return {"page": {"title": "Overview"}, "empty": {"first_use": self._first_use()}}
        series = self.run(interval=self.chosen.interval)
        before = self.before()
        models = self.run(group_by=("model",))
        page = self.head()
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}}
        limits = standings(self)
        return {
            "page": page | {"has_data": True},
            "notices": urgent(self, limits),
            "position": position(self, limits),
            "summary": summary(self, series, before),
            "chart": time_series(self, series, earlier_rows(self), limits),
            "models": self._models(models),
            "limits": limit_rows(self, limits),
            "breakdowns": [
                *(self._breakdown(*each) for each in BREAKDOWNS if each[0] in self.dimensions),
                *self._chats(),
            ],
            "advice": self._advice(),
            "proof": self.proof(series.totals, last_event_at),
        }

    # ── Parts ──

    def head(self) -> dict[str, Any]:
        head = super().head() | {"live": self.live}
        return head if not self.fixed or self.team else head | {"title": "Your usage"}

    def _models(self, models: UsageResult) -> dict[str, Any]:
        total = models.totals.total_tokens
        top, rest = models.rows[:MOST_MODELS], models.rows[MOST_MODELS:]
        rows = [self._model_row(row, total) for row in top]
        if rest:
            value = sum(row.figures.total_tokens for row in rest)
            rows.append(
                {
                    "label": f"{len(rest)} others",
                    "slot": "other",
                    "value": value,
                    "share": share(value, total),
                    "url": None,
                }
            )
        return {
            "total": total,
            "count": len(models.rows),
            "more_url": self.chosen.carried_to(reverse("reports:models", args=[self.organization.slug])),
            "csv_url": self.chosen.carried_to(
                reverse("reports:usage-breakdown", args=[self.organization.slug]), by="model"
            ),
            "rows": rows,
            "unpriced": [
                {"label": row.group["model"].label, "url": None} for row in models.rows if not row.figures.is_cost_known
            ],
            "json": {
                "kind": "donut",
                "unit": "tokens",
                "measure": "Tokens",
                "series": [
                    {
                        "label": row["label"],
                        "slot": row["slot"],
                        "value": row["value"],
                        "text": words.tokens(row["value"]),
                        "share": words.percent(row["share"]),
                        "href": row["url"],
                    }
                    for row in rows
                ],
            },
        }

    def _model_row(self, row: UsageRow, total: int) -> dict[str, Any]:
        group, value = row.group["model"], row.figures.total_tokens
        return {
            "label": group.label or "none",
            "slot": (group.slot or "other") if row.figures.is_cost_known else "unpriced",
            "value": value,
            "share": share(value, total),
            "url": self.chosen.filtered_url("model", group.key),
        }

    def _breakdown(self, dimension: str, title: str, unit_label: str) -> dict[str, Any]:
        found = self.run(group_by=(dimension,), limit=MOST_ROWS)
        return {
            "id": f"top-{dimension}",
            "title": title,
            "unit_label": unit_label,
            "more_url": self.chosen.carried_to(reverse("reports:usage", args=[self.organization.slug]), by=dimension),
            "rows": [
                {
                    "label": row.group[dimension].label or f"No {unit_label.lower()}",
                    "value": row.figures.total_tokens,
                    "cost_nanos": row.figures.cost_nanos,
                    "share": share(row.figures.total_tokens, found.totals.total_tokens),
                    "url": self.chosen.filtered_url(dimension, row.group[dimension].key),
                }
                for row in found.rows
            ],
        }

    def _chats(self) -> list[dict[str, Any]]:
        """The largest chats, of ranges whose chats are few rows to read."""
        if self.chosen.range.key not in CHAT_RANGES:
            return []
        # One more, for usage without a chat is none.
        found = self.run(group_by=("chat",), limit=MOST_ROWS + 1)
        slug = self.organization.slug
        rows = [row for row in found.rows if row.group["chat"].key is not None][:MOST_ROWS]
        return [
            {
                "id": "top-chats",
                "title": "Chats",
                "unit_label": "Chat",
                "more_url": self.chosen.carried_to(reverse("reports:chats", args=[slug])),
                "rows": [
                    {
                        "label": name_of(row.group["chat"], "chat"),
                        "value": row.figures.total_tokens,
                        "cost_nanos": row.figures.cost_nanos,
                        "share": share(row.figures.total_tokens, found.totals.total_tokens),
                        "url": self.chosen.carried_to(reverse("reports:chat", args=[slug, row.group["chat"].key])),
                    }
                    for row in rows
                ],
            }
        ]

    def _advice(self) -> dict[str, Any] | None:
        """Of all usage together, so only where all of it is shown."""
        if self.fixed or self.chosen.filters:
            return None
        return teaser(self.organization, self.membership.role)

    def _first_use(self) -> dict[str, Any]:
        return {
            "curl": fill(CURL_EVENT, settings.BASE_URL, f"tl_{REST_OF_KEY}"),
            "connect_url": reverse("reports:connect", args=[self.organization.slug]),
            "has_key": active_keys().exists(),
            "key_url": reverse("accounts:keys", args=[self.organization.slug])
            if may(self.membership.role, Right.MANAGE_OWN_KEYS)
            else None,
        }

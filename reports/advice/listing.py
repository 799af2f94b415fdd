"""Insights as pages show them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from django.urls import reverse

from accounts.models import Organization, Role
from core import figures
from core.money import divide_half_even
from core.periods import local_day
from metering.query.events import events_by_id
from reports.advice import kind_of
from reports.advice.kind import Piece
from reports.advice.records import open_insights
from reports.models import AdviceRound, Insight, InsightState

# How a state looks: the class and the icon.
LOOKS = {
    InsightState.OPEN: ("outline", "lightbulb"),
    InsightState.DISMISSED: ("neutral", "x-lg"),
    InsightState.DONE: ("ok", "check-lg"),
    InsightState.GONE: ("neutral", "clock"),
}
CALLS = "calls"
MOST_TEASED = 3
_MILLION = 1_000_000
# A hundredth of a cent.
_READABLE_NANOS = 100_000
# What a piece of evidence is called, and where its name stands in a table.
PIECES = {CALLS: ("call", "Call"), "periods": ("period", "Period"), "days": ("day", "Day"), "keys": ("key", "Key")}


def share_of(insight: Insight) -> Fraction | None:
    """The month's savings as a share of what everything cost, or of what is compared where that is not calls."""
    if kind_of(insight.kind).evidence == CALLS:
        return figures.share(insight.likely_nanos, insight.cost_nanos)
    if insight.now_nanos is None or insight.would_nanos is None:
        return None
    return figures.share(insight.now_nanos - insight.would_nanos, insight.now_nanos)


def insight_row(insight: Insight, organization: Organization) -> dict[str, Any]:
    kind = kind_of(insight.kind)
    tone, icon = LOOKS[InsightState(insight.state)]
    piece, _ = PIECES[kind.evidence]
    first, last = days_of(insight.starts_at, insight.ends_at, organization)
    return {
        "insight": insight,
        "kind": kind.label,
        "icon": kind.icon,
        "tone": tone,
        "state_icon": icon,
        "state": insight.get_state_display(),
        "effort": insight.get_effort_display(),
        "url": reverse("reports:insight", args=[organization.slug, insight.pk]),
        "share": share_of(insight),
        "is_of_cost": kind.evidence == CALLS,
        "evidence": f"{figures.tokens(insight.evidence_count)} {piece}{'' if insight.evidence_count == 1 else 's'}",
        "first": first,
        "last": last,
        "is_open": insight.state == InsightState.OPEN,
        "is_over": insight.state != InsightState.OPEN,
    }


def teaser(organization: Organization, role: Role | str) -> dict[str, Any] | None:
    """What saves most, for a page that is about something else; None without any. Needs the organization's scope."""
    found = [one for one in open_insights(organization.pk, role) if one.likely_nanos is not None]
    if not found:
        return None
    last = AdviceRound.objects.first()
    return {
        "rows": [insight_row(one, organization) for one in found[:MOST_TEASED]],
        "count": len(found),
        "together": last.together_nanos if last else None,
        "url": reverse("reports:advice", args=[organization.slug]),
    }


def days_of(start: dt.datetime, end: dt.datetime, organization: Organization) -> tuple[dt.date, dt.date]:
    """The first day of a window and its last one."""
    zone = organization.zone
    return local_day(start, zone), local_day(end, zone) - dt.timedelta(days=1)


def follow_up(insight: Insight, organization: Organization) -> dict[str, Any] | None:
    """What was realized of advice that is done, and what that is worked out from; None where it is not done."""
    if insight.state != InsightState.DONE:
        return None
    kind, realized = kind_of(insight.kind), insight.realized_nanos
    found: dict[str, Any] = {
        "unit": kind.unit,
        "is_measured": insight.measured_from is not None,
        "begins": insight.measured_from and local_day(insight.measured_from, organization.zone),
        "promised": insight.settled_nanos,
        "realized": realized,
        "more": -realized if realized is not None and realized < 0 else None,
        "has_before": bool(insight.before_units),
    }
    if insight.before_units and insight.before_nanos is not None:
        found |= {"before_units": insight.before_units, "before_nanos": insight.before_nanos,
                  "before_each": _each(insight.before_nanos, insight.before_units)}  # fmt: skip
    if insight.measured_from is not None and insight.measured_until is not None:
        first, last = days_of(insight.measured_from, insight.measured_until, organization)
        found |= {"since_units": insight.since_units, "since_nanos": insight.since_nanos, "first": first, "last": last,
                  "days": (last - first).days + 1,
                  "since_each": _each(insight.since_nanos, insight.since_units)}  # fmt: skip
    return found


def _each(nanos: int | None, units: int | None) -> str:
    """Dollars a unit, or a million of them where one is too little to read."""
    if nanos is None or not units:
        return "—"
    if nanos >= units * _READABLE_NANOS:
        return f"{figures.money(divide_half_even(nanos, units))} each"
    return f"{figures.money(divide_half_even(nanos * _MILLION, units))} a million"


def piece_rows(insight: Insight, pieces: Sequence[Piece], organization: Organization) -> list[dict[str, Any]]:
    """Pieces of evidence with what is known of the calls they are. Needs the organization's scope."""
    is_of_calls = kind_of(insight.kind).evidence == CALLS
    events = events_by_id(organization.pk, [piece.id for piece in pieces]) if is_of_calls else {}
    rows = []
    for piece in pieces:
        event = events.get(piece.id)
        chat = event.chat if event else None
        saved = None if piece.now_nanos is None or piece.would_nanos is None else piece.now_nanos - piece.would_nanos
        rows.append(
            {
                "piece": piece,
                "saved": saved,
                "url": reverse("reports:call", args=[organization.slug, piece.id]) if event else None,
                "model": event.names["model"].label if event else None,
                "project": event.names["project"].label if event else None,
                "prompt_tokens": event.usage.prompt_tokens if event and event.usage else None,
                "chat": chat and event and (event.detail.get("chat_title") or chat),
                "chat_url": chat and reverse("reports:chat", args=[organization.slug, chat]),
                "completion_tokens": event.usage.completion_tokens if event and event.usage else None,
            }
        )
    return rows

"""What a month's savings are, from the calls of the last 30 days: likely what these would have saved, and how that
varied from week to week (docs/algorithms/advice.md)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from core.money import divide_half_even
from core.periods import day_start, local_day
from reports.advice.kind import Estimate, Piece

DAYS = 30
WEEKS = 4
_WEEK_DAYS = 7


def window_of(now: dt.datetime, zone: ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
    """The last 30 whole days of the zone."""
    today = local_day(now, zone)
    return day_start(today - dt.timedelta(days=DAYS), zone), day_start(today, zone)


def estimate_of(pieces: Iterable[Piece], end: dt.datetime, zone: ZoneInfo) -> Estimate | None:
    """Of the pieces of a window that ends at `end`; None where no cost is at stake.

    Likely is their sum, to the nano. Low and high are the poorest and the best of the last four weeks, as 30 days.
    """
    last = local_day(end, zone)
    bounds = [day_start(last - dt.timedelta(days=_WEEK_DAYS * weeks), zone) for weeks in range(1, WEEKS + 1)]
    total, is_known = 0, False
    by_week = [0] * WEEKS
    for piece in pieces:
        if piece.now_nanos is None or piece.would_nanos is None:
            continue
        is_known = True
        saved = piece.now_nanos - piece.would_nanos
        total += saved
        week = next((number for number, start in enumerate(bounds) if piece.at >= start), None)
        if week is not None:
            by_week[week] += saved
    if not is_known:
        return None
    monthly = [divide_half_even(saved * DAYS, _WEEK_DAYS) for saved in by_week]
    return Estimate(min(total, *monthly), total, max(total, *monthly))

"""Quiet hours and the hour of a digest, on clocks that are put forward and back.

A clock time that is skipped counts as the moment the clock jumps over it; of one that comes twice, quiet hours end at
the first that is still ahead, and a digest goes out at the first.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from accounts.models import Organization
from alerts.models import Rhythm, Timing
from core.periods import UTC

WEEK_DAYS = 7


def zone_of(timing: Timing | None, organization: Organization) -> ZoneInfo:
    return ZoneInfo(timing.timezone) if timing is not None and timing.timezone else organization.zone


def due_at(timing: Timing | None, organization: Organization, at: dt.datetime) -> dt.datetime:
    """When a message that is not urgent may come: now, or when quiet hours are over."""
    if timing is None or timing.quiet_from is None or timing.quiet_until is None:
        return at
    return quiet_end(at, timing.quiet_from, timing.quiet_until, zone_of(timing, organization)) or at


def digest_due_at(timing: Timing, organization: Organization, at: dt.datetime) -> dt.datetime:
    """When the digest goes out that takes along what happens now."""
    weekday = timing.digest_weekday if timing.rhythm == Rhythm.WEEKLY else None
    return next_digest(at, timing.digest_at, weekday, zone_of(timing, organization))


def is_quiet(at: dt.datetime, begins: dt.time, ends: dt.time, zone: ZoneInfo) -> bool:
    clock = at.astimezone(zone).time()
    return begins <= clock < ends if begins < ends else clock >= begins or clock < ends


def quiet_end(at: dt.datetime, begins: dt.time, ends: dt.time, zone: ZoneInfo) -> dt.datetime | None:
    """When the quiet hours `at` is in are over; None when it is in none."""
    if not is_quiet(at, begins, ends, zone):
        return None
    today = at.astimezone(zone).date()
    # Clocks have been moved across midnight, and whole days left out.
    instants = (_instant(today + dt.timedelta(days=days), ends, zone, fold) for days in range(3) for fold in (0, 1))
    return min(instant for instant in instants if instant > at)


def next_digest(after: dt.datetime, clock: dt.time, weekday: int | None, zone: ZoneInfo) -> dt.datetime:
    """The first such time of a day, or of that day of the week (0 is Monday), after an instant."""
    today = after.astimezone(zone).date()
    days = (today + dt.timedelta(days=number) for number in range(-1, 2 * WEEK_DAYS))
    instants = (_instant(day, clock, zone, 0) for day in days if weekday is None or day.weekday() == weekday)
    return next(instant for instant in instants if instant > after)


def _instant(day: dt.date, clock: dt.time, zone: ZoneInfo, fold: int) -> dt.datetime:
    """When a clock shows it; of a time that is left out, when the clock jumps over it."""
    wanted = dt.datetime.combine(day, clock)
    first, second = (wanted.replace(tzinfo=zone, fold=side).astimezone(UTC) for side in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) == wanted:
        return second if fold else first
    # Left out: the offset before the jump gives a moment behind it, the one after the jump a moment before it.
    early, late = int(second.timestamp()), int(first.timestamp())
    while late - early > 1:
        middle = (early + late) // 2
        shown = dt.datetime.fromtimestamp(middle, zone).replace(tzinfo=None)
        early, late = (early, middle) if shown >= wanted else (middle, late)
    return dt.datetime.fromtimestamp(late, UTC)

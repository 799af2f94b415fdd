"""When a schedule is due: five cron fields in the organization's zone, of every frequency.

cronsim does the arithmetic, as Debian's cron does it: a time that the clocks skip is due right behind the gap, one
that they show twice is due the first time. It knows zones by themselves, which Celery's crontab does not, and has no
code beside. What is due is an instant, so that it can be due once.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from core.errors import ApiError
from core.periods import UTC
from reports.models import Frequency

# "The last day" as a number, in forms.
LAST_DAY = 32
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHORTEST = dt.timedelta(hours=1)
# Enough to meet two runs of one day and every weekday.
_LOOKED_AT = 200


def cron_of(frequency: str, at: dt.time, *, weekday: int = 0, day: int = 1, expression: str = "") -> str:
    """`weekday` counts from Monday, 0; `day` is 1 to 28 of the month, or LAST_DAY. Raises ApiError 422."""
    clock = f"{at.minute} {at.hour}"
    if frequency == Frequency.DAILY:
        return f"{clock} * * *"
    if frequency == Frequency.WEEKLY:
        return f"{clock} * * {(weekday + 1) % 7}"
    if frequency == Frequency.MONTHLY:
        return f"{clock} {'L' if day == LAST_DAY else day} * *"
    return checked(expression)


def checked(expression: str) -> str:
    """Five fields, at least an hour apart. Raises ApiError 422."""
    cron = " ".join(expression.upper().split())
    if len(cron.split()) != 5:
        raise _refusal("A cron expression has five fields: minute, hour, day of the month, month, day of the week.")
    if len(cron) > 100:
        raise _refusal("A cron expression has at most 100 characters.")
    try:
        times = list(itertools.islice(CronSim(cron, dt.datetime(2026, 1, 1, tzinfo=UTC)), _LOOKED_AT))
    except CronSimError as error:
        raise _refusal(f"This cron expression cannot be read: {str(error).lower()}.") from error
    if not times:
        raise _refusal("There is no such time.")
    if any(after - before < SHORTEST for before, after in itertools.pairwise(times)):
        raise _refusal("A report is made at most once an hour.")
    return cron


def due_times(cron: str, zone: ZoneInfo, after: dt.datetime) -> Iterator[dt.datetime]:
    """The instants behind `after` at which it is due, in order, each once."""
    last = after
    for at in CronSim(cron, after.astimezone(zone)):
        instant = at.astimezone(UTC)
        # On the wall an hour may come twice, and a skipped time may fall together with another one.
        if instant > last:
            last = instant
            yield instant


def next_due(cron: str, zone: ZoneInfo, after: dt.datetime) -> dt.datetime:
    return next(due_times(cron, zone, after))


def missed(cron: str, zone: ZoneInfo, due_at: dt.datetime, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """The latest time up to now that it was due, from `due_at` on, and the next one."""
    for following in due_times(cron, zone, due_at):
        if following > now:
            return due_at, following
        due_at = following
    raise AssertionError("a schedule has no end")


def clock_words(at: dt.datetime, zone: ZoneInfo) -> str:
    """ "Mon 23 Nov 2026, 08:00", in the organization's zone."""
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}"


def _refusal(message: str) -> ApiError:
    return ApiError(422, "invalid_parameter", message, param="expression")

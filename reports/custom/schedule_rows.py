"""A schedule as a row: in words, when it is due next, and who is told."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.timezone import now

from accounts.requests import OrganizationRequest
from accounts.views.pages import to
from reports.custom import scheduling
from reports.custom.making import FORMAT_NAMES
from reports.custom.timing import WEEKDAYS, clock_words, due_times
from reports.models import Frequency, ReportSchedule

SHOWN_TIMES = 3


def schedule_row(request: OrganizationRequest, schedule: ReportSchedule) -> dict[str, Any]:
    return {
        "schedule": schedule,
        "words": words_of(schedule.frequency, schedule.cron),
        "format": FORMAT_NAMES.get(schedule.file_format, schedule.file_format),
        "times": [] if schedule.next_at is None else next_times(schedule, request.organization.zone),
        "receivers": len(schedule.receivers),
        "change_url": to(request, "reports:schedule", schedule.pk)
        if scheduling.may_change(schedule, request.membership)
        else None,
    }


def next_times(schedule: ReportSchedule, zone: ZoneInfo) -> list[str]:
    """The next one is the one that is kept; those behind it follow from it."""
    if schedule.next_at is None:
        return []
    after = itertools.islice(due_times(schedule.cron, zone, schedule.next_at), SHOWN_TIMES - 1)
    return [clock_words(at, zone) for at in (schedule.next_at, *after)]


def first_times(cron: str, zone: ZoneInfo) -> list[str]:
    return [clock_words(at, zone) for at in itertools.islice(due_times(cron, zone, now()), SHOWN_TIMES)]


def words_of(frequency: str, cron: str) -> str:
    """ "Every week, Monday 08:00"."""
    if frequency == Frequency.CRON:
        return f"Cron {cron}"
    clock = clock_of(cron)
    minute_hour_day = cron.split()
    if frequency == Frequency.DAILY:
        return f"Every day, {clock:%H:%M}"
    if frequency == Frequency.WEEKLY:
        return f"Every week, {WEEKDAYS[weekday_of(cron)]} {clock:%H:%M}"
    day = minute_hour_day[2]
    return f"Every month, on {'the last day' if day == 'L' else f'day {day}'} {clock:%H:%M}"


def clock_of(cron: str) -> dt.time:
    """The time of day of a schedule that has one."""
    minute, hour, *_ = cron.split()
    return dt.time(int(hour), int(minute))


def weekday_of(cron: str) -> int:
    """From Monday, 0."""
    return (int(cron.split()[4]) - 1) % 7

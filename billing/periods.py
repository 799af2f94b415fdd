"""Billing periods: months that begin on the subscription's day. Days are those of the organization's zone."""

from __future__ import annotations

import calendar
import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

from core.periods import day_start


class Period(msgspec.Struct, frozen=True):
    """Half-open [starts_on, ends_on)."""

    starts_on: dt.date
    ends_on: dt.date

    @property
    def days(self) -> int:
        return (self.ends_on - self.starts_on).days

    def __contains__(self, day: dt.date) -> bool:
        return self.starts_on <= day < self.ends_on

    def instants(self, zone: ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
        return day_start(self.starts_on, zone), day_start(self.ends_on, zone)


def period_of(day: dt.date, anchor_day: int) -> Period:
    """The period that a day is in."""
    starts_on = _anchored(day.year, day.month, anchor_day)
    if day < starts_on:
        return Period(_anchored(*_shifted(day, -1), anchor_day), starts_on)
    return Period(starts_on, _anchored(*_shifted(day, 1), anchor_day))


def next_period(period: Period, anchor_day: int) -> Period:
    return period_of(period.ends_on, anchor_day)


def _anchored(year: int, month: int, anchor_day: int) -> dt.date:
    """The anchor's day in a month, or the month's last one."""
    return dt.date(year, month, min(anchor_day, calendar.monthrange(year, month)[1]))


def _shifted(day: dt.date, months: int) -> tuple[int, int]:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return year, month + 1

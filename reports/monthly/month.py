"""A calendar month of an organization's zone, and the months it is held against."""

from __future__ import annotations

import datetime as dt
from typing import Self
from zoneinfo import ZoneInfo

import msgspec

from core.periods import day_start, local_day, month_start, next_month
from metering.query.ranges import Span

_DAY = dt.timedelta(days=1)


class Month(msgspec.Struct, frozen=True):
    """`first` is its first day."""

    first: dt.date
    zone: ZoneInfo

    @classmethod
    def at(cls, moment: dt.datetime, zone: ZoneInfo) -> Self:
        """The one a moment is in."""
        return cls(month_start(local_day(moment, zone)), zone)

    @property
    def end(self) -> dt.date:
        """The day behind its last one."""
        return next_month(self.first)

    @property
    def last(self) -> dt.date:
        return self.end - _DAY

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    @property
    def starts_at(self) -> dt.datetime:
        return day_start(self.first, self.zone)

    @property
    def ends_at(self) -> dt.datetime:
        return day_start(self.end, self.zone)

    @property
    def span(self) -> Span:
        return Span(self.starts_at, self.ends_at)

    @property
    def name(self) -> str:
        return f"{self.first:%B %Y}"

    @property
    def short(self) -> str:
        """For axes: Oct, and the year with January."""
        return f"{self.first:%b %Y}" if self.first.month == 1 else f"{self.first:%b}"

    @property
    def before(self) -> Month:
        return Month(month_start(self.first - _DAY), self.zone)

    @property
    def year_before(self) -> Month:
        return Month(self.first.replace(year=self.first.year - 1), self.zone)

    @property
    def following(self) -> Month:
        return Month(self.end, self.zone)

    def back(self, months: int) -> Month:
        found = self
        for _ in range(months):
            found = found.before
        return found

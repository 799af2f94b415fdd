"""What is yet to come of periods, and the day an amount is used up: docs/algorithms/planning.md."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

from core.money import divide_half_even
from core.periods import day_start, local_day
from reports.forecasting.outlook import Band, Outlook

_DAY = dt.timedelta(days=1)
_SECOND = dt.timedelta(seconds=1)
NOTHING = Band(0, 0, 0)


class Elapsed(msgspec.Struct, frozen=True):
    """How much of a day is over, in whole seconds; days have 23 to 25 hours."""

    passed: int
    whole: int

    @classmethod
    def of(cls, at: dt.datetime, zone: ZoneInfo) -> Elapsed:
        today = local_day(at, zone)
        begins, ends = day_start(today, zone), day_start(today + _DAY, zone)
        return cls((at - begins) // _SECOND, (ends - begins) // _SECOND)


class Ahead(msgspec.Struct, frozen=True):
    """What is yet to come from now on: `totals[k]` until the end of the day k days after `today`."""

    today: dt.date
    totals: tuple[Band, ...]

    @classmethod
    def of(cls, outlook: Outlook, elapsed: Elapsed) -> Ahead:
        """Of the first day only the part that is not over yet; the range of a total stays as wide in proportion."""
        left = elapsed.whole - elapsed.passed
        # Where likely nothing comes, time alone tells how much of the range is left.
        first = _scaled(outlook.days[0], left, elapsed.whole)
        over = outlook.days[0].likely - first.likely
        later = (
            _scaled(total, total.likely - over, total.likely) if total.likely > over else total
            for total in outlook.totals[1:]
        )
        return cls(outlook.first_day, (first, *later))

    def until(self, day: dt.date) -> Band | None:
        """Before `day`; None beyond what is forecast."""
        count = (day - self.today).days
        if count <= 0:
            return NOTHING
        return self.totals[count - 1] if count <= len(self.totals) else None

    @property
    def ends_on(self) -> dt.date:
        """The first day that nothing is forecast of."""
        return self.today + len(self.totals) * _DAY

    def runs_out(self, remaining: int) -> RunsOut:
        """When as much as `remaining` is used: at the earliest if it goes as the high end says."""

        def day(end: str) -> dt.date | None:
            reached = (number for number, total in enumerate(self.totals) if getattr(total, end) >= remaining)
            number = next(reached, None)
            return None if number is None else self.today + number * _DAY

        return RunsOut(day("high"), day("likely"), day("low"))


class RunsOut(msgspec.Struct, frozen=True):
    """The days by which it is used up with 10, 50 and 90 % probability; None: later than anything forecast."""

    early: dt.date | None
    likely: dt.date | None
    late: dt.date | None

    def before(self, day: dt.date | None) -> RunsOut:
        """The same within a period: days from its end on are none of its own."""
        if day is None:
            return self
        return RunsOut(*(None if one is None or one >= day else one for one in (self.early, self.likely, self.late)))


def _scaled(band: Band, part: int, whole: int) -> Band:
    return Band(*(divide_half_even(end * part, whole) for end in msgspec.structs.astuple(band)))

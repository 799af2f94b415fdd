"""What a month will come to: as much as is known, and the rest by the view's own weeks.

Simple on purpose, the same for the same figures, and honest about its range: docs/algorithms/projection.md has the
rules and a worked example. Whoever needs a month's end asks `projected`; what is inside may be replaced.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import median

import msgspec

from core.periods import day_start, local_day, month_start, next_month
from metering.query.metrics import Figures
from metering.query.plan import is_answered_by_days
from metering.query.ranges import Span
from reports.page import UsagePage

WEEK = 7
# Weeks that say how the days of a week differ, and those that say how much a week is.
PATTERN_WEEKS, LEVEL_WEEKS = 8, 4
FEWEST_WEEKS = 2
# A range says how wrong this was before: with fewer months it would only look like one.
FEWEST_MONTHS = 3
HISTORY_DAYS = 400
_LOW, _LIKELY, _HIGH = 0.1, 0.5, 0.9


class Projection(msgspec.Struct, frozen=True):
    """The whole period, in the unit of what was projected; `likely` None: too little history to say.

    `low` and `high` hold its end in eight of ten cases, as the past months had it; None when too few of them
    could be tried. `error` is the median of how far `likely` was off at this point of those `months`, as a share.
    `ahead` is what is likely yet to come of today and of each day after it.
    """

    so_far: int = 0
    likely: int | None = None
    low: int | None = None
    high: int | None = None
    months: int = 0
    error: Fraction | None = None
    ahead: tuple[int, ...] = ()

    @property
    def basis(self) -> str:
        """What it rests on, for people."""
        if self.likely is None:
            return "Too little history: two whole weeks are needed."
        if self.error is None:
            return f"From the last weeks. Too little history for a range: {FEWEST_MONTHS} whole months are needed."
        off = f"{float(self.error):.1%}" if self.error >= Fraction(1, 1000) else "less than 0.1%"
        return f"At this point of the last {self.months} months, it was off by {off}."

    def days_until(self, amount: int) -> int | None:
        """In how many days `amount` is likely to be reached; None when not in this period, or already."""
        reached = self.so_far
        if reached >= amount:
            return None
        for number, value in enumerate(self.ahead):
            reached += value
            if reached >= amount:
                return number
        return None


class Outlook(msgspec.Struct, frozen=True):
    """What each day of about a year had in a view, for projecting any sum of it. `elapsed` is the share of today."""

    days: dict[dt.date, Figures]
    today: dt.date
    elapsed: float

    @property
    def cost(self) -> Projection:
        """This month's, in nano-dollars, of what has a price."""
        return self._of(lambda figures: figures.known_cost_nanos, month_start(self.today), next_month(self.today))

    def tokens(self, begin: dt.date, end: dt.date) -> Projection:
        """Of the period [begin, end) that today is in."""
        return self._of(lambda figures: figures.total_tokens, begin, end)

    def _of(self, value: Callable[[Figures], int], begin: dt.date, end: dt.date) -> Projection:
        return project({day: value(one) for day, one in self.days.items()}, self.today, self.elapsed, begin, end)


def projected(page: UsagePage, now: dt.datetime) -> Outlook | None:
    """What the page's filters choose, as it goes on.

    None when no roll-up by days has an answer for these filters: a year of events is too much to read for an estimate.
    """
    zone = page.chosen.zone
    today = local_day(now, zone)
    begins, ends = day_start(today, zone), day_start(today + dt.timedelta(days=1), zone)
    span = Span(day_start(today - dt.timedelta(days=HISTORY_DAYS), zone), ends)
    if not is_answered_by_days(page.chosen.query(page.organization.pk, span, interval="day")):
        return None
    rows = page.run(span, interval="day").rows
    return Outlook({local_day(row.start, zone): row.figures for row in rows}, today, (now - begins) / (ends - begins))


def project(days: dict[dt.date, int], today: dt.date, elapsed: float, begin: dt.date, end: dt.date) -> Projection:
    """The period [begin, end) from what each day had; of `today`, which is in it, the share `elapsed` is over."""
    first = min((day for day, value in days.items() if value), default=today)
    history = [days.get(first + dt.timedelta(days=n), 0) for n in range((today - first).days)]
    so_far = sum(value for day, value in days.items() if begin <= day <= today)
    left = (end - today).days
    expected = _expected(history, left)
    if expected is None:
        return Projection(so_far)
    expected[0] *= 1 - elapsed
    trials = _trials(history, first, today, left)
    months = sorted({trial.month for trial in trials})
    if len(months) < FEWEST_MONTHS:
        ahead = tuple(map(round, expected))
        return Projection(so_far, so_far + sum(ahead), ahead=ahead)
    likely = _quantile(sorted(trial.ratio for trial in trials), _LIKELY)
    ahead = tuple(round(value * likely) for value in expected)
    rest, whole = sum(expected), so_far + sum(ahead)
    low, high = _range(sorted(_nearest(trials, month, left).ratio for month in months))
    return Projection(
        so_far,
        whole,
        # The median is of more trials than the range; and each day was rounded by itself.
        min(so_far + round(rest * low), whole),
        max(so_far + round(rest * high), whole),
        len(months),
        _error(trials, months, left),
        ahead,
    )


def _expected(history: Sequence[int], days: int) -> list[float] | None:
    """Each of the next days: what a week has lately, times the weekday's share of a week. None without two weeks.

    Medians, so that one unusual day or week moves nothing.
    """
    count = min(PATTERN_WEEKS, len(history) // WEEK)
    if count < FEWEST_WEEKS:
        return None
    end = len(history)
    weeks = [history[end - WEEK * (n + 1) : end - WEEK * n] for n in range(count)]
    level = median(sum(week) for week in weeks[:LEVEL_WEEKS])
    used = [week for week in weeks if any(week)]
    shares = [median(week[n] / sum(week) for week in used) if used else 0.0 for n in range(WEEK)]
    whole = sum(shares) or 1.0
    return [level * shares[n % WEEK] / whole for n in range(days)]


# ── How wrong this was before ──


class Trial(msgspec.Struct, frozen=True):
    """The same with `left` days left of a past month, by what was known then. `ratio` is what came ÷ what was said."""

    month: dt.date
    left: int
    before: int
    expected: float
    actual: int

    @property
    def ratio(self) -> float:
        return self.actual / self.expected if self.expected else 1.0


def _trials(history: Sequence[int], first: dt.date, today: dt.date, left: int) -> list[Trial]:
    """Every whole month of the history, each with as many days left as there are now, and one more and one less.

    A period that is longer than a month has no such trial, unless its end is near.
    """
    found = []
    month = month_start(today)
    while (month := month_start(month - dt.timedelta(days=1))) >= first:
        length = (next_month(month) - month).days
        for days in (left - 1, left, left + 1):
            origin = (next_month(month) - first).days - days
            if not 1 <= days <= length:
                continue
            expected = _expected(history[:origin], days)
            if expected is None:
                continue
            before, actual = history[origin - (length - days) : origin], history[origin : origin + days]
            if sum(expected) or not any(actual):
                found.append(Trial(month, days, sum(before), sum(expected), sum(actual)))
    return found


def _error(trials: Sequence[Trial], months: Sequence[dt.date], left: int) -> Fraction:
    """The median share by which the likely month was off, each month judged by what the others say."""
    errors = []
    for month in months:
        own = _nearest(trials, month, left)
        others = sorted(trial.ratio for trial in trials if trial.month != month)
        said = own.before + own.expected * _quantile(others, _LIKELY)
        actual = own.before + own.actual
        if actual:
            errors.append(abs(Fraction(said) - actual) / actual)
    return median(errors) if errors else Fraction(0)


def _nearest(trials: Sequence[Trial], month: dt.date, left: int) -> Trial:
    """A month's own trial. Months differ in length: a short one may have had no day with as many left."""
    return min((trial for trial in trials if trial.month == month), key=lambda trial: abs(trial.left - left))


def _range(ordered: Sequence[float]) -> tuple[float, float]:
    """What eight of ten next months keep within, if they come about as these did.

    The next month falls into each gap between n of them with the same chance, 1 in n + 1: so the bounds stand at
    (n + 1) × 10 % and 90 %, or at the least and the greatest of few.
    """
    last = len(ordered) - 1
    low, high = ((len(ordered) + 1) * share - 1 for share in (_LOW, _HIGH))
    return _quantile(ordered, max(low, 0) / last), _quantile(ordered, min(high, last) / last)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between the two nearest, by distance."""
    at = (len(ordered) - 1) * share
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)

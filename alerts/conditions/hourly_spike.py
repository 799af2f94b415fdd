"""An hour that has more tokens than so many percent of what the same hours of the weeks before had on average."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Mapping
from fractions import Fraction
from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material
from alerts.conditions.reading import Need, Reading, Span, Subject, Usage, UsualHours, Verdict, widened, windows
from alerts.conditions.units import Unit
from alerts.models import AlertRule, Window
from core.periods import day_start, local_day
from metering.query.metrics import Figures

# The same hours are those of the clock on the wall, of the days before, workdays with workdays, weekends with weekends.
LOOKBACK_DAYS = 28
FEWEST = 4
_SATURDAY = 5
# A day, an hour and a minute as the clock on the wall shows them.
_Clock = tuple[dt.date, int, int]
_NOTHING = Figures()


class HourlySpike(Condition):
    name = "hourly_spike"
    title = "Hourly spike"
    about = "An hour with more than this share of the average of the same hours, of the last four weeks."
    sentence = "{label} used {actual} in the hour from {when}, {share} of the usual {expected}."
    metric = "percent_of_usual_hour"
    unit = Unit.PERCENT
    measured = Unit.TOKENS
    windows = (Window.HOUR,)
    threshold = 200_00
    least_threshold = 100_01
    most_threshold = 10_000_00
    minimum = 100_000
    minimum_unit = Unit.TOKENS

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        return [_usage(rule, span, zone), _before(rule, span, zone)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        zone = material.zone
        rows = material.usage(_usage(rule, span, zone)).get("", {})
        hours = {start: one.total_tokens for start, one in rows.items()} | material.tokens(_before(rule, span, zone))
        known = Usual(hours, zone)
        found = []
        for start, end in windows("hour", span, zone):
            usual = known.at(start)
            tokens = rows.get(start, _NOTHING).total_tokens
            found.append(
                Reading(
                    start,
                    end,
                    min(end, span.end),
                    None if usual is None else tokens,
                    0 if usual is None else int(usual * rule.threshold / 100_00),
                    None if usual is None else round(usual),
                    sample=tokens,
                )
            )
        return found

    def judge(self, rule: AlertRule, reading: Reading) -> Verdict:
        """An hour that nothing is usual for is no spike."""
        if reading.value is None:
            return Verdict.CALM if reading.is_whole else Verdict.OPEN
        return super().judge(rule, reading)


class Usual:
    """What the same hours had on average; None while too few of them are known."""

    def __init__(self, hours: Mapping[dt.datetime, int], zone: ZoneInfo) -> None:
        self.zone = zone
        # By what the clock shows, so that a change of the clocks moves nothing: an hour that is twice counts twice.
        self.by_clock: dict[_Clock, list[int]] = {}
        used = set()
        for start, tokens in hours.items():
            local = start.astimezone(zone)
            self.by_clock.setdefault((local.date(), local.hour, local.minute), []).append(tokens)
            if tokens:
                used.add(local.date())
        self.used = sorted(used)

    def at(self, start: dt.datetime) -> Fraction | None:
        hours = self.same_hours(start)
        values = [tokens for hour in hours for tokens in self.by_clock.get(hour, [0])]
        return Fraction(sum(values), len(values)) if len(values) >= FEWEST and any(values) else None

    def same_hours(self, start: dt.datetime) -> list[_Clock]:
        """The hours an hour is held against, by what the clock showed."""
        local = start.astimezone(self.zone)
        today = local.date()
        place = bisect.bisect_left(self.used, today - dt.timedelta(days=LOOKBACK_DAYS + 1))
        if place == len(self.used):
            return []
        # The day of the first call is a part of one.
        begins = self.used[place]
        days = [today - dt.timedelta(days=back) for back in range(1, LOOKBACK_DAYS + 1)]
        return [
            (day, local.hour, local.minute) for day in days if day > begins and _is_weekend(day) == _is_weekend(today)
        ]


def _is_weekend(day: dt.date) -> bool:
    return day.weekday() >= _SATURDAY


def before(start: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """From when on hours are looked at for what is usual at one."""
    return day_start(local_day(start, zone) - dt.timedelta(days=LOOKBACK_DAYS + 1), zone)


def _usage(rule: AlertRule, span: Span, zone: ZoneInfo) -> Usage:
    return Usage("hour", widened(span, "hour", zone), Subject.of(rule))


def _before(rule: AlertRule, span: Span, zone: ZoneInfo) -> UsualHours:
    begins = widened(span, "hour", zone).start
    return UsualHours(Span(before(begins, zone), begins), Subject.of(rule))

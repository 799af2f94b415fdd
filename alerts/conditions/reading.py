"""What conditions judge by: what is asked of usage for them, and a figure of one window."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from alerts.detection.finding import Finding
from alerts.models import Alert, AlertRule, RuleScope, Window
from alerts.models.rules import TEXT_SCOPES
from core.periods import Interval, bucket_start, next_bucket


class Subject(msgspec.Struct, frozen=True):
    """Whose usage: everything (`dimension` ""), or one value of a dimension, by id or by text."""

    dimension: str = ""
    value: int | str = 0

    @classmethod
    def of(cls, one: AlertRule | Alert) -> Subject:
        if one.scope == RuleScope.ORGANIZATION:
            return cls()
        return cls(str(one.scope), one.value if one.scope in TEXT_SCOPES else one.ref)


class Span(msgspec.Struct, frozen=True):
    """What is to be judged: every window that has something of [start, end). `end` is how far usage is known."""

    start: dt.datetime
    end: dt.datetime


class Usage(msgspec.Struct, frozen=True):
    """Usage of a subject by buckets, of each model by itself where `by_model`."""

    interval: Interval
    span: Span
    subject: Subject
    by_model: bool = False


class UsualHours(msgspec.Struct, frozen=True):
    """Tokens of a subject by hours that are long over: remembered for as long as they are the ones asked for."""

    span: Span
    subject: Subject


class Latencies(msgspec.Struct, frozen=True):
    """The 95th percentile of a subject's calls by buckets."""

    interval: Interval
    span: Span
    subject: Subject


class Refusals(msgspec.Struct, frozen=True):
    """How often the subject's keys were refused for calling too fast, by quarters of an hour."""

    span: Span
    subject: Subject


class Allowances(msgspec.Struct, frozen=True):
    """What the plan includes, by billing periods."""


class Credits(msgspec.Struct, frozen=True):
    """What credits there were behind each entry, and what there is now."""

    span: Span


class Findings(msgspec.Struct, frozen=True):
    """What is unusual at the end of the span; of the past, at every moment of it that something was found at."""

    span: Span


Need = Findings | Usage | UsualHours | Latencies | Refusals | Allowances | Credits


class Reading(msgspec.Struct, frozen=True):
    """A figure of the window [start, end), as far as `at`.

    `value` None: there is nothing to judge. `bound` is what it is held against and `expected` what was to be expected,
    in the same unit. `sample` is how much it rests on. `about` names what was found among the subject's usage.
    """

    start: dt.datetime
    end: dt.datetime
    at: dt.datetime
    value: int | None
    bound: int
    expected: int | None = None
    sample: int = 0
    about: str = ""
    # What the detection found, where it did.
    finding: Finding | None = None

    @property
    def is_whole(self) -> bool:
        return self.at >= self.end


class Verdict(enum.Enum):
    HOLDS = "holds"
    CALM = "calm"
    # The window is not over and may still be either, or there is nothing to judge by.
    OPEN = "open"


# ── Windows ──

_INTERVALS: dict[str, Literal["15m", "hour", "day", "month"]] = {
    Window.QUARTER: "15m",
    Window.HOUR: "hour",
    Window.DAY: "day",
    Window.MONTH: "month",
}


def interval_of(window: str) -> Interval:
    """Of windows that are buckets. Raises KeyError for others."""
    return _INTERVALS[window]


def windows(interval: Interval, span: Span, zone: ZoneInfo) -> list[tuple[dt.datetime, dt.datetime]]:
    """The whole buckets that have something of a span, in order."""
    found = []
    start = bucket_start(span.start, interval, zone)
    while start < span.end:
        end = next_bucket(start, interval, zone)
        found.append((start, end))
        start = end
    return found


def widened(span: Span, interval: Interval, zone: ZoneInfo) -> Span:
    """From the beginning of its first bucket on."""
    return Span(bucket_start(span.start, interval, zone), span.end)

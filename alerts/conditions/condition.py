"""What a condition is: how usage is read for it, and the judgment of one reading. No state, no database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol
from zoneinfo import ZoneInfo

from alerts.conditions.reading import (
    Allowances,
    Credits,
    Findings,
    Latencies,
    Need,
    Reading,
    Refusals,
    Span,
    Usage,
    UsualHours,
    Verdict,
)
from alerts.conditions.units import Unit
from alerts.detection.history import Seen
from alerts.models import AlertRule, RuleScope, Window
from billing.contracts import Contract
from metering.query.metrics import Figures

EVERY_SCOPE = tuple(RuleScope)


class Material(Protocol):
    """The answers to what conditions need, by their needs (alerts/evaluation/material.py)."""

    zone: ZoneInfo

    def usage(self, need: Usage) -> dict[str, dict[dt.datetime, Figures]]:
        """By model (or ""), by the start of the bucket; what is missing had no usage."""

    def tokens(self, need: UsualHours) -> dict[dt.datetime, int]: ...

    def latencies(self, need: Latencies) -> dict[dt.datetime, tuple[int | None, int]]:
        """The percentile in milliseconds, and of how many calls."""

    def refusals(self, need: Refusals) -> dict[dt.datetime, int]: ...

    def contract(self, need: Allowances) -> Contract | None: ...

    def findings(self, need: Findings) -> list[Seen]: ...

    def credits(self, need: Credits) -> list[tuple[dt.datetime, int]]:
        """Nano-dollars that could be spent from each instant on; the last one is of now."""


class Condition:
    """`unit` is of thresholds, `measured` of readings and bounds. `sentence` takes label, about, actual, bound,
    expected, threshold and when.

    `is_per_window`: each window is judged for itself, and what held is over with it. Otherwise windows that follow
    each other are one alert, which is over after `calm` windows that are calm; one that begins within `cooldown` of
    the end goes on with it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]
    sentence: ClassVar[str]
    kind: ClassVar[str] = "usage.threshold"
    metric: ClassVar[str]
    unit: ClassVar[Unit] = Unit.TOKENS
    measured: ClassVar[Unit] = Unit.TOKENS
    windows: ClassVar[tuple[Window, ...]] = (Window.DAY,)
    scopes: ClassVar[tuple[RuleScope, ...]] = EVERY_SCOPE
    threshold: ClassVar[int]
    least_threshold: ClassVar[int] = 0
    most_threshold: ClassVar[int | None] = None
    # What a window needs to have to be judged: its default, its unit, and what it is called.
    minimum: ClassVar[int | None] = None
    minimum_unit: ClassVar[Unit] = Unit.REQUESTS
    is_about_money: ClassVar[bool] = False
    side: ClassVar[Literal["above", "reached", "below"]] = "above"
    # What only grows (or, below a bound, can only leave it) is known before its window is over.
    is_known_early: ClassVar[bool] = True
    is_per_window: ClassVar[bool] = False
    calm: ClassVar[int] = 1
    cooldown: ClassVar[dt.timedelta] = dt.timedelta(hours=1)
    # Judging seasons of the past takes seconds: pages ask for it when they are there.
    is_slow: ClassVar[bool] = False
    # So long after an evaluation there is none again.
    pause: ClassVar[dt.timedelta] = dt.timedelta(0)
    # What an alert's parts are sums of; None: it has no parts.
    part: ClassVar[str | None] = "total_tokens"

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        raise NotImplementedError

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        """Of every window that has something of the span, in order of time."""
        raise NotImplementedError

    def is_reached(self, value: int, bound: int) -> bool:
        if self.side == "below":
            return value < bound
        return value >= bound if self.side == "reached" else value > bound

    def judge(self, rule: AlertRule, reading: Reading) -> Verdict:
        if reading.value is None:
            return Verdict.OPEN
        if rule.minimum is not None and reading.sample < rule.minimum:
            return Verdict.CALM if reading.is_whole else Verdict.OPEN
        holds = self.is_reached(reading.value, reading.bound)
        is_decided = reading.is_whole or (self.is_known_early and holds != (self.side == "below"))
        if not is_decided:
            return Verdict.OPEN
        return Verdict.HOLDS if holds else Verdict.CALM

    def absence(self, at: dt.datetime) -> list[tuple[Reading, Verdict]]:  # noqa: ARG002
        """What is judged of something that is open and was not read; nothing, unless a condition says so."""
        return []

    def further(self, one: int, other: int) -> int:
        """Which of two values is more beyond the bound."""
        return min(one, other) if self.side == "below" else max(one, other)

    def value_of(self, figures: Figures) -> int:
        """What an alert's parts are made of."""
        if self.part is None:
            raise ValueError(f"{self.name} has no parts")
        return int(getattr(figures, self.part))


def running_sums(values: Sequence[int]) -> list[int]:
    found, total = [], 0
    for value in values:
        total += value
        found.append(total)
    return found

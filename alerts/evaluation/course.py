"""What becomes of readings: when an alert opens, goes on, comes back and is over.

The same for live alerts and for the past: evaluation follows it from the alerts there are, a preview from none.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Sequence

import msgspec

from alerts.conditions.condition import Condition
from alerts.conditions.reading import Reading, Verdict


class Spell(msgspec.Struct):
    """One alert as far as its course goes: the first window it held for, until when it held, and its furthest."""

    start: dt.datetime
    end: dt.datetime
    threshold: int
    held_until: dt.datetime
    reading: Reading
    resolved_at: dt.datetime | None = None
    is_by_hand: bool = False
    # The alert's number; None of one that is not stored.
    alert: int | None = None


class Turn(enum.Enum):
    OPENED = "opened"
    WENT_ON = "went_on"
    REOPENED = "reopened"
    RESOLVED = "resolved"


class Step(msgspec.Struct, frozen=True):
    turn: Turn
    spell: Spell
    reading: Reading


def follow(
    condition: Condition,
    threshold: int,
    judged: Iterable[tuple[Reading, Verdict]],
    past: Sequence[Spell] = (),
    *,
    at: dt.datetime,
) -> list[Step]:
    """Steps in order of time. `past` are the spells known of the same rule, subject and threshold; they are changed.

    Following the same readings again makes no step: what was accounted for is known by the spells.
    """
    course = _Course(condition, threshold, list(past))
    for reading, verdict in judged:
        course.pass_window(reading)
        if verdict is Verdict.HOLDS:
            course.hold(reading)
        elif verdict is Verdict.CALM:
            course.calm_down(reading)
    course.pass_time(at)
    return course.steps


class _Course:
    def __init__(self, condition: Condition, threshold: int, spells: list[Spell]) -> None:
        self.condition = condition
        self.threshold = threshold
        self.spells = sorted(spells, key=lambda spell: spell.start)
        self.open = next((spell for spell in self.spells if spell.resolved_at is None), None)
        self.calm = 0
        self.steps: list[Step] = []

    @property
    def last(self) -> Spell | None:
        return self.spells[-1] if self.spells else None

    def pass_window(self, reading: Reading) -> None:
        """What is judged window by window is over with its window."""
        if self.open is not None and self.condition.is_per_window and reading.start >= self.open.end:
            self._resolve(self.open.end, reading)

    def pass_time(self, at: dt.datetime) -> None:
        if self.open is not None and self.condition.is_per_window and at >= self.open.end:
            self._resolve(self.open.end, self.open.reading)

    def hold(self, reading: Reading) -> None:
        self.calm = 0
        if self.open is not None:
            self._go_on(self.open, reading)
            return
        last = self.last
        if last is not None and (reading.at <= last.held_until or self._is_same(last, reading)):
            self._hold_again(last, reading)
        elif last is not None and self._is_soon(last, reading):
            if not last.is_by_hand:
                self._reopen(last, reading)
        else:
            self._begin(reading)

    def calm_down(self, reading: Reading) -> None:
        if self.open is None or self.condition.is_per_window or reading.start < self.open.held_until:
            return
        self.calm += 1
        if self.calm >= self.condition.calm:
            self._resolve(reading.at, reading)

    def _is_same(self, last: Spell, reading: Reading) -> bool:
        return reading.start == last.start and last.threshold == self.threshold

    def _is_soon(self, last: Spell, reading: Reading) -> bool:
        """So soon after the end that it is the same matter, flapping."""
        if self.condition.is_per_window or last.resolved_at is None:
            return False
        return reading.start < last.resolved_at + self.condition.cooldown

    def _hold_again(self, last: Spell, reading: Reading) -> None:
        """A window that is known: accounted for, or it holds again after it was over. Nobody who ended it by hand is
        contradicted."""
        if reading.at > last.held_until and not last.is_by_hand:
            self._reopen(last, reading)

    def _begin(self, reading: Reading) -> None:
        spell = Spell(reading.start, reading.end, self.threshold, reading.at, reading)
        self.spells.append(spell)
        self.open = spell
        self.steps.append(Step(Turn.OPENED, spell, reading))

    def _go_on(self, spell: Spell, reading: Reading) -> None:
        if reading.at <= spell.held_until:
            return
        spell.held_until = reading.at
        if (reading.value or 0) != (spell.reading.value or 0):
            further = self.condition.further(reading.value or 0, spell.reading.value or 0)
            if further == (reading.value or 0):
                spell.reading = reading
        self.steps.append(Step(Turn.WENT_ON, spell, reading))

    def _reopen(self, spell: Spell, reading: Reading) -> None:
        spell.resolved_at = None
        self.open = spell
        self.steps.append(Step(Turn.REOPENED, spell, reading))
        self._go_on(spell, reading)

    def _resolve(self, at: dt.datetime, reading: Reading) -> None:
        spell = self.open
        if spell is None:
            raise ValueError("nothing is open")
        spell.resolved_at = at
        self.open, self.calm = None, 0
        self.steps.append(Step(Turn.RESOLVED, spell, reading))

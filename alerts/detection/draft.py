"""A finding before its references have names: what the searches hand to the explanation."""

from __future__ import annotations

import datetime as dt

import msgspec

from alerts.detection.finding import Kind
from alerts.detection.measures import Measure


class Switch(msgspec.Struct, frozen=True):
    """From which model to which one; the share of calls that the one had before and the other has now."""

    source: int
    target: int
    percent_before: int
    percent_now: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """`first` to `last` are positions of hours, both included. `references` are the positions that what was expected
    rests on; `basis` says in words which those are. `since` is the day of a key's use before it slept.
    """

    kind: Kind
    scope: str
    ref: int | str
    measure: Measure
    first: int
    last: int
    actual: int
    expected: int = 0
    low: int | None = None
    high: int | None = None
    basis: str
    score: float | None = None
    references: tuple[int, ...] = ()
    requests: int | None = None
    since: dt.date | None = None
    switch: Switch | None = None

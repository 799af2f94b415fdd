"""An organization's usage as rows of hours, by key and model, as far back as verdicts look."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.detection.expectation import LOOKBACK
from alerts.detection.lookback import Ints
from alerts.detection.measures import Measure
from core.periods import buckets, day_start, hour_start, local_day
from metering.query.hourly import (
    COLUMNS,
    HourRow,
    Lifetime,
    read_hours,
    read_lifetimes,
    read_part_of_hour,
)
from metering.query.run import ledger_zone

ORGANIZATION = "organization"
# What rows of hours are told apart by.
DIMENSIONS = ("api_key", "model")
# Events come a little after they happened; until then an hour that is over is not too low.
SETTLES = dt.timedelta(minutes=5)
# Verdicts of so many hours back are asked for: the longest course of one thing, and where it may have begun.
COURSE = 72

_PLACES = {Measure(name): place for place, name in enumerate(COLUMNS)}


class Clock(msgspec.Struct, frozen=True):
    """Hours in a row, oldest first, as the clock on the wall has them; `ends` has their ends, the last one's being now.

    `open_hours` at the end are not over, or so lately that events of them are still coming.
    """

    zone: ZoneInfo
    starts: tuple[dt.datetime, ...]
    end: dt.datetime
    places: tuple[int, ...]
    open_hours: int

    def __len__(self) -> int:
        return len(self.starts)

    def until(self, position: int) -> Clock:
        """The clock when the hours before a position had ended, and all of their events had come."""
        return Clock(self.zone, self.starts[:position], self.end_of(position - 1), self.places[:position], 0)

    def end_of(self, position: int) -> dt.datetime:
        return self.starts[position + 1] if position + 1 < len(self.starts) else self.end

    def day_of(self, position: int) -> dt.date:
        return local_day(self.starts[position], self.zone)


class UsageHours(msgspec.Struct, frozen=True):
    """`figures` has (key × model, measure, hour); `keys` and `models` the references of its rows, 0 for without.

    `lifetimes` are those of the days before the first hour.
    """

    clock: Clock
    keys: Ints
    models: Ints
    figures: npt.NDArray[np.int64]
    lifetimes: dict[str, dict[int, Lifetime]]

    def until(self, position: int) -> UsageHours:
        """What was known when the hours before a position had ended."""
        cut = self.figures[:, :, :position]
        return UsageHours(self.clock.until(position), self.keys, self.models, cut, self.lifetimes)

    def of(self, measure: Measure) -> npt.NDArray[np.int64]:
        return self.figures[:, _PLACES[measure]]

    def refs(self, dimension: str) -> Ints:
        return self.keys if dimension == "api_key" else self.models

    def rows(self, scope: str, ref: int) -> npt.NDArray[np.bool_]:
        """Which rows belong to a scope."""
        if scope == ORGANIZATION:
            return np.ones(len(self.keys), dtype=bool)
        return np.equal(self.refs(scope), ref)

    def by(self, dimension: str, measure: Measure) -> tuple[Ints, npt.NDArray[np.int64]]:
        """The references that there are, and each one's hours."""
        refs, place = np.unique(self.refs(dimension), return_inverse=True)
        sums = np.zeros((len(refs), len(self.clock)), dtype=np.int64)
        np.add.at(sums, place, self.of(measure))
        return refs, sums

    def begins(self, dimension: str, refs: Ints) -> Ints:
        """The position of each one's first use, 0 if that was before these hours. Of ORGANIZATION its own."""
        if dimension == ORGANIZATION:
            used = self.of(Measure.REQUESTS).sum(axis=0)[None]
            known = np.array([bool(self.lifetimes["model"])])
        else:
            found, used = self.by(dimension, Measure.REQUESTS)
            used = used[np.searchsorted(found, refs)]
            known = np.array([int(ref) in self.lifetimes[dimension] for ref in refs], dtype=bool)
        return np.where(known, 0, np.argmax(used > 0, axis=1)).astype(np.int64)

    @property
    def first_day(self) -> dt.date:
        """The first day of any use. Needs one."""
        before = [life.first for life in self.lifetimes["model"].values()]
        if before:
            return min(before)
        return self.clock.day_of(int(np.argmax(self.of(Measure.REQUESTS).sum(axis=0) > 0)))


def read_usage_hours(organization_id: int, now: dt.datetime, course: int = COURSE) -> UsageHours | None:
    """As of now: what happened later is not in it. None before the first event, or without any use in these hours.

    Verdicts can be made of the last `course` hours. Needs the organization's scope.
    """
    zone = ledger_zone(organization_id)
    if zone is None:
        return None
    clock = clock_at(zone, now, course)
    opened = hour_start(now, zone)
    rows = read_hours(organization_id, clock.starts[0], opened)
    if opened < now:
        rows += read_part_of_hour(organization_id, opened, now)
    if not rows:
        return None
    lifetimes = read_lifetimes(organization_id, DIMENSIONS, local_day(clock.starts[0], zone))
    return UsageHours(clock, *_columns(rows, clock), lifetimes)


def clock_at(zone: ZoneInfo, now: dt.datetime, course: int = COURSE) -> Clock:
    """The hours that verdicts at that time look at; the first one begins a day, so that no day is seen in part."""
    opened = hour_start(now, zone)
    starts, places = _hours_before(zone, opened, LOOKBACK + course)
    if opened < now:
        local = opened.astimezone(zone)
        starts, places = (*starts, opened), (*places, local.weekday() * 24 + local.hour)
    still_open = sum(start == opened or end > now - SETTLES for start, end in pairwise((*starts[-3:], now)))
    return Clock(zone, starts, now, places, still_open)


@functools.lru_cache(maxsize=64)
def _hours_before(zone: ZoneInfo, opened: dt.datetime, count: int) -> tuple[tuple[dt.datetime, ...], tuple[int, ...]]:
    """Organizations of a zone share them."""
    first = local_day(opened - dt.timedelta(hours=count), zone)
    starts = tuple(start for start, _ in buckets(day_start(first, zone), opened, "hour", zone))
    local = [at.astimezone(zone) for at in starts]
    return starts, tuple(at.weekday() * 24 + at.hour for at in local)


def _columns(rows: Iterable[HourRow], clock: Clock) -> tuple[Ints, Ints, npt.NDArray[np.int64]]:
    place_of = {int(start.timestamp()): at for at, start in enumerate(clock.starts)}
    listed = [(row.api_key, row.model, place_of[row.start], *row.figures) for row in rows if row.start in place_of]
    table = np.array(listed, dtype=np.int64).reshape(-1, 3 + len(COLUMNS))
    pairs, row_of = np.unique(table[:, :2], axis=0, return_inverse=True)
    figures = np.zeros((len(pairs), len(COLUMNS), len(clock)), dtype=np.int64)
    for place in range(len(COLUMNS)):
        np.add.at(figures[:, place], (row_of.reshape(-1), table[:, 2]), table[:, 3 + place])
    return pairs[:, 0], pairs[:, 1], figures

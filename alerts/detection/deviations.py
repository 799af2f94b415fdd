"""Figures out of their range, of the organization, its keys and its models: each course of hours is one."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from alerts.detection.draft import Draft
from alerts.detection.error_rates import FEWEST_ERRORS, judge_errors
from alerts.detection.expectation import Basis, begun, references, usual_size
from alerts.detection.finding import Kind
from alerts.detection.lookback import HOURS_OF_DAY, HOURS_OF_WEEK, Floats, Ints
from alerts.detection.measures import MATERIAL, MINIMUM, Measure
from alerts.detection.usage_hours import COURSE, DIMENSIONS, ORGANIZATION, UsageHours
from alerts.detection.verdicts import MATERIAL_SHARE, Verdicts, judge_hours

# A course goes on over pauses of so many usual hours, and is still told so long after its last unusual one.
PAUSE = 3
VOLUMES = (Measure.COST, Measure.TOKENS, Measure.REQUESTS)
# Of one measure and one kind of scope, those that differ most: what everybody does at once is the organization's.
MOST = 20


class Rows(msgspec.Struct, frozen=True):
    """Series of one measure: whose they are, and their hours."""

    scopes: list[tuple[str, int]]
    values: Floats
    begins: Ints

    def only(self, kept: Ints) -> Rows:
        return Rows([self.scopes[at] for at in kept], self.values[kept], self.begins[kept])


def find_deviations(usage: UsageHours) -> list[Draft]:
    """What is unusual now or was until a few hours ago."""
    found = [*(draft for measure in VOLUMES for draft in _volumes(usage, measure)), *_errors(usage)]
    of_kind: dict[tuple[Measure, str], list[Draft]] = defaultdict(list)
    for draft in found:
        of_kind[draft.measure, draft.scope].append(draft)
    return [draft for drafts in of_kind.values() for draft in heapq.nlargest(MOST, drafts, key=_difference)]


def unusual_hours(usage: UsageHours, first: int) -> set[int]:
    """The positions from `first` on at which anything is out of its range, of hours that are over."""
    found: set[int] = set()
    calls, failed = _rows(usage, Measure.REQUESTS), _rows(usage, Measure.ERRORS)
    kept = np.nonzero(failed.values[:, first:].max(axis=1) >= FEWEST_ERRORS)[0]
    for measure in VOLUMES:
        every = calls if measure is Measure.REQUESTS else _rows(usage, measure)
        material = _material(every, measure)
        rows = _lively(every, measure, material[first:])
        for begin, end in _stretches(usage, first):
            verdicts = _judged(usage, measure, rows, material, begin, end)
            found |= {begin + at for at in np.nonzero(verdicts.is_anomalous.any(axis=0))[0].tolist()}
    for begin, end in _stretches(usage, first):
        errors = judge_errors(calls.values[kept, :end], failed.values[kept, :end], first=begin)
        found |= {begin + at for at in np.nonzero(errors.is_anomalous.any(axis=0))[0].tolist()}
    return found


def _stretches(usage: UsageHours, first: int) -> Iterator[tuple[int, int]]:
    """A week at a time: each hour is held against hundreds of others, of every series."""
    over = len(usage.clock) - usage.clock.open_hours
    for begin in range(first, over, HOURS_OF_WEEK):
        yield begin, min(begin + HOURS_OF_WEEK, over)


def _difference(draft: Draft) -> int:
    return abs(draft.actual - draft.expected)


def _rows(usage: UsageHours, measure: Measure) -> Rows:
    whole = usage.of(measure).sum(axis=0)[None]
    scopes, values, begins = [(ORGANIZATION, 0)], [whole], [usage.begins(ORGANIZATION, np.zeros(1, np.int64))]
    for dimension in DIMENSIONS:
        refs, sums = usage.by(dimension, measure)
        scopes += [(dimension, int(ref)) for ref in refs]
        values.append(sums)
        begins.append(usage.begins(dimension, refs))
    return Rows(scopes, np.concatenate(values).astype(np.float64), np.concatenate(begins))


def _volumes(usage: UsageHours, measure: Measure) -> Iterator[Draft]:
    every, end = _rows(usage, measure), len(usage.clock)
    material = _material(every, measure)
    rows = _lively(every, measure, material[end - COURSE :])
    verdicts = _judged(usage, measure, rows, material, latest_hour(usage), end)
    rows = rows.only(np.nonzero(verdicts.is_anomalous.any(axis=1))[0])
    yield from _courses(usage, measure, rows, _judged(usage, measure, rows, material, end - COURSE, end))


def _lively(rows: Rows, measure: Measure, material: Floats) -> Rows:
    """A series that never had the minimum, nor as much as a difference has to be, cannot be unusual.

    No hour is further from what is expected of it than from the median of hours like it.
    """
    least = max(float(MINIMUM[measure]), float(material.min()))
    return rows.only(np.nonzero(rows.values.max(axis=1) >= least)[0])


def _judged(usage: UsageHours, measure: Measure, rows: Rows, material: Floats, first: int, end: int) -> Verdicts:
    """Of the hours [first, end); those at the end of all are still open."""
    return judge_hours(
        rows.values[:, :end],
        usage.clock.places[:end],
        minimum=float(MINIMUM[measure]),
        material=material[first:end],
        first=first,
        begins=rows.begins,
        open_hours=max(usage.clock.open_hours - (len(usage.clock) - end), 0),
    )


def _material(rows: Rows, measure: Measure) -> Floats:
    """Of each hour. What matters is measured by the organization, the first of the rows, whosever hour it is."""
    whole, begins = rows.values[:1], rows.begins[:1]
    usual = usual_size(whole, begun(whole, begins), 0)[0]
    material: Floats = np.maximum(float(MATERIAL[measure]), MATERIAL_SHARE * usual)
    return material


def _errors(usage: UsageHours) -> Iterator[Draft]:
    every, calls = _rows(usage, Measure.ERRORS), _rows(usage, Measure.REQUESTS)
    latest, first = latest_hour(usage), len(usage.clock) - COURSE
    failing = np.nonzero(every.values[:, latest:].any(axis=1))[0]
    rows, calls = every.only(failing), calls.only(failing)
    unusual = np.nonzero(judge_errors(calls.values, rows.values, first=latest).is_anomalous.any(axis=1))[0]
    rows, calls = rows.only(unusual), calls.only(unusual)
    for draft in _courses(usage, Measure.ERRORS, rows, judge_errors(calls.values, rows.values, first=first)):
        at = rows.scopes.index((draft.scope, int(draft.ref)))
        yield msgspec.structs.replace(draft, requests=int(calls.values[at, draft.first : draft.last + 1].sum()))


def latest_hour(usage: UsageHours) -> int:
    """The first of the hours in which a course may have been last seen."""
    return len(usage.clock) - usage.clock.open_hours - PAUSE


def _courses(usage: UsageHours, measure: Measure, rows: Rows, verdicts: Verdicts) -> Iterator[Draft]:
    for at, (scope, ref) in enumerate(rows.scopes):
        for sign in (1, -1):
            hours = np.nonzero(verdicts.is_anomalous[at] & (verdicts.score[at] * sign > 0))[0].tolist()
            course = last_course(hours)
            if course and course[1] + verdicts.first >= latest_hour(usage):
                yield _draft(usage, measure, (scope, ref), verdicts, at, course)


def last_course(hours: Sequence[int]) -> tuple[int, int] | None:
    """The first and the last of the newest unusual hours that follow each other, pauses included."""
    if not hours:
        return None
    first = len(hours) - 1
    while first and hours[first] - hours[first - 1] <= PAUSE + 1:
        first -= 1
    return hours[first], hours[-1]


def _draft(
    usage: UsageHours,
    measure: Measure,
    scope: tuple[str, int],
    verdicts: Verdicts,
    at: int,
    course: tuple[int, int],
) -> Draft:
    begin, end = course
    hours = slice(begin, end + 1)
    first, last = begin + verdicts.first, end + verdicts.first
    scores = verdicts.score[at, hours]
    peak = begin + int(np.nanargmax(np.abs(scores)))
    basis = Basis(int(verdicts.basis[at, peak]))
    rows = usage.rows(*scope)
    return Draft(
        kind=Kind.UNUSUAL,
        scope=scope[0],
        ref=scope[1],
        measure=measure,
        first=first,
        last=last,
        actual=int(usage.of(measure)[rows, first : last + 1].sum()),
        expected=round(float(np.nansum(verdicts.expected[at, hours]))),
        low=math.floor(float(np.nansum(verdicts.low[at, hours]))),
        high=math.ceil(float(np.nansum(verdicts.high[at, hours]))),
        basis=basis.words,
        score=round(float(verdicts.score[at, peak]), 2),
        references=_references(usage, basis, first, last),
    )


def _references(usage: UsageHours, basis: Basis, first: int, last: int) -> tuple[int, ...]:
    """The hours that the expectation rests on, of all hours of a course, without these themselves."""
    if basis is Basis.LAST_DAYS:
        return tuple(range(max(first - 7 * HOURS_OF_DAY, 0), first))
    found = {at for hour in range(first, last + 1) for at in references(usage.clock.places, hour, basis)}
    return tuple(sorted(at for at in found if at < first))

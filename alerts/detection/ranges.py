"""What was usual hour by hour: the ranges that verdicts were made with, for a chart beside a finding."""

from __future__ import annotations

import datetime as dt
import math

import msgspec
import numpy as np

from alerts.detection.error_rates import judge_errors
from alerts.detection.expectation import Basis
from alerts.detection.lookback import Floats
from alerts.detection.measures import MINIMUM, Measure
from alerts.detection.usage_hours import COURSE, ORGANIZATION, UsageHours, read_usage_hours
from alerts.detection.verdicts import Verdicts, judge_hours
from core.tenancy import organization_scope
from metering.query.labels import name_refs


class UsualHour(msgspec.Struct, frozen=True):
    """What was used from `start` on, and from where to where would have been usual; None where nobody knows."""

    start: dt.datetime
    actual: int
    low: int | None
    high: int | None


def usual_hours(
    organization_id: int, scope: str, ref: int | str, measure: Measure, until: dt.datetime
) -> list[UsualHour]:
    """Of the last COURSE hours before `until`, oldest first; nothing for what was not used in all that time.

    `scope` and `ref` are a finding's: the organization, or one of usage_hours.DIMENSIONS. Opens the scope.
    """
    with organization_scope(organization_id):
        usage = read_usage_hours(organization_id, until)
        number = None if usage is None else _reference(organization_id, usage, scope, ref)
    if usage is None or number is None:
        return []
    first = len(usage.clock) - COURSE
    actual = usage.of(measure)[usage.rows(scope, number)].sum(axis=0)[first:].tolist()
    found = _verdicts(usage, measure, scope, number, first)
    is_known = (found.basis[0] != Basis.TOO_SHORT).tolist()
    return [
        UsualHour(
            usage.clock.starts[first + at],
            actual[at],
            math.floor(found.low[0, at]) if is_known[at] else None,
            math.ceil(found.high[0, at]) if is_known[at] else None,
        )
        for at in range(COURSE)
    ]


def _reference(organization_id: int, usage: UsageHours, scope: str, ref: int | str) -> int | None:
    if scope == ORGANIZATION:
        return 0
    refs = set(usage.refs(scope).tolist())
    if isinstance(ref, int):
        return ref if ref in refs else None
    named = name_refs(organization_id, {scope: refs})[scope]
    return next((number for number, value in named.items() if value.key == ref), None)


def _verdicts(usage: UsageHours, measure: Measure, scope: str, number: int, first: int) -> Verdicts:
    rows = usage.rows(scope, number)

    def series(of: Measure) -> Floats:
        found: Floats = usage.of(of)[rows].sum(axis=0)[None].astype(np.float64)
        return found

    if measure is Measure.ERRORS:
        return judge_errors(series(Measure.REQUESTS), series(measure), first=first)
    begins = usage.begins(scope, np.array([number], dtype=np.int64))
    places = usage.clock.places
    return judge_hours(series(measure), places, minimum=float(MINIMUM[measure]), first=first, begins=begins)

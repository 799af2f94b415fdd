"""What would have been found in the past, judged at the end of each hour by what was known then.

The same finders, asked only at moments at which something can have come or gone. Usage as it is now stands for what had
come by then, and switches of models are those of keys alone: others take reading every event.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left

import msgspec

from accounts.models import Organization
from alerts.detection.deviations import PAUSE, unusual_hours
from alerts.detection.explaining import explain_from_hours
from alerts.detection.finding import Finding
from alerts.detection.first_uses import hours_of_first_use
from alerts.detection.judging import Explained, find_in_hours, make_findings, read_names
from alerts.detection.quiet_hours import hours_of_quiet_places
from alerts.detection.switches import find_switches_of_keys
from alerts.detection.usage_hours import COURSE, UsageHours, read_usage_hours
from core.tenancy import organization_scope

_HOUR = dt.timedelta(hours=1)


class Seen(msgspec.Struct, frozen=True):
    """What was unusual at a moment, as far as it was known then."""

    at: dt.datetime
    findings: tuple[Finding, ...]


def detect_past(organization: Organization, start: dt.datetime, now: dt.datetime) -> list[Seen]:
    """Of the moments in [start, now] at which something was found, or no longer was, in order.

    Findings are divided by key and model, not by member. Opens the organization's scope.
    """
    with organization_scope(organization.pk):
        usage = read_usage_hours(organization.pk, now, COURSE + -(-(now - start) // _HOUR))
        if usage is None:
            return []
        first = bisect_left(usage.clock.starts, start)
        seen: list[tuple[UsageHours, list[Explained]]] = []
        for position in _moments(usage, first):
            known = usage.until(position)
            drafts = [*find_in_hours(known), *find_switches_of_keys(known)]
            seen.append((known, [(draft, explain_from_hours(known, draft)) for draft in drafts]))
        names = read_names(organization, (one for _, explained in seen for one in explained))
    return [
        Seen(known.clock.end, tuple(make_findings(organization, known, explained, names))) for known, explained in seen
    ]


def _moments(usage: UsageHours, first: int) -> list[int]:
    """Positions whose hours are over: after each hour that something may be found in, and when that is told no more."""
    over = len(usage.clock) - usage.clock.open_hours
    found = unusual_hours(usage, first) | hours_of_first_use(usage, first) | hours_of_quiet_places(usage, first)
    ended = {at + 1 for at in found} | {at + 2 + PAUSE for at in found}
    return sorted(at for at in ended | _days_of_switches(usage, first, over) if first < at <= over)


def _days_of_switches(usage: UsageHours, first: int, over: int) -> set[int]:
    """The first hours of the days on which a switch is told, and of those after them."""
    begins = [at for at in range(first + 1, over) if usage.clock.day_of(at) != usage.clock.day_of(at - 1)]
    told = [place for place, at in enumerate(begins) if any(find_switches_of_keys(usage.until(at + 1)))]
    return {begins[place] + 1 for at in told for place in (at, at + 1) if place < len(begins)}

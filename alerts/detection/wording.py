"""A finding in words: what, how much, when, against what, on which grounds, and what drove it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from alerts.detection.draft import Draft
from alerts.detection.expectation import Basis
from alerts.detection.finding import Breakdown, Kind, Part
from alerts.detection.measures import Measure
from alerts.detection.usage_hours import ORGANIZATION, Clock
from core import figures

NOUNS = {
    ORGANIZATION: "",
    "api_key": "Key",
    "model": "Model",
    "member": "Member",
    "feature": "Feature",
    "integration": "Integration",
    "chat": "Chat",
}
# What is usual when, and why if it is not told by the hour of the week; of one hour or of several.
_GROUNDS = {
    Basis.HOUR_OF_WEEK.words: "in {hours} of the week",
    Basis.HOUR_OF_DAY.words: "in {hours} of the day; four weeks are not known yet",
    Basis.RECENT_HOURS.words: "in the hours before; more is not known yet",
    Basis.LAST_DAYS.words: "in the two weeks before",
}


def amount(measure: Measure, value: int) -> str:
    """With its unit."""
    if measure is Measure.COST:
        return figures.money(value)
    if measure is Measure.TOKENS:
        return f"{figures.tokens_compact(value)} tokens"
    return _calls(value)


def named(scope: str, label: str) -> str:
    """As a sentence begins with it."""
    return label if scope == ORGANIZATION else f"{NOUNS[scope]} {label}"


def sentence(draft: Draft, label: str, breakdowns: Sequence[Breakdown], clock: Clock, models: tuple[str, str]) -> str:
    """`models` are the names of those that a switch was from and to."""
    whose, when = named(draft.scope, label), _when(draft, clock)
    calls = _calls(draft.actual)
    if draft.kind is Kind.UNUSUAL:
        return f"{_unusual(draft, whose, when)}{_driver(draft, breakdowns)}"
    if draft.kind is Kind.NEW_MODEL:
        return f"{whose} was used for the first time: {calls} since {_moment(draft, clock)}."
    if draft.kind is Kind.NEW_KEY:
        return f"{whose} was used for the first time: {calls} since {_moment(draft, clock)}."
    if draft.kind is Kind.DORMANT_KEY:
        slept = "" if draft.since is None else f" after it was last used on {_day(draft.since)}"
        return f"{whose} is in use again{slept}: {calls} since {_moment(draft, clock)}."
    if draft.kind is Kind.UNUSUAL_HOURS:
        return f"{whose} made {calls} {when}, hours of the week in which practically nothing was used before."
    switch = draft.switch
    if switch is None:
        raise ValueError("a switch has its models")
    return (
        f"{whose} went over from {models[0]} to {models[1]}: {switch.percent_now}% of {_calls(draft.requests or 0)}"
        f" on {_day(clock.day_of(draft.first))}. In the seven days before, {switch.percent_before}% were {models[0]}'s."
    )


def _unusual(draft: Draft, whose: str, when: str) -> str:
    hours = "this hour" if draft.first == draft.last else "these hours"
    grounds = _GROUNDS[draft.basis].format(hours=hours)
    high = amount(draft.measure, draft.high or 0)
    if draft.measure is Measure.ERRORS:
        requests = draft.requests or 0
        share = figures.percent(figures.share(draft.actual, requests) if requests else None)
        return (
            f"{whose}: {figures.count(draft.actual)} of {_calls(requests)} failed {when} ({share}),"
            f" {_calls(draft.expected)} were to be expected and up to {high} would be usual {grounds}."
        )
    low = amount(draft.measure, draft.low or 0).removesuffix(" tokens").removesuffix(" calls")
    verb = "made" if draft.measure is Measure.REQUESTS else "used"
    side = "more" if draft.actual > draft.expected else "less"
    return (
        f"{whose} {verb} {amount(draft.measure, draft.actual)} {when}, {side} than the {low} to {high} that are usual"
        f" {grounds}."
    )


def _driver(draft: Draft, breakdowns: Sequence[Breakdown]) -> str:
    """The one part that most of the difference is of."""
    whole = draft.actual - draft.expected
    for breakdown in breakdowns:
        part: Part | None = next((one for one in breakdown.parts if not one.is_rest), None)
        if part and part.key is not None and part.difference * whole > 0 and abs(part.difference) * 2 >= abs(whole):
            difference = amount(draft.measure, abs(part.difference))
            return f" {named(breakdown.dimension, part.label)} makes {difference} of the difference."
    return ""


def _calls(count: int) -> str:
    return f"{figures.count(count)} call{'' if count == 1 else 's'}"


def _day(day: dt.date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _moment(draft: Draft, clock: Clock) -> str:
    start = clock.starts[draft.first].astimezone(clock.zone)
    return f"{start:%H:%M} on {_day(start.date())}"


def _when(draft: Draft, clock: Clock) -> str:
    start = clock.starts[draft.first].astimezone(clock.zone)
    end = clock.end_of(draft.last).astimezone(clock.zone)
    if start.date() == end.date():
        return f"from {start:%H:%M} to {end:%H:%M} on {_day(start.date())}"
    return f"from {_moment(draft, clock)} to {end:%H:%M} on {_day(end.date())}"

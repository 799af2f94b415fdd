"""Keys, features, integrations and chats that went over from one model to another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping

from alerts.detection.draft import Draft, Switch
from alerts.detection.finding import Kind
from alerts.detection.measures import Measure
from alerts.detection.usage_hours import UsageHours
from core.apportion import apportion
from metering.query.hourly import ModelUse, read_model_use

# The day that ended last is held against the seven days before it.
DAYS_BEFORE = 7
# Of each, at least; and the share of the calls that left one model and that another one got, in percent.
FEWEST_CALLS = 20
MOVED_PERCENT = 50
BASIS = "the seven days before"

# Calls by model.
Calls = Mapping[int, int]
Edges = tuple[int, int, int]


def find_switches(organization_id: int, usage: UsageHours) -> Iterator[Draft]:
    """Needs the organization's scope. The same all day long: only whole days are compared."""
    edges = _edges(usage)
    begin, middle, end = (usage.clock.starts[edge] for edge in edges)
    if _has_choice(usage, edges):
        uses = read_model_use(organization_id, begin, middle, end, FEWEST_CALLS)
        yield from _switched(_of_keys(usage, edges) + uses, edges)


def find_switches_of_keys(usage: UsageHours) -> Iterator[Draft]:
    """Those that hours alone can tell: no event is read."""
    edges = _edges(usage)
    if _has_choice(usage, edges):
        yield from _switched(_of_keys(usage, edges), edges)


def _edges(usage: UsageHours) -> Edges:
    """Where the seven days, the day that ended last and today begin."""
    today = usage.clock.day_of(len(usage.clock) - 1)
    begin, middle, end = (_start_of(usage, today - dt.timedelta(days=days)) for days in (1 + DAYS_BEFORE, 1, 0))
    return begin, middle, end


def _has_choice(usage: UsageHours, edges: Edges) -> bool:
    calls = usage.of(Measure.REQUESTS)[:, edges[0] : edges[2]]
    return len(set(usage.models[calls.any(axis=1)].tolist())) > 1


def _switched(uses: Iterable[ModelUse], edges: Edges) -> Iterator[Draft]:
    for use in uses:
        switch = switched(use.before, use.after)
        if switch:
            yield _draft(use, switch, edges)


def _of_keys(usage: UsageHours, edges: Edges) -> list[ModelUse]:
    begin, middle, end = edges
    calls = usage.of(Measure.REQUESTS)
    found: dict[int, ModelUse] = {}
    for row, (key, model) in enumerate(zip(usage.keys.tolist(), usage.models.tolist(), strict=True)):
        if not key:
            continue
        use = found.setdefault(key, ModelUse("api_key", key, {}, {}))
        for counts, hours in ((use.before, slice(begin, middle)), (use.after, slice(middle, end))):
            if count := int(calls[row, hours].sum()):
                counts[model] = count
    return list(found.values())


def _start_of(usage: UsageHours, day: dt.date) -> int:
    """The position of a day's first hour, one of the last few days."""
    at = len(usage.clock) - 1
    while at and usage.clock.day_of(at - 1) >= day:
        at -= 1
    return at


def switched(before: Calls, after: Calls) -> tuple[int, int] | None:
    """The model that lost most of the calls, and the one that got them; None when not enough went over."""
    all_before, all_after = sum(before.values()), sum(after.values())
    if min(all_before, all_after) < FEWEST_CALLS:
        return None
    # Of all calls of both sides multiplied, so that whole numbers are compared.
    moves = {model: after.get(model, 0) * all_before - before.get(model, 0) * all_after for model in {*before, *after}}
    ordered = sorted(moves, key=lambda model: (moves[model], model))
    source, target = ordered[0], ordered[-1]
    enough = MOVED_PERCENT * all_before * all_after
    return (source, target) if min(-moves[source], moves[target]) * 100 >= enough else None


def _draft(use: ModelUse, switch: tuple[int, int], edges: Edges) -> Draft:
    source, target = switch
    begin, middle, end = edges
    all_before, all_after = sum(use.before.values()), sum(use.after.values())
    was = use.before.get(target, 0)
    return Draft(
        kind=Kind.MODEL_SWITCHED,
        scope=use.dimension,
        ref=use.ref,
        measure=Measure.REQUESTS,
        first=middle,
        last=end - 1,
        actual=use.after[target],
        expected=apportion(all_after, [was, all_before - was])[0],
        basis=BASIS,
        references=tuple(range(begin, middle)),
        requests=all_after,
        switch=Switch(
            source, target, use.before.get(source, 0) * 100 // all_before, use.after[target] * 100 // all_after
        ),
    )

"""What an alert consists of: the parts of its window, by model, by key, by member. They sum to it exactly."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from accounts.models import Organization
from alerts.conditions import condition
from alerts.conditions.anomaly import UNITS
from alerts.conditions.hourly_spike import Usual, before
from alerts.conditions.reading import Subject
from alerts.detection.finding import Finding
from alerts.models import Alert, AlertRule, RuleScope
from core.apportion import apportion
from metering.query import refusals
from metering.query.labels import GroupValue, name_refs
from metering.query.run import run
from metering.query.spec import UsageQuery

DIMENSIONS = ("model", "api_key", "member", "feature")
# An hour is told apart by these in a roll-up; what is usual is asked for by weeks of hours.
HOUR_PARTS = ("model", "api_key")
MOST_PARTS = 6


class Part(msgspec.Struct, frozen=True):
    """`key` goes back into a filter; None is what has no such value. The rest of many is "other", with no key."""

    key: str | None
    label: str
    actual: int
    expected: int | None = None
    is_rest: bool = False


def explain(organization: Organization, rule: AlertRule, alert: Alert, at: dt.datetime) -> dict[str, Any]:
    """As JSON. Needs the organization's scope."""
    judged_by = condition(rule.condition)
    end = min(alert.peak_ends_at, at)
    if rule.condition == "rate_limited":
        return _written([("api_key", _refused(rule, alert.peak_starts_at, end))])
    if judged_by.part is None or alert.peak_starts_at >= end:
        return {}
    told = [name for name in DIMENSIONS if name != rule.scope and not (alert.about and name == "model")]
    if rule.condition == "hourly_spike":
        told = [name for name in told if name in HOUR_PARTS]
        usual = {name: _usual(organization, rule, alert, name) for name in told}
    else:
        usual = {}
    found = []
    for name in told:
        parts = _parts(organization, rule, alert, name, end)
        found.append((name, _shortened(_with_expected(parts, usual[name], alert) if usual else parts)))
    return _written(found)


def explain_finding(finding: Finding) -> dict[str, Any]:
    """As JSON: what the detection says of it. `remainder` was expected of no part."""
    return {
        "kind": finding.kind.value,
        "text": finding.text,
        "basis": finding.basis,
        "unit": UNITS[finding.measure].value,
        "measure": finding.measure.value,
        "low": finding.low,
        "high": finding.high,
        "score": finding.score,
        "by": [
            {
                "dimension": one.dimension,
                "parts": [msgspec.to_builtins(part) for part in one.parts],
                "remainder": one.remainder,
            }
            for one in finding.parts
        ],
    }


def _query(
    organization: Organization, rule: AlertRule, start: dt.datetime, end: dt.datetime, by: str, about: str, **more: Any
) -> UsageQuery:
    subject = Subject.of(rule)
    filters: dict[str, tuple[Any, ...]] = {subject.dimension: (subject.value,)} if subject.dimension else {}
    if about:
        filters["model"] = (about,)
    return UsageQuery(organization.pk, start, end, organization.zone, group_by=(by,), filters=filters, **more)


def _parts(organization: Organization, rule: AlertRule, alert: Alert, by: str, end: dt.datetime) -> list[Part]:
    value_of = condition(rule.condition).value_of
    result = run(_query(organization, rule, alert.peak_starts_at, end, by, alert.about))
    return [
        Part(row.group[by].key, _label(row.group[by]), value) for row in result.rows if (value := value_of(row.figures))
    ]


def _usual(organization: Organization, rule: AlertRule, alert: Alert, by: str) -> dict[str | None, tuple[str, int]]:
    """What the hours that the alert's was held against had of each part, by key, with its name."""
    start, zone = alert.peak_starts_at, organization.zone
    rows = run(_query(organization, rule, before(start, zone), start, by, alert.about, interval="hour")).rows
    whole: dict[dt.datetime, int] = defaultdict(int)
    for row in rows:
        whole[row.start] += row.figures.total_tokens
    same = set(Usual(whole, zone).same_hours(start))
    found: dict[str | None, tuple[str, int]] = {}
    for row in rows:
        local = row.start.astimezone(zone)
        if (local.date(), local.hour, local.minute) in same:
            _, before_it = found.get(row.group[by].key, ("", 0))
            found[row.group[by].key] = (_label(row.group[by]), before_it + row.figures.total_tokens)
    return found


def _with_expected(parts: Sequence[Part], usual: Mapping[str | None, tuple[str, int]], alert: Alert) -> list[Part]:
    """What was to be expected, divided as the hours before were: so that parts of the change sum to it."""
    known = {part.key: part for part in parts}
    keys = [*known, *(key for key in usual if key not in known)]
    weights = [usual.get(key, ("", 0))[1] for key in keys]
    if not any(weights):
        return list(parts)
    expected = apportion(alert.expected or 0, weights)
    return [
        msgspec.structs.replace(known.get(key) or Part(key, usual[key][0], 0), expected=share)
        for key, share in zip(keys, expected, strict=True)
    ]


def _shortened(parts: Sequence[Part]) -> list[Part]:
    """The largest, or those that changed most, and the rest as one."""
    ordered = sorted(parts, key=lambda part: (-abs(part.actual - (part.expected or 0)), part.label))
    if len(ordered) <= MOST_PARTS:
        return ordered
    shown, rest = ordered[: MOST_PARTS - 1], ordered[MOST_PARTS - 1 :]
    expected = None if all(part.expected is None for part in rest) else sum(part.expected or 0 for part in rest)
    return [*shown, Part(None, f"{len(rest)} others", sum(part.actual for part in rest), expected, is_rest=True)]


def _refused(rule: AlertRule, start: dt.datetime, end: dt.datetime) -> list[Part]:
    subject = Subject.of(rule)
    counts: dict[int, int] = defaultdict(int)
    for one in refusals.too_fast(start, end):
        if subject.dimension == "" or getattr(one, subject.dimension) == subject.value:
            counts[one.api_key] += one.count
    named = name_refs(rule.organization_id, {RuleScope.API_KEY.value: counts})[RuleScope.API_KEY.value]
    return _shortened([Part(named[pk].key, _label(named[pk]), count) for pk, count in counts.items()])


def _label(value: GroupValue) -> str:
    return value.label or ("none" if value.key is None else f"deleted {value.key}")


def _written(by: Sequence[tuple[str, Sequence[Part]]]) -> dict[str, Any]:
    return {"by": [{"dimension": name, "parts": msgspec.to_builtins(parts)} for name, parts in by if parts]}

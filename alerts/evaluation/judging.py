"""Rules and what usage says about each of their windows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from accounts.models import Organization
from alerts.conditions import condition
from alerts.conditions.reading import Reading, Span, Verdict
from alerts.evaluation.material import Material
from alerts.models import AlertRule

Judged = list[tuple[Reading, Verdict]]


def judge(
    organization: Organization,
    spans: Mapping[int, Span],
    rules: Sequence[AlertRule],
    at: dt.datetime,
    *,
    is_live: bool = True,
) -> dict[int, dict[str, Judged]]:
    """By the rule's place in the list, then by what the reading is about, in order of time.

    `spans` has the span of each place. Live, long-gone hours may come from the cache. Needs the
    scope.
    """
    material = Material(organization, at, is_live=is_live)
    zone = organization.zone
    material.load(
        need for place, rule in enumerate(rules) for need in condition(rule.condition).needs(rule, spans[place], zone)
    )
    found: dict[int, dict[str, Judged]] = {}
    for place, rule in enumerate(rules):
        by_about = found.setdefault(place, {})
        judged_by = condition(rule.condition)
        for reading in judged_by.read(rule, spans[place], material):
            by_about.setdefault(reading.about, []).append((reading, judged_by.judge(rule, reading)))
    return found

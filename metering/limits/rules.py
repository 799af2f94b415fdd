"""Limits as a process remembers them: which of them a call falls under, and from when to when each counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from core.periods import day_start, local_day, month_start, next_month
from core.tenancy import organization_scope
from metering.dimensions import DIMENSIONS, Dimension
from metering.models import Limit, LimitPeriod
from metering.store.base import StoredEvent

# What a limit may be about, in the order of `Selection`: the limit's column → the dimension.
SELECTORS: dict[str, Dimension] = {
    "project_id": DIMENSIONS["project"],
    "team_id": DIMENSIONS["team"],
    "department_id": DIMENSIONS["department"],
    "member_id": DIMENSIONS["member"],
    "api_key_id": DIMENSIONS["api_key"],
    "model": DIMENSIONS["model"],
    "feature": DIMENSIONS["feature"],
}
# project, team, department, member, key; model, feature. 0 and "" are none of a call's, and any of a limit's.
Selection = tuple[int, int, int, int, int, str, str]


class Span(msgspec.Struct, frozen=True):
    """A period of a limit, as days of the organization's zone and as instants; half-open, `ends` None is open."""

    starts_on: dt.date
    ends_on: dt.date | None
    starts_at: dt.datetime
    ends_at: dt.datetime | None


class Rule(msgspec.Struct, frozen=True):
    """One limit. `amount` is tokens or nano-dollars, None is unlimited."""

    id: int
    kind: str
    label: str
    unit: str
    amount: int | None
    period: str
    starts_on: dt.date | None
    ends_on: dt.date | None
    selection: Selection
    is_hard: bool = True

    def span(self, at: dt.datetime, zone: ZoneInfo) -> Span | None:
        """The period that `at` is in, or None outside of it."""
        day = local_day(at, zone)
        starts_on, ends_on = self.starts_on, self.ends_on
        if self.period == LimitPeriod.MONTH:
            starts_on, ends_on = month_start(day), next_month(day)
        if starts_on is None or day < starts_on or (ends_on is not None and day >= ends_on):
            return None
        return Span(
            starts_on, ends_on, day_start(starts_on, zone), None if ends_on is None else day_start(ends_on, zone)
        )


class Rules:
    """An organization's limits, found by what a call is: as many look-ups as there are combinations of selectors."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_selectors: dict[tuple[int, ...], dict[tuple[int | str, ...], list[Rule]]] = {}
        for rule in rules:
            if rule.amount is None or not rule.is_hard:
                continue
            used = tuple(at for at, value in enumerate(rule.selection) if value)
            values = tuple(rule.selection[at] for at in used)
            self._by_selectors.setdefault(used, {}).setdefault(values, []).append(rule)

    def __bool__(self) -> bool:
        """Whether there is one that refuses calls."""
        return bool(self._by_selectors)

    @classmethod
    def load(cls, organization_id: int) -> Rules:
        """Read an organization's active limits (for metering.keyring.Keyring.about)."""
        with organization_scope(organization_id):
            return cls([_rule(limit) for limit in Limit.objects.filter(is_active=True).order_by("id")])

    def over(self, selection: Selection) -> list[Rule]:
        """The limits that a call falls under and may be refused by."""
        return [
            rule
            for used, found in self._by_selectors.items()
            for rule in found.get(tuple(selection[at] for at in used), ())
        ]


def selection_of(row: StoredEvent, model: str, feature: str | None) -> Selection:
    return (row.project_id, row.team_id, row.department_id, row.member_id, row.api_key_id, model, feature or "")


def _rule(limit: Limit) -> Rule:
    selection = (
        limit.project_id, limit.team_id, limit.department_id, limit.member_id, limit.api_key_id,
        limit.model, limit.feature,
    )  # fmt: skip
    return Rule(
        limit.pk, limit.kind, limit.label, limit.unit, limit.amount, limit.period, limit.starts_on, limit.ends_on,
        selection, limit.is_hard,
    )  # fmt: skip

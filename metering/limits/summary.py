"""An organization's allowance and balance, for the answers of the reading API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from fractions import Fraction

import msgspec

from metering.limits.refusals import credits_left
from metering.limits.rules import SELECTORS
from metering.limits.standing import Standing, of_organization
from metering.models import LimitKind, LimitUnit
from metering.query.labels import resolve_filters
from metering.query.metrics import rounded
from metering.query.spec import FilterValue

# A limit's selectors, as far as they are known.
Chosen = tuple[int | str | None, ...]


class Allowance(msgspec.Struct, frozen=True):
    """Tokens of the allowance's own period. `limit` None is unlimited; `percent` of 100, to one decimal."""

    limit: int | None
    used: int
    remaining: int | None
    percent: float | int | None
    overage_tokens: int


class Balance(msgspec.Struct, frozen=True):
    """None where there is no such limit."""

    allowance: Allowance | None
    credits_remaining: int | None


def read_balance(organization_id: int, filters: Mapping[str, tuple[FilterValue, ...]], at: dt.datetime) -> Balance:
    """What is left of the allowance for exactly what the filters choose, and of the credits that pay for it.

    Needs the organization's scope.
    """
    standings = of_organization(organization_id, at)
    if not standings:
        return Balance(None, None)
    asked = _selection(organization_id, filters)
    allowances = [
        one
        for one in standings
        if one.rule.kind == LimitKind.ALLOWANCE and one.rule.unit == LimitUnit.TOKENS and one.rule.selection == asked
    ]
    paying = [one for one in standings if _covers(one, asked)]
    return Balance(_allowance(min(allowances, key=_tightness)) if allowances else None, credits_left(paying))


def _covers(standing: Standing, asked: Chosen | None) -> bool:
    """Whether the limit bounds all that is asked for."""
    wanted = standing.rule.selection
    if asked is None:
        return not any(wanted)
    return all(value in (0, "", had) for value, had in zip(wanted, asked, strict=True))


def _selection(organization_id: int, filters: Mapping[str, tuple[FilterValue, ...]]) -> Chosen | None:
    """The selectors that choose what the filters choose, in their order; None when none can."""
    names = {dimension.name for dimension in SELECTORS.values()}
    if not names.issuperset(filters) or any(len(values) != 1 or values[0] is None for values in filters.values()):
        return None
    resolved = resolve_filters(organization_id, filters)
    selection: list[int | str | None] = []
    for dimension in SELECTORS.values():
        if dimension.name not in filters:
            selection.append("" if dimension.is_label else 0)
        else:
            selection.append(
                str(filters[dimension.name][0]) if dimension.is_label else resolved[dimension.name].refs[0]
            )
    return tuple(selection)


def _tightness(standing: Standing) -> tuple[bool, int]:
    return standing.remaining is None, standing.remaining or 0


def _allowance(standing: Standing) -> Allowance:
    limit, used = standing.amount, standing.used
    if limit is None:
        return Allowance(None, used, None, None, 0)
    percent = rounded(Fraction(used * 100, limit), 1) if limit else None
    return Allowance(limit, used, standing.remaining, percent, max(0, used - limit))

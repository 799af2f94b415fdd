"""Limits as pages show them: which of them bound what a person looks at, and how much of each is used."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, cast

import msgspec
from django.core.cache import cache
from django.urls import reverse

from accounts.models import Membership
from accounts.permissions import Right, may
from core import figures as words
from core.periods import day_start
from metering.dimensions import Dimension
from metering.limits.rules import SELECTORS, Rule, Span
from metering.limits.standing import Standing, of_organization
from metering.models import REFUSING_KINDS, LimitKind, LimitPeriod, LimitUnit
from metering.query.labels import name_refs
from reports.filters import NOTHING
from reports.page import UsagePage
from reports.series import Measure

MOST_SHOWN = 6
# From that share of a limit on it is said so, in these words.
STATES = ((Fraction(95, 100), "critical"), (Fraction(90, 100), "caution"), (Fraction(75, 100), "warning"))
SIDEBAR_SECONDS = 30
# A mark is drawn up to that many times the greatest value.
MOST_ABOVE = 3

_NOBODY = (0, 0, 0, 0, 0, "", "")
_TEAM, _MEMBER = list(SELECTORS).index("team_id"), list(SELECTORS).index("member_id")
_ENTITIES = {name: at for at, (name, dimension) in enumerate(SELECTORS.items()) if not dimension.is_label}


class Whose(msgspec.Struct, frozen=True):
    """Whose limits a person may see: everybody's, a team's, or only their own."""

    member_id: int = 0
    team_id: int = 0

    @classmethod
    def of(cls, page: UsagePage) -> Whose:
        if page.team:
            return cls(team_id=page.team.pk)
        return cls(member_id=page.membership.pk) if page.fixed else cls()

    @property
    def selection(self) -> tuple[int | str, ...]:
        """A limit on exactly this."""
        selection: list[int | str] = list(_NOBODY)
        selection[_TEAM], selection[_MEMBER] = self.team_id, self.member_id
        return tuple(selection)

    @property
    def is_everybody(self) -> bool:
        return self.selection == _NOBODY

    def sees(self, rule: Rule) -> bool:
        return (
            self.is_everybody
            or (self.team_id != 0 and rule.selection[_TEAM] == self.team_id)
            or (self.member_id != 0 and rule.selection[_MEMBER] == self.member_id)
        )


class Allowance(msgspec.Struct, frozen=True):
    """Tokens that may be used in a period. `is_shared`: everybody's, of which the view's usage is only a part."""

    label: str
    limit: int
    span: Span
    is_hard: bool
    is_charged_beyond: bool
    is_shared: bool


def state_of(share: Fraction | None) -> str:
    """ok, warning, caution or critical."""
    return next((state for least, state in STATES if share is not None and share >= least), "ok")


# ── Read ──


def standings(page: UsagePage) -> list[Standing]:
    """The limits there are on what this person may look at, the most used first."""
    whose = Whose.of(page)
    sees_money = may(page.membership.role, Right.SEE_MONEY)

    def wanted(rule: Rule) -> bool:
        if rule.kind in REFUSING_KINDS:
            return False
        return is_plain_allowance(rule) or (whose.sees(rule) and (rule.kind != LimitKind.CREDITS or sees_money))

    found = of_organization(page.organization.pk, page.now, wanted)
    return sorted(found, key=lambda one: _share(one) or Fraction(0), reverse=True)


def allowance_of(page: UsagePage, found: Sequence[Standing]) -> Allowance | None:
    """What a person's tokens are measured by: a cap of exactly these, else the organization's allowance.

    None is unlimited.
    """
    own = _tightest([one for one in found if one.rule.selection == Whose.of(page).selection])
    one = own or _tightest([one for one in found if is_plain_allowance(one.rule)])
    if one is None or one.amount is None:
        return None
    is_plan = one.rule.kind == LimitKind.ALLOWANCE
    return Allowance(
        one.rule.label, one.amount, one.span, one.rule.is_hard, is_plan and not one.rule.is_hard, is_shared=own is None
    )


def sidebar_allowance(membership: Membership, now: dt.datetime) -> dict[str, Any] | None:
    """For every page's frame: the organization's allowance to who sees its usage, else the person's own cap.

    As it was less than half a minute ago, so that frames cost nothing.
    """
    whose = Whose() if may(membership.role, Right.SEE_USAGE) else Whose(member_id=membership.pk)
    key = f"sidebar-allowance:{membership.organization_id}:{whose.member_id}"
    kept = cache.get(key)
    if kept is None:
        found = of_organization(membership.organization_id, now, lambda rule: rule.selection == whose.selection)
        one = _tightest(found)
        kept = {} if one is None else _sidebar(one)
        cache.set(key, kept, SIDEBAR_SECONDS)
    return kept or None


def _sidebar(one: Standing) -> dict[str, Any]:
    share = _share(one)
    status = state_of(share)
    return {
        "percent": share,
        "used": one.used,
        "limit": one.amount,
        "renews_on": one.span.ends_on,
        "status": "" if status == "ok" else status,
    }


def is_plain_allowance(rule: Rule) -> bool:
    """What a plan includes for everybody together."""
    return rule.selection == _NOBODY and rule.kind == LimitKind.ALLOWANCE


def _tightest(found: Sequence[Standing]) -> Standing | None:
    """Of the limits in tokens, an allowance before a budget."""
    capped = [
        one
        for one in found
        if one.rule.unit == LimitUnit.TOKENS and one.amount is not None and one.rule.kind not in REFUSING_KINDS
    ]
    return min(
        capped,
        key=lambda one: (one.rule.kind != LimitKind.ALLOWANCE, (one.amount or 0) - one.used),
        default=None,
    )


def _share(one: Standing) -> Fraction | None:
    if one.amount is None:
        return None
    # A limit of nothing is used up by anything.
    return Fraction(one.counted, one.amount) if one.amount else Fraction(1)


# ── Shown ──


def limit_rows(page: UsagePage, found: Sequence[Standing]) -> dict[str, Any] | None:
    """The most used limits this person may see, each with the way to its usage. None where there are none."""
    whose = Whose.of(page)
    capped = [one for one in found if one.amount is not None and whose.sees(one.rule)]
    if not capped:
        return None
    shown = capped[:MOST_SHOWN]
    names = _names(page, shown)
    return {"rows": [_row(page, one, names) for one in shown], "rest": len(capped) - len(shown)}


def urgent(page: UsagePage, found: Sequence[Standing]) -> list[dict[str, Any]]:
    """What to say above all else: the limit that is the nearest to its end, and how many more are."""
    whose = Whose.of(page)
    near = [one for one in found if whose.sees(one.rule) and state_of(_share(one)) in ("caution", "critical")]
    if not near:
        return []
    first = near[0]
    status = state_of(_share(first))
    ends = first.span.ends_at
    days = None if ends is None else max(0, (ends - page.now).days)
    until = (
        "" if days is None else f", with {days} day{'' if days == 1 else 's'} to go" if days else ", on its last day"
    )
    text = f"{_amount(first, first.counted)} of {_amount(first, first.amount)}{until}."
    if len(near) > 1:
        text += f" {len(near) - 1} more {'is' if len(near) == 2 else 'are'} above 90%."
    return [
        {
            "tone": status,
            "icon": ICONS[status],
            "label": "Limits",
            "fact": f"{first.rule.label} is at {words.percent(_share(first))}.",
            "text": text,
            "actions": [{"label": "See the limits", "url": "#limits"}],
        }
    ]


ICONS = {
    "ok": "check-lg",
    "warning": "exclamation-triangle",
    "caution": "exclamation-triangle-fill",
    "critical": "exclamation-octagon-fill",
}
LABELS = {"ok": "On track", "warning": "Warning", "caution": "Caution", "critical": "Critical"}
KINDS = {LimitKind.ALLOWANCE: "Allowance", LimitKind.BUDGET: "Budget", LimitKind.CREDITS: "Credits"}


def _row(page: UsagePage, one: Standing, names: dict[str, dict[int, Any]]) -> dict[str, Any]:
    share = _share(one)
    status = state_of(share)
    return {
        "label": one.rule.label,
        "kind": KINDS[LimitKind(one.rule.kind)],
        "scope": ", ".join(_scope(one.rule, names)) or page.organization.name,
        "used": _amount(one, one.counted),
        "limit": _amount(one, one.amount),
        "share": share,
        "pace": _pace(page, one),
        "status": status,
        "status_label": "Used up" if share is not None and share >= 1 else LABELS[status],
        "icon": ICONS[status],
        "url": _usage_url(page, one, names),
    }


def _amount(one: Standing, value: int | None) -> str:
    return words.money(value, 2) if one.rule.unit == LimitUnit.COST else words.tokens(value)


def _pace(page: UsagePage, one: Standing) -> Fraction | None:
    """How much of the period is over."""
    if one.span.ends_at is None:
        return None
    second = dt.timedelta(seconds=1)
    return Fraction((page.now - one.span.starts_at) // second, (one.span.ends_at - one.span.starts_at) // second)


def _names(page: UsagePage, found: Sequence[Standing]) -> dict[str, dict[int, Any]]:
    refs: dict[str, set[int]] = {
        SELECTORS[name].name: {cast("int", one.rule.selection[at]) for one in found} for name, at in _ENTITIES.items()
    }
    return name_refs(page.organization.pk, refs)


def _selected(rule: Rule) -> list[tuple[Dimension, int | str]]:
    """What a limit is about, and which of it."""
    pairs = zip(SELECTORS.values(), cast("tuple[int | str, ...]", rule.selection), strict=True)
    return [(dimension, value) for dimension, value in pairs if value]


def _scope(rule: Rule, names: dict[str, dict[int, Any]]) -> list[str]:
    """What a limit is about, by name."""
    said = []
    for dimension, value in _selected(rule):
        group = None if dimension.is_label else names[dimension.name][int(value)]
        said.append(str(value) if group is None else group.label or group.key)
    return said


def _usage_url(page: UsagePage, one: Standing, names: dict[str, dict[int, Any]]) -> str:
    """The usage a limit counts, in its period."""
    chosen = page.chosen
    changes: dict[str, str | None] = dict.fromkeys(chosen.parameters)
    if one.rule.period == LimitPeriod.MONTH:
        changes["range"] = "month"
    else:
        ends = one.span.ends_on
        until = page.now if ends is None else day_start(ends, chosen.zone)
        given = {"from": one.span.starts_at, "to": until}
        changes |= {name: at.astimezone(chosen.zone).strftime("%Y-%m-%dT%H:%M") for name, at in given.items()}
    for dimension, value in _selected(one.rule):
        changes[dimension.name] = str(value) if dimension.is_label else names[dimension.name][int(value)].key or NOTHING
    return chosen.url(reverse("reports:usage", args=[page.organization.slug]), **changes)


# ── In charts ──


def pace_marks(page: UsagePage, found: Sequence[Standing], measure: Measure, highest: int) -> list[dict[str, Any]]:
    """What a day may have at an even pace, by the limits on exactly what a chart by days shows.

    `highest` is the chart's greatest value: a pace far above it would only flatten the lines.
    """
    unit = {"total_tokens": LimitUnit.TOKENS, "cost_usd": LimitUnit.COST}.get(measure.metric)
    if unit is None or page.chosen.interval != "day" or page.is_narrowed:
        return []
    marks = []
    for one in found:
        rule, ends_on = one.rule, one.span.ends_on
        if one.amount is None or ends_on is None or rule.unit != unit or rule.kind == LimitKind.CREDITS:
            continue
        daily = one.amount // (ends_on - one.span.starts_on).days
        if rule.selection != Whose.of(page).selection or daily > MOST_ABOVE * highest:
            continue
        text = words.money(daily, 2) if unit == LimitUnit.COST else "".join(words.compact_parts(daily))
        marks.append(
            {
                "y": measure.drawn(daily),
                "label": f"{rule.label}: {text} a day",
                "role": "budget" if rule.kind == LimitKind.BUDGET else "limit",
                # Over the days to come there are no lines to write upon.
                "at": "end" if page.chosen.range.end > page.now else "start",
            }
        )
    return marks

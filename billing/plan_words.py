"""What a plan's terms are called, and how their values read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from billing.models import Feature, Overage, PlanVersion
from billing.plans import Terms, terms_of
from core import figures as words

# A field of Terms → what people call it.
LABELS = {
    "name": "Name",
    "position": "Place in the list",
    "is_offered": "On sale",
    "base_fee_nanos": "Fee a period",
    "allowance_tokens": "Tokens a period",
    "overage": "Tokens beyond",
    "requests_per_minute": "Requests a minute",
    "tokens_per_minute": "Tokens a minute",
    "features": "Includes",
    "trial_days": "Days of trial",
}
# What of it is nothing to those who have the plan.
_OF_SELLING = frozenset({"position", "is_offered", "trial_days"})

Differences = Mapping[str, tuple[Any, Any]]


def differences(before: Terms, after: Terms) -> dict[str, tuple[Any, Any]]:
    """The fields that are not the same, before and after."""
    values = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return {name: (value, values[1][name]) for name, value in values[0].items() if value != values[1][name]}


def term_words(name: str, value: Any) -> str:
    """A term as people read it."""
    if name == "base_fee_nanos":
        return words.money(value)
    if name == "overage":
        return str(Overage(value).label)
    if name == "features":
        return ", ".join(str(Feature(one).label) for one in value) or "nothing more"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "unlimited"
    return words.count(value) if isinstance(value, int) else str(value)


def change_words(before: PlanVersion, after: PlanVersion) -> str:
    """What becomes another for those who have the plan, in one sentence; "" where nothing does."""
    changed = {
        name: pair for name, pair in differences(terms_of(before), terms_of(after)).items() if name not in _OF_SELLING
    }
    said = "; ".join(
        f"{LABELS[name].lower()} {term_words(name, new)} instead of {term_words(name, old)}"
        for name, (old, new) in changed.items()
    )
    return f"{said[0].upper()}{said[1:]}." if said else ""

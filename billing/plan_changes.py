"""What the operator decides about a plan, looked at before it is saved: what changes, for whom, from when on.

A saved change stands in the audit log of every organization it concerns.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec

from accounts import audit
from accounts.audit import Actor
from billing.models import PlanVersion
from billing.plan_words import differences
from billing.plans import change_plan_terms, draft_version, terms_of, version_on, versions_made
from billing.subscribers import Touched, subscribers, touched_by
from core.errors import ApiError
from core.tenancy import unscoped


class Preview(msgspec.Struct, frozen=True):
    """`before` is the plan as it would be on that day without the draft; `after` a version that ends the draft again.

    `changes` has the fields of Terms that differ, before and after.
    """

    draft: PlanVersion
    before: PlanVersion
    after: PlanVersion | None
    changes: dict[str, tuple[Any, Any]]
    touched: list[Touched]


def preview(code: str, terms: Mapping[str, Any], *, effective_on: dt.date, by: Actor) -> Preview:
    """Raises ApiError 422 as `change_plan_terms`, and for terms that are those of the day already."""
    draft = draft_version(code, terms, effective_on=effective_on, by_label=by.label[:254])
    before = version_on(code, effective_on)
    changes = differences(terms_of(before), terms_of(draft))
    if not changes:
        raise ApiError(422, "nothing_changes", f"That is what {before.name} is on this day already.")
    following = PlanVersion.objects.filter(plan=draft.plan, effective_on__gt=effective_on)
    return Preview(
        draft, before, following.order_by("effective_on", "-number").first(), changes, touched_by(draft, subscribers())
    )


def change_terms(
    code: str, terms: Mapping[str, Any], *, effective_on: dt.date, seen: int, by: Actor
) -> tuple[PlanVersion, int]:
    """Save what was looked at. Returns the version, and how many organizations it concerns.

    `seen` is the number of the version that was looked at: raises ApiError 409 where another one was made meanwhile.
    """
    with unscoped("a plan's change is written down for everybody it concerns"):
        looked_at = preview(code, terms, effective_on=effective_on, by=by)
        version = change_plan_terms(code, terms, effective_on=effective_on, by_label=by.label[:254])
        if version.number != seen:
            raise ApiError(409, "plan_changed", "The plan was changed meanwhile. Look at this again.")
        audit.record_of_all(
            by,
            "plan.change",
            [
                (one.organization, looked_at.changes | {"effective_on": (None, one.begins_on)})
                for one in looked_at.touched
            ],
            label=version.name,
        )
    return version, len(looked_at.touched)


def retire(code: str, *, effective_on: dt.date, by: Actor) -> None:
    """From a day on nobody begins on the plan by themselves, by later versions neither; who has it keeps it.

    Raises ApiError 422 as `change_plan_terms`, 409 where it is not offered anyway.
    """
    with unscoped("a plan is taken from sale"):
        plan = version_on(code, effective_on).plan
        days = PlanVersion.objects.filter(plan=plan, effective_on__gt=effective_on).values_list(
            "effective_on", flat=True
        )
        offered = [day for day in sorted({effective_on, *days}) if version_on(code, day).is_offered]
        if not offered:
            raise ApiError(409, "not_offered", "This plan is not on sale then.")
        for day in offered:
            change_terms(code, {"is_offered": False}, effective_on=day, seen=versions_made(plan) + 1, by=by)

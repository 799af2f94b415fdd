"""What people and programs do about advice: take it, or not.

They lock the insight and then their organization's AdviceRound (reports/advice/rounds.py), for no longer than it takes
to write.
"""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import PermissionDenied
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.pricing.book import PriceBook
from reports.advice import kind_of
from reports.advice.following import begin
from reports.advice.kind import Context
from reports.advice.reach import Reach
from reports.advice.records import find_insight, reopen
from reports.advice.savings import window_of
from reports.advice.together import sum_up
from reports.models import Insight, InsightState

LONGEST_REASON = 500


def dismiss(insight: Insight, reason: str, reach: Reach, *, by: Actor, at: dt.datetime | None = None) -> Insight:
    """It is not followed. Raises ApiError 409 for advice that is not open, 422 for a reason that is too long,
    PermissionDenied without the right."""
    at = at or now()
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise ApiError(
            422,
            "invalid_parameter",
            f"A reason has at most {LONGEST_REASON} characters, none of them NUL.",
            param="reason",
        )
    with organization_scope(insight.organization_id):
        found = _open(_locked(insight, reach))
        _settle(found, InsightState.DISMISSED, by, at)
        found.reason = reason.strip()
        found.save()
        sum_up(found.organization_id)
        audit.record(by, "insight.dismiss", found, {"reason": (None, found.reason)}, label=found.title)
    return found


def mark_done(insight: Insight, reach: Reach, *, by: Actor, at: dt.datetime | None = None) -> Insight:
    """It was followed: what it realizes is measured from the next day on. Raises as `dismiss`."""
    at = at or now()
    with organization_scope(insight.organization_id):
        _check_acts(reach)
        kind = kind_of(_open(find_insight(insight.pk, reach)).kind)
        organization = Organization.objects.get(pk=insight.organization_id)
        context = Context(organization, *window_of(at, organization.zone), at, PriceBook.load())
        # Measured before anything is locked: a round, or somebody else, is not to wait for that.
        before = kind.work(context, insight.subject) if kind.work else None
        found = _open(_locked(insight, reach))
        begin(found, before, context)
        _settle(found, InsightState.DONE, by, at)
        found.save()
        sum_up(found.organization_id)
        audit.record(by, "insight.done", found, label=found.title)
    return found


def open_again(insight: Insight, reach: Reach, *, by: Actor, at: dt.datetime | None = None) -> Insight:
    """What was dismissed or done is not. Raises ApiError 409 for advice that is neither, PermissionDenied."""
    at = at or now()
    with organization_scope(insight.organization_id):
        found = _locked(insight, reach)
        if found.state not in (InsightState.DISMISSED, InsightState.DONE):
            raise ApiError(409, "insight_not_settled", "This advice was neither dismissed nor done.")
        reopen(found, at)
        found.save()
        sum_up(found.organization_id)
        audit.record(by, "insight.reopen", found, label=found.title)
    return found


def _settle(insight: Insight, state: InsightState, by: Actor, at: dt.datetime) -> None:
    insight.state, insight.settled_at, insight.settled_by_label = state, at, by.label
    insight.settled_nanos, insight.reason = insight.likely_nanos, ""


def _open(insight: Insight) -> Insight:
    """The insight, where it is one to be settled."""
    if insight.state != InsightState.OPEN:
        raise ApiError(409, "insight_not_open", f"This advice is not open: {insight.get_state_display().lower()}.")
    return insight


def _check_acts(reach: Reach) -> None:
    if not reach.acts:
        raise PermissionDenied("You may see this advice, not settle it.")


def _locked(insight: Insight, reach: Reach) -> Insight:
    """As it is now, and stays until the transaction ends."""
    _check_acts(reach)
    Insight.objects.select_for_update(no_key=True).filter(pk=insight.pk).first()
    return find_insight(insight.pk, reach)

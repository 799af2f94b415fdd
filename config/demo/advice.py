"""What was advised, taken and dismissed: as if somebody had looked at it for some weeks."""

from __future__ import annotations

import datetime as dt

from django.utils.timezone import now

from accounts.audit import Actor
from accounts.models import Membership, Organization, Role
from config.demo.habits import MOVED_DAYS_AGO
from core.tenancy import organization_scope
from reports.advice import acting, rounds
from reports.advice.reach import Reach
from reports.models import Insight, InsightState

TAKEN = ("model_switch", "anthropic|claude-sonnet-4-5|claude-haiku-4-5")
DISMISSED, REASON = "large_files", "The bot is asked about the whole of it. We look at this again in spring."


def settle(organization: Organization) -> None:
    """Looks through the usage as it was when short calls moved to a smaller model, and as it is."""
    at = now() - dt.timedelta(days=MOVED_DAYS_AGO)
    rounds.look(organization.pk, at)
    with organization_scope(organization.pk):
        adam = Membership.objects.select_related("user").get(user__email="adam@northbound.test")
        by, reach = Actor(adam.user.email, Role(adam.role), adam.user), Reach.of(adam.role)
        taken = Insight.objects.filter(kind=TAKEN[0], subject=TAKEN[1], state=InsightState.OPEN).first()
        if taken is not None:
            acting.mark_done(taken, reach, by=by, at=at)
        dismissed = Insight.objects.filter(kind=DISMISSED, state=InsightState.OPEN).order_by("pk").first()
        if dismissed is not None:
            acting.dismiss(dismissed, REASON, reach, by=by, at=at)
    rounds.look(organization.pk, now())

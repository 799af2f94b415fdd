"""What the demo's people have been told so far, and a room they could be told in."""

from __future__ import annotations

import datetime as dt

from django.db.models import F, OuterRef, Subquery
from django.utils.timezone import now as current_time

from accounts.models import Organization
from alerts import facts
from alerts.chat.rooms import create_room
from alerts.models import Dialect, Dispatch, Notice, ToldFact
from config.demo.organization import BY
from core.periods import day_start
from core.tenancy import organization_scope, unscoped

# What is older than this was read when it came.
UNREAD_DAYS = 3
OFFICE_OPENS = dt.timedelta(hours=9)
# Made up, so it is paused: who tries the demo enters their own.
ADDRESS = "https://hooks.slack.com/services/T0000/B0000/northbound"
ROOM_KINDS = ["budget.threshold", "usage.anomaly", "calls.suspended"]


def create(organization: Organization) -> None:
    values = {"name": "#ml-costs", "dialect": Dialect.SLACK, "kinds": ROOM_KINDS, "is_active": False}
    with organization_scope(organization.pk):
        create_room(organization, ADDRESS, values, by=BY)


def settle() -> None:
    """Months of facts as if each had been told in its time: in inboxes, read; no e-mail about them is sent today."""
    _date()
    while waiting := facts.waiting():
        for organization_id, fact_id in waiting:
            facts.spread(organization_id, fact_id)
    with unscoped("the demo's past lies in all of its organizations"):
        Dispatch.objects.all().delete()
        told = ToldFact.objects.filter(pk=OuterRef("fact_id"))
        Notice.objects.update(created_at=Subquery(told.values("happened_at")))
        old = Notice.objects.filter(created_at__lt=current_time() - dt.timedelta(days=UNREAD_DAYS))
        old.update(read_at=F("created_at") + dt.timedelta(hours=5))


def _date() -> None:
    """Papers of the past were written a moment ago; they are told as of their own days."""
    with unscoped("the demo's past lies in all of its organizations"):
        for fact in ToldFact.objects.filter(kind__startswith="invoice.").select_related("organization"):
            day = dt.date.fromisoformat(fact.data.get("issued_on") or fact.data["paid_on"])
            fact.happened_at = day_start(day, fact.organization.zone) + OFFICE_OPENS
            fact.save(update_fields=["happened_at"])

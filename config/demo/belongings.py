"""What people of the demo organization have set up: a saved view, a negotiated price, and a question they asked."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.utils.timezone import now as current_time

from accounts.models import Membership, Organization, Role
from config.demo.organization import BY
from core.tenancy import organization_scope
from metering.pricing.overrides import rate, set_override
from reports.diagnosis.run import diagnose
from reports.models import Diagnosis, Symptom
from reports.saved.records import create_view

VIEW = "Support by model"
DISCOUNT_DAYS = 30


def create(organization: Organization) -> None:
    """Before there is any usage, so that it is rated at the negotiated price."""
    with organization_scope(organization.pk):
        owner = Membership.objects.get(role=Role.OWNER)
        create_view(owner, VIEW, "usage", {"by": ["model"], "project": ["support-bot"]}, is_shared=True, by=BY)
    set_override(
        BY,
        organization.pk,
        provider="openai",
        model="gpt-4o-mini",
        rates=[rate("input", Decimal("0.13"), note="negotiated"), rate("output", Decimal("0.52"), note="negotiated")],
        valid_from=current_time() - dt.timedelta(days=DISCOUNT_DAYS),
    )


def ask(organization: Organization) -> None:
    """Why does some usage cost nothing? Looked into once the usage is there."""
    end = current_time()
    with organization_scope(organization.pk):
        owner = Membership.objects.get(role=Role.OWNER)
        asked = Diagnosis.objects.create(
            organization=organization,
            asked_by=owner,
            symptom=Symptom.COST,
            starts_at=end - dt.timedelta(days=7),
            ends_at=end,
        )
    diagnose(organization.pk, asked.pk)

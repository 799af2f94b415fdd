"""What people of the demo organization have set up: a saved view, a negotiated price, questions they asked."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils.timezone import now as current_time

from accounts.models import Membership, Organization, Role
from billing.reconciliation.records import keep
from config.demo.organization import BY
from core.tenancy import organization_scope
from metering.pricing.book import PriceBook
from metering.pricing.overrides import rate, set_override
from metering.query.comparison import compare, find_target
from metering.query.gpus import Gpus
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports import comparison_records
from reports.comparison import USUAL
from reports.diagnosis.run import diagnose
from reports.models import Diagnosis, Symptom
from reports.saved.records import create_view

VIEW = "Support by model"
COMPARISON = "Thirty days at small models"
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
    """Why usage costs nothing, whether the provider counts the same, what others would cost: of usage that is there."""
    end = current_time().replace(microsecond=0)
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
    with organization_scope(organization.pk):
        keep(organization, "openai-usage-last-week.csv", _provider_export(organization, end), Decimal(1), by=BY)
        _keep_comparison(organization, owner, end)


def _keep_comparison(organization: Organization, owner: Membership, at: dt.datetime) -> None:
    """The last thirty days at the prices of small models, and on a rented GPU."""
    query = UsageQuery(organization.pk, at - dt.timedelta(days=30), at, organization.zone)
    book, gpus = PriceBook.load(), Gpus.read({})
    found = compare(query, [find_target(book, organization.pk, name, at) for name in USUAL], gpus)
    comparison_records.keep(owner, COMPARISON, query, found, gpus, of_member=None, of_team=None, by=BY)


def _provider_export(organization: Organization, end: dt.datetime) -> bytes:
    """OpenAI's usage of the last seven days as its dashboard exports it; with a model nobody here has called."""
    last = end.replace(hour=0, minute=0, second=0, microsecond=0)
    query = UsageQuery(
        organization.pk,
        last - dt.timedelta(days=7),
        last,
        ZoneInfo("UTC"),
        "day",
        ("model",),
        {"provider": ("openai",)},
    )
    lines = ["start_time,end_time,num_model_requests,model,input_tokens,output_tokens"]
    for row in run(query).rows:
        figures = row.figures
        span = f"{int(row.start.timestamp())},{int(row.end.timestamp())}"
        model, prompt, completion = row.group["model"].label, figures.prompt_tokens, figures.completion_tokens
        lines.append(f"{span},{figures.requests},{model},{prompt},{completion}")
    first = last - dt.timedelta(days=3)
    lines.append(f"{int(first.timestamp())},{int(first.timestamp()) + 86_400},12,o4-mini,48211,9034")
    return "\n".join(lines).encode()

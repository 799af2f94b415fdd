"""Who sells in these tests, what a model costs, and usage of a plan."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from accounts.audit import Actor
from accounts.models import Organization
from billing.models import Seller
from billing.subscriptions import start_subscription
from core.tenancy import organization_scope
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.pipeline import Sender, record
from metering.pricing.book import PriceBook
from metering.store.base import Outcome
from tests.metering.query.usage import make_event
from tests.reports.priced import set_prices

BY = Actor.of_command("test")


def day(month: int, number: int, hour: int = 12, year: int = 2026) -> dt.datetime:
    return dt.datetime(year, month, number, hour, tzinfo=dt.UTC)


def sell(organization: Organization, plan: str = "developer", *, since: dt.datetime) -> None:
    """A seller in Hamburg, list prices, and the organization (of Berlin) on a plan."""
    Seller.objects.get_or_create(
        pk=1,
        defaults={
            "name": "Lumen Cloud GmbH",
            "street": "Hafenstraße 12",
            "postal_code": "20457",
            "city": "Hamburg",
            "country": "DE",
            "tax_number": "DE136695976",
            "is_registered": True,
        },
    )
    set_prices()
    organization.country = "DE"
    with organization_scope(organization.pk):
        organization.save(update_fields=["country"])
    start_subscription(organization, plan, by=BY, at=since)


def use(organization: Organization, events: Sequence[UsageEvent], received_at: dt.datetime | None = None) -> None:
    with organization_scope(organization.pk):
        rated = record(
            Directory.load(organization.pk),
            PriceBook.load(),
            Sender(),
            events,
            received_at or max(event.occurred_at for event in events),
        )
    assert {one.outcome for one in rated} <= {Outcome.CREATED}


def call(name: str, at: dt.datetime, tokens: int, model: str = "gpt-4o", **fields: object) -> UsageEvent:
    return make_event(name, at, model, Usage(input=tokens), provider="openai", **fields)

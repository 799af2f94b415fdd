"""Who sells in these tests, what a model costs, and usage of a plan."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from accounts.audit import Actor
from accounts.models import Organization
from billing.invoices.charges import Charge
from billing.invoices.closing import store
from billing.invoices.lines import billed_document, parties_of
from billing.models import Invoice, LineKind, Seller
from billing.periods import Period
from billing.subscriptions import start_subscription
from core.money import NANOS_PER_USD
from core.tenancy import organization_scope
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.pipeline import Sender, record
from metering.pricing.book import PriceBook
from metering.query.billed import Manifest
from metering.store.base import Outcome
from tests.metering.query.usage import make_event
from tests.reports.priced import set_prices

BY = Actor.of_command("test")


def day(month: int, number: int, hour: int = 12, year: int = 2026) -> dt.datetime:
    return dt.datetime(year, month, number, hour, tzinfo=dt.UTC)


def has_seller() -> None:
    """In Hamburg."""
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


def sell(organization: Organization, plan: str = "developer", *, since: dt.datetime) -> None:
    """A seller, list prices, and the organization (of Berlin) on a plan."""
    open_shop(organization)
    start_subscription(organization, plan, by=BY, at=since)


def open_shop(organization: Organization) -> None:
    """All of it but the plan."""
    has_seller()
    set_prices()
    organization.country = "DE"
    with organization_scope(organization.pk):
        organization.save(update_fields=["country"])


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


def issue(organization: Organization, words: str, number: str = "INV-2026-9001") -> Invoice:
    """An invoice of January 2026 with one line, beside any plan."""
    has_seller()
    period = Period(dt.date(2026, 1, 1), dt.date(2026, 2, 1))
    with organization_scope(organization.pk):
        document = billed_document(
            [Charge(LineKind.FEE, words, 29 * NANOS_PER_USD)],
            parties_of(organization, dt.date(2026, 1, 31)),
            period,
            number=number,
            issued_on=dt.date(2026, 2, 3),
            over=Manifest(),
        )
        return store(organization, document, by=BY)

"""A month of usage to prove."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection

from accounts.models import Organization, Project, User
from core.tenancy import organization_scope, unscoped
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from metering.pipeline import Sender, record
from metering.pricing.book import PriceBook
from tests.metering.query.usage import make_event

UTC = dt.UTC


@pytest.fixture
def usage(acme: Organization, globex: Organization, website: Project, bob: User) -> None:
    """Acme's November with everything in it: chats, a correction, every kind of price, both ends of the month."""
    with unscoped("list prices are everybody's"):
        version = PriceVersion.objects.create(
            kind=PriceKind.LIST, provider="openai", model="gpt-4o", valid_from="2020-01-01T00:00:00Z", source="test"
        )
        for bucket, femtos in (("input", 2_500_000_001), ("cache_read", 1_250_000_000), ("output", 10_000_000_000)):
            PriceRate.objects.create(version=version, bucket=bucket, femtos_per_unit=femtos)
        PriceVersion.objects.create(
            kind=PriceKind.LIST,
            provider="openai",
            model="free-1",
            valid_from="2020-01-01T00:00:00Z",
            is_free=True,
            source="test",
        )
    start = dt.datetime(2026, 10, 31, 23, tzinfo=UTC)  # midnight in Berlin
    events = [
        make_event(
            f"e{n}",
            start + dt.timedelta(hours=7 * n),
            "gpt-4o",
            Usage(input=100 + n, cache_read=n, output=3 * n),
            provider="openai",
            chat=f"c{n % 3}",
            chat_title=f"Title {n}",
            detail={"chat_title": f"Title {n}"}
            | ({"files": [{"id": "f1", "name": "Plan.pdf", "tokens": 40 + n}]} if n % 4 == 0 else {}),
            integration="slack" if n % 2 else None,
            duration_ms=100,
            time_to_first_token_ms=20 + n,
        )
        for n in range(60)
    ]
    events += [
        make_event("free", start, "free-1", provider="openai", project="website"),
        make_event("odd", start, "never-heard-of", user="bob@acme.test"),
        make_event("err", start, "gpt-4o", None, provider="openai", status="error"),
        make_event("last", dt.datetime(2026, 11, 30, 22, 59, 59, tzinfo=UTC), "gpt-4o", provider="openai"),
        make_event("december", dt.datetime(2026, 11, 30, 23, tzinfo=UTC), "gpt-4o", provider="openai"),
    ]
    write(acme, events)
    write(acme, [make_event("correction", start + dt.timedelta(hours=7), "gpt-4o", Usage(input=9, output=9),
                            provider="openai", supersedes="e1", chat="c1")])  # fmt: skip
    write(globex, events[:5])


def write(organization: Organization, events: list[UsageEvent]) -> None:
    directory = Directory.load(organization.id)
    with organization_scope(organization.id):
        rated = record(directory, PriceBook.load(), Sender(), events, dt.datetime.now(UTC))
    assert {one.outcome for one in rated} == {"created"} or organization.slug == "globex"


def execute(sql: str, organization: Organization) -> int:
    with organization_scope(organization.id), connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.rowcount

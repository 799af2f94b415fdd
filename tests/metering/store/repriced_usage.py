"""Usage rated by real prices, for the tests of repricing: what it cost, and what its roll-ups say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import connection

from accounts.audit import Actor
from accounts.models import Organization, Role
from core.tenancy import organization_scope, unscoped
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from metering.pipeline import Sender, record
from metering.pricing import overrides
from metering.pricing.book import PriceBook
from metering.rebuilding import ROLLUP_KEYS, rebuild_rollups
from metering.store.base import Outcome
from tests.metering.query.usage import make_event

FIONA = Actor("fiona@acme.test", Role.FINANCE)
BEGINNING = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
# Midnight in Berlin, where November begins an hour before UTC's.
NOVEMBER = dt.datetime(2026, 10, 31, 23, tzinfo=dt.UTC)
DECEMBER = dt.datetime(2026, 11, 30, 23, tzinfo=dt.UTC)


def list_price(model: str, **usd: str) -> None:
    """A list price of OpenAI's, in dollars per million tokens by bucket."""
    with unscoped("list prices are everybody's"):
        version = PriceVersion.objects.create(
            kind=PriceKind.LIST, provider="openai", model=model, valid_from=BEGINNING, source="test"
        )
        for bucket, text in usd.items():
            rate = overrides.rate(bucket, Decimal(text))
            PriceRate.objects.create(version=version, bucket=bucket, femtos_per_unit=rate.femtos_per_unit)


def own_price(organization: Organization, model: str = "gpt-4o", since: dt.datetime = NOVEMBER, **usd: str) -> None:
    rates = [overrides.rate(bucket, Decimal(text)) for bucket, text in usd.items()]
    overrides.set_override(FIONA, organization.id, provider="openai", model=model, rates=rates, valid_from=since)


def call(event_id: str, at: dt.datetime = NOVEMBER, model: str = "gpt-4o", **fields: Any) -> UsageEvent:
    """A call of a million tokens in and none out, unless it says otherwise."""
    return make_event(event_id, at, model, **{"usage": Usage(input=1_000_000), "provider": "openai", **fields})


def write(organization: Organization, events: Sequence[UsageEvent]) -> None:
    directory = Directory.load(organization.id)
    with organization_scope(organization.id):
        rated = record(directory, PriceBook.load(), Sender(), events, dt.datetime.now(dt.UTC))
    assert {one.outcome for one in rated} == {Outcome.CREATED}


def costs(organization: Organization) -> dict[str, int | None]:
    """Cost by event, in nano-dollars."""
    return {row["event_id"]: row["cost_nanos"] for row in stored(organization, "metering_event", "event_id")}


def stored(organization: Organization, table: str, *order: str) -> list[dict[str, Any]]:
    with organization_scope(organization.id), connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY {', '.join(order)}")
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def everything(organization: Organization) -> list[list[dict[str, Any]]]:
    """Every event and every row of a roll-up."""
    tables = {"metering_event": ("event_id",), **ROLLUP_KEYS}
    return [stored(organization, table, *keys) for table, keys in tables.items()]


def assert_rolled_up(organization: Organization) -> None:
    """The roll-ups are what they would be if they were made anew."""
    assert rebuild_rollups(organization.id).changed_rows == 0

"""The FOCUS export: every rule of the specification holds, and it sums to the costs page to the last digit."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from pyarrow import parquet

from accounts.models import Organization, Project
from core.money import usd_from_nanos
from core.tenancy import organization_scope
from metering.events import Usage
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from metering.query.costs import analyze_costs
from metering.query.export import FORMATS
from metering.query.focus import table
from metering.query.focus.charges import UNPRICED
from metering.query.focus.columns import COLUMNS
from metering.query.focus.table import FocusFile
from metering.query.spec import UsageQuery
from metering.query.tables import write_csv
from tests.metering.query.focus_rules import breaches
from tests.metering.query.priced_usage import CHANGE, calls, set_prices, write_rated
from tests.metering.query.test_costs import fresh
from tests.metering.query.usage import make_event, write

BERLIN = ZoneInfo("Europe/Berlin")
NOVEMBER = (dt.datetime(2026, 10, 31, 23, tzinfo=dt.UTC), dt.datetime(2026, 11, 30, 23, tzinfo=dt.UTC))
Row = dict[str, str]


@pytest.fixture
def priced(acme: Organization) -> Organization:
    set_prices()
    return acme


def asked(organization: Organization, **filters: tuple[Any, ...]) -> UsageQuery:
    return UsageQuery(organization.id, *NOVEMBER, BERLIN, filters=filters)


def rows_of(query: UsageQuery) -> list[Row]:
    """The file's rows, which break no rule."""
    text = b"".join(write_csv(FocusFile(query))).decode()
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows = list(reader)
    assert list(breaches(list(reader.fieldnames or ()), rows)) == []
    return rows


def total(rows: Sequence[Row], column: str = "BilledCost") -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal())


@given(events=calls())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rules_hold_and_costs_sum_to_the_costs_page(priced: Organization, events: list[Any]) -> None:
    with fresh():
        write_rated(priced.id, events)
        rows, found = rows_of(asked(priced)), analyze_costs(asked(priced))
        assert total(rows) == total(rows, "EffectiveCost") == usd_from_nanos(found.totals.known_cost_nanos)
        exact = Decimal(sum(line.amount_femtos or 0 for line in found.lines)).scaleb(-15)
        # Hours of several calls are rounded to femto-dollars together, and by the day.
        assert abs(total(rows, "ContractedCost") - exact) <= Decimal(len(events)) * Decimal("1e-15")
        tokens = sum(Decimal(row["ConsumedQuantity"]) for row in rows if row["ConsumedUnit"] == "Tokens")
        unpriced = sum(Decimal(row["x_UnpricedQuantity"]) for row in rows if row["x_UnpricedUnit"] == "Tokens")
        assert tokens == found.totals.total_tokens - unpriced, "every token that has a price is in one row"


def test_a_charge_for_each_day_project_model_and_kind(priced: Organization, website: Project) -> None:
    usage = Usage(input=1_000_000, cache_read=400_000, output=200_000)
    late = dt.datetime(2026, 11, 9, 23, 30, tzinfo=dt.UTC)
    write_rated(
        priced.id,
        [
            make_event("a", late, "plain", usage, provider="openai", project="website"),
            make_event("b", CHANGE, "plain", usage, provider="openai", project="website"),
            make_event("c", CHANGE, "long", Usage(input=200_001), provider="openai", service_tier="batch"),
        ],
    )
    rows = rows_of(asked(priced))
    assert len(rows) == 7
    first = next(row for row in rows if row["SkuMeter"] == "Input tokens" and row["x_Model"] == "plain")
    told = {name: first[name] for name in (
        "BilledCost", "BillingAccountId", "BillingAccountName", "BillingPeriodStart", "BillingPeriodEnd",
        "ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "ChargeClass", "ConsumedQuantity", "ConsumedUnit",
        "ListUnitPrice", "PricingQuantity", "PricingUnit", "ProviderName", "ServiceName", "SubAccountName", "Tags",
        "ChargeDescription",
    )}  # fmt: skip
    assert told == {
        "BilledCost": "2.500000001",
        "BillingAccountId": "acme",
        "BillingAccountName": "Acme",
        "BillingPeriodStart": "2026-10-31T23:00:00Z",
        "BillingPeriodEnd": "2026-11-30T23:00:00Z",
        "ChargePeriodStart": "2026-11-09T23:00:00Z",
        "ChargePeriodEnd": "2026-11-10T23:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ConsumedQuantity": "1000000",
        "ConsumedUnit": "Tokens",
        "ListUnitPrice": "2.500000001",
        "PricingQuantity": "1",
        "PricingUnit": "1000000 Tokens",
        "ProviderName": "OpenAI",
        "ServiceName": "OpenAI models",
        "SubAccountName": "Website",
        "Tags": '{"project": "Website", "team": "Search", "department": "Engineering"}',
        "ChargeDescription": "1,000,000 input tokens of plain, at $2.500000001 per million tokens",
    }
    batch = next(row for row in rows if row["x_ServiceTier"] == "batch")
    assert json.loads(batch["SkuPriceDetails"])["x_ServiceTier"] == "batch"
    assert batch["SkuId"] == "openai/long/input"
    assert batch["SkuPriceId"].startswith("openai/long/input@")
    assert (batch["SubAccountId"], batch["Tags"], batch["ResourceId"]) == ("", "", "")


def test_what_has_no_price_is_told_and_is_no_zero_price(priced: Organization) -> None:
    write_rated(
        priced.id,
        [
            make_event("odd", CHANGE, "odd-one", Usage(input=20, output=3), provider="openai"),
            make_event("free", CHANGE, "free-one", Usage(input=10), provider="openai"),
        ],
    )
    rows = {(row["x_Model"], row["x_TokenKind"]): row for row in rows_of(asked(priced))}
    odd, free = rows["odd-one", "input"], rows["free-one", "input"]
    assert (odd["x_PricingState"], odd["ChargeCategory"]) == (UNPRICED, "Adjustment")
    assert (odd["x_UnpricedQuantity"], odd["x_UnpricedUnit"]) == ("20", "Tokens")
    assert {odd[name] for name in ("ListUnitPrice", "ContractedUnitPrice", "PricingQuantity", "SkuId")} == {""}
    assert "unknown" in odd["ChargeDescription"]
    assert (free["x_PricingState"], free["ChargeCategory"], free["ListUnitPrice"]) == ("Free", "Usage", "0")


def test_an_own_price_stands_beside_the_list_price(priced: Organization) -> None:
    with organization_scope(priced.id):
        own = PriceVersion.objects.create(
            organization_id=priced.id, kind=PriceKind.OVERRIDE, provider="openai", model="long",
            valid_from=dt.datetime(2020, 1, 1, tzinfo=dt.UTC), source="contract",
        )  # fmt: skip
        PriceRate.objects.create(organization_id=priced.id, version=own, bucket="input", femtos_per_unit=1_000_000_000)
    write_rated(priced.id, [make_event("e", CHANGE, "long", Usage(input=3_000_000), provider="openai")])
    (row,) = rows_of(asked(priced))
    assert (row["ContractedUnitPrice"], row["ContractedCost"], row["BilledCost"]) == ("1", "3", "3")
    # More than 200,000 tokens: the list has another rate for them, the contract has none.
    assert (row["ListUnitPrice"], row["ListCost"]) == ("5.000000003", "15.000000009")


def test_filters_narrow_it_and_days_are_cut_at_the_range(priced: Organization) -> None:
    write_rated(
        priced.id,
        [
            make_event("a", CHANGE, "plain", Usage(input=1_000), provider="openai", feature="chat"),
            make_event("b", CHANGE, "long", Usage(input=1_000), provider="openai", feature="search"),
        ],
    )
    (row,) = rows_of(asked(priced, feature=("chat",)))
    assert row["x_Model"] == "plain"
    short = UsageQuery(priced.id, CHANGE, CHANGE + dt.timedelta(minutes=5), BERLIN)
    assert {row["ChargePeriodEnd"] for row in rows_of(short)} == {"2026-11-10T12:05:00Z"}


@pytest.mark.parametrize("requests", [1, 3])
def test_however_days_are_asked_for(priced: Organization, monkeypatch: pytest.MonkeyPatch, requests: int) -> None:
    write_rated(
        priced.id,
        [
            make_event(f"e{n}", CHANGE - dt.timedelta(days=day), "plain", Usage(input=n + 1), provider="openai")
            for n, day in enumerate((0, 1, 1, 2, 7))
        ],
    )
    whole = rows_of(asked(priced))
    monkeypatch.setattr(table, "CHUNK_REQUESTS", requests)
    assert rows_of(asked(priced)) == whole
    assert len({row["ChargePeriodStart"] for row in whole}) == 4


def test_who_offers_and_who_made_a_model(acme: Organization) -> None:
    calls = (("claude-sonnet-4-5", "aws"), ("own-rerank-2", "in-house"), ("gpt-4o", None), ("odd-one", None))
    write(acme.id, [make_event(f"e{n}", CHANGE, model, provider=who) for n, (model, who) in enumerate(calls)])
    told = {row["x_Model"]: (row["ProviderName"], row["PublisherName"]) for row in rows_of(asked(acme))}
    assert told == {
        "claude-sonnet-4-5": ("Amazon Web Services", "Anthropic"),
        "own-rerank-2": ("in-house", "in-house"),
        "gpt-4o": ("OpenAI", "OpenAI"),
        "odd-one": ("Acme", "Acme"),
    }


def test_a_cost_no_rate_explains_is_there_too(acme: Organization) -> None:
    """Rated without a version that the book knows: still the sum is the ledger's."""
    write(acme.id, [make_event("e", CHANGE)])
    rows = rows_of(asked(acme))
    assert total(rows) == usd_from_nanos(analyze_costs(asked(acme)).totals.known_cost_nanos) > 0


def test_parquet_and_the_schema_say_the_same(priced: Organization, acme_api: Client) -> None:
    write_rated(priced.id, [make_event("e", CHANGE, "plain", Usage(input=7, output=1), provider="openai")])
    period = {"from": "2026-11-01", "to": "2026-11-30"}
    response = acme_api.get("/v1/usage/focus", {**period, "format": "parquet"})
    assert response["Content-Disposition"] == 'attachment; filename="acme-focus-2026-11-01-2026-11-30.parquet"'
    read = parquet.read_table(io.BytesIO(b"".join(response.streaming_content)))  # type: ignore[attr-defined]
    types = {"Decimal": "decimal128(38, 15)", "Date/Time": "timestamp[us, tz=UTC]"}
    text = "dictionary<values=string, indices=int32, ordered=0>"
    assert {field.name: str(field.type) for field in read.schema} == {
        column.name: types.get(column.data_type, text) for column in COLUMNS
    }
    assert sum(read["BilledCost"].to_pylist()) == total(rows_of(asked(priced)))
    schema = acme_api.get("/v1/usage/focus/schema").json()["Schema"]
    assert json.loads(read.schema.metadata[b"Schema"]) == schema
    assert [column["ColumnName"] for column in schema["ColumnDefinition"]] == read.column_names
    csv_text = b"".join(acme_api.get("/v1/usage/focus", period).streaming_content).decode()  # type: ignore[attr-defined]
    assert csv_text == b"".join(FORMATS["csv"].write(FocusFile(asked(priced)))).decode()
    assert acme_api.get("/v1/usage/focus", {"format": "pdf"}).status_code == 422
    assert acme_api.get("/v1/usage/focus", {"interval": "day"}).status_code == 422


def test_the_rules_find_what_breaks_them(priced: Organization) -> None:
    write_rated(priced.id, [make_event("e", CHANGE, "plain", Usage(input=7), provider="openai")])
    (row,) = rows_of(asked(priced))
    wrong: dict[str, str] = {
        "BilledCost": "", "ListUnitPrice": "", "ListCost": "1", "ChargeCategory": "Tokens", "PricingUnit": "",
        "ChargePeriodStart": "2026-11-10", "Tags": '{"a": {}}', "BillingCurrency": "Dollar", "SubAccountName": "x",
    }  # fmt: skip
    for name, value in wrong.items():
        assert list(breaches(list(row), [{**row, name: value}])), name
    assert list(breaches([name for name in row if name != "ListCost"], [])) == ["ListCost is missing"]

"""Costs line by line: the lines are what each call was charged, and sum to the total with the rounding told apart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings

from accounts.models import Organization
from core.money import FEMTOS_PER_NANO
from core.tenancy import organization_scope
from metering.events import Usage, UsageEvent
from metering.pipeline import Rated
from metering.pricing.book import PriceBook
from metering.pricing.plan import Plan
from metering.pricing.receipt import exact_usd
from metering.query.costs import CostAnalysis, analyze_costs, usage_of
from metering.query.metrics import Figures
from metering.query.plan import Source
from metering.query.rate_parts import ABOVE, KINDS, PRICE, TIER
from metering.query.run import run
from metering.query.spec import UsageQuery
from tests.metering.query.priced_usage import CHANGE, calls, set_prices, write_rated
from tests.metering.query.usage import make_event

BERLIN = ZoneInfo("Europe/Berlin")
NOVEMBER = (dt.datetime(2026, 10, 31, 23, tzinfo=dt.UTC), dt.datetime(2026, 11, 30, 23, tzinfo=dt.UTC))
Charged = dict[tuple[str, int | None, str, int], tuple[int, int]]


@pytest.fixture
def priced(acme: Organization) -> Organization:
    set_prices()
    return acme


def analysis(organization: Organization, **filters: tuple[Any, ...]) -> CostAnalysis:
    return analyze_costs(UsageQuery(organization.id, *NOVEMBER, BERLIN, filters=filters))


def charged(organization_id: int, events: list[UsageEvent], rated: list[Rated]) -> Charged:
    """(model, price, bucket, femtos a unit) → (count, amount), each call's charges by itself."""
    with organization_scope(organization_id):
        book = PriceBook.load()
    found: Charged = {}
    for event, one in zip(events, rated, strict=True):
        assert one.row is not None
        version = book.version(one.row.price_version_id)
        if version is None or version.is_free or event.usage is None:
            continue
        vector = Plan(version, "").vector(event.usage, event.occurred_at, event.service_tier)
        assert vector is not None
        for charge in vector.charges(event.usage, event.duration_ms):
            key = (event.model, version.id, charge.bucket, charge.femtos_per_unit)
            count, amount = found.get(key, (0, 0))
            found[key] = (count + charge.count, amount + charge.amount_femtos)
    return found


@given(events=calls())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_are_what_each_call_was_charged(priced: Organization, events: list[UsageEvent]) -> None:
    with fresh():
        rated = write_rated(priced.id, events)
        found = analysis(priced)
        lines: Charged = {}
        for line in found.lines:
            if line.state == "priced":
                key = (
                    line.model.key or "",
                    line.version.id if line.version else None,
                    line.bucket,
                    line.femtos_per_unit or 0,
                )
                count, amount = lines.get(key, (0, 0))
                lines[key] = (count + line.count, amount + (line.amount_femtos or 0))
        expected = charged(priced.id, events, rated)
        assert {key: count for key, (count, _) in lines.items()} == {key: count for key, (count, _) in expected.items()}
        for key, (_, amount) in lines.items():
            # Hours are rounded to femtos call by call; everything else is exact.
            slack = len(events) if key[2].endswith("_hours") else 0
            assert abs(amount - expected[key][1]) <= slack
        assert_adds_up(found, run(UsageQuery(priced.id, *NOVEMBER, BERLIN)).totals)
        assert_rolled_up(priced.id)


def assert_rolled_up(organization_id: int) -> None:
    """The roll-up of rates says what the events say, group by group."""
    query = UsageQuery(organization_id, *NOVEMBER, BERLIN, group_by=("model", PRICE, TIER, ABOVE, KINDS))
    rolled_up, counted = run(query), run(query, frozenset())
    assert (rolled_up.sources, counted.sources) == ((Source.RATE,), (Source.EVENTS,))
    assert [(row.group, row.figures) for row in rolled_up.rows] == [(row.group, row.figures) for row in counted.rows]


def assert_adds_up(found: CostAnalysis, totals: Figures) -> None:
    assert found.totals == totals
    exact = sum(line.amount_femtos or 0 for line in found.lines)
    assert exact + found.rounding_femtos == totals.known_cost_nanos * FEMTOS_PER_NANO
    assert abs(found.rounding_femtos) <= totals.requests * (FEMTOS_PER_NANO // 2 + 1)
    assert sum(one.rounding_femtos for one in found.models) == found.rounding_femtos
    counted = Usage(**{name: sum(getattr(usage_of(one.figures), name) for one in found.models) for name in _COUNTED})
    assert counted == usage_of(totals)


_COUNTED = Usage.__struct_fields__


@contextmanager
def fresh() -> Iterator[None]:
    """Nothing of an example stays for the next one."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_one_line_for_each_rate_of_the_range(priced: Organization) -> None:
    usage = Usage(input=1_000_000)
    write_rated(
        priced.id,
        [
            make_event("before", CHANGE - dt.timedelta(hours=1), "plain", usage, provider="openai"),
            make_event("after", CHANGE, "plain", usage, provider="openai"),
        ],
    )
    lines = analysis(priced).lines
    assert [(line.bucket, line.count, line.femtos_per_unit) for line in lines] == [
        ("input", 1_000_000, 2_500_000_001),
        ("input", 1_000_000, 3_333_333_334),
    ]
    assert [line.version.valid_from if line.version else None for line in lines][1] == CHANGE


def test_length_tier_and_hour_decide_the_rate(priced: Organization) -> None:
    def event(name: str, model: str, tokens: int, hour: int = 12, **fields: Any) -> UsageEvent:
        at = CHANGE.replace(hour=hour)
        return make_event(name, at, model, Usage(input=tokens, output=10), provider="openai", **fields)

    write_rated(
        priced.id,
        [
            event("short", "long", 200_000),
            event("longer", "long", 200_001),
            event("batch", "long", 50, service_tier="batch"),
            event("limit of its own", "unusual", 1_001),
            event("by night", "unusual", 5, hour=17),
        ],
    )
    found = {
        (line.model.key, line.bucket, line.tier, line.above_tokens, line.hours is not None): line.femtos_per_unit
        for line in analysis(priced).lines
    }
    assert found == {
        ("long", "input", "", 0, False): 2_500_000_001,
        ("long", "input", "", 200_000, False): 5_000_000_003,
        ("long", "input", "batch", 0, False): 1_111_111_111,
        ("long", "output", "", 0, False): 10_000_000_007,
        ("long", "output", "", 200_000, False): 15_000_000_011,
        ("long", "output", "batch", 0, False): 10_000_000_007,
        ("unusual", "input", "", 1_000, False): 3_333_333_333,
        ("unusual", "input", "", 0, True): 2_500_000_001,
        ("unusual", "output", "", 1_000, False): 10_000_000_007,
        ("unusual", "output", "", 0, True): 7_777_777_777,
    }


def test_rounding_is_told_not_hidden(priced: Organization) -> None:
    """Three calls of a token each: $0.000002500000001 rounds to 2,500 nano-dollars three times."""
    write_rated(priced.id, [make_event(f"e{n}", CHANGE, "long", Usage(input=1), provider="openai") for n in range(3)])
    found = analysis(priced)
    assert [exact_usd(line.amount_femtos or 0) for line in found.lines] == ["0.000007500000003"]
    assert exact_usd(found.rounding_femtos) == "-0.000000000000003"
    assert found.totals.known_cost_nanos == 7_500


def test_free_unpriced_and_included_are_three_states(priced: Organization) -> None:
    write_rated(
        priced.id,
        [
            make_event("free", CHANGE, "free-one", Usage(input=10), provider="openai"),
            make_event("odd", CHANGE, "odd-one", Usage(input=20), provider="openai"),
            make_event("both", CHANGE, "plain", Usage(input=30, output=1, images=2), provider="openai"),
            make_event("failed", CHANGE, "plain", None, provider="openai", status="error"),
        ],
    )
    found = {(line.model.key, line.bucket): (line.state, line.amount_femtos) for line in analysis(priced).lines}
    assert found["free-one", "input"] == ("free", 0)
    assert found["odd-one", "input"] == ("unpriced", None)
    assert found["plain", "images"] == ("included", 0)


def test_filters_narrow_the_lines(priced: Organization) -> None:
    write_rated(
        priced.id,
        [
            make_event("one", CHANGE, "plain", Usage(input=5), provider="openai", feature="chat"),
            make_event("two", CHANGE, "long", Usage(input=7), provider="openai", feature="agents"),
        ],
    )
    assert [line.count for line in analysis(priced, feature=("agents",)).lines] == [7]
    assert [line.count for line in analysis(priced, model=("plain",)).lines] == [5]


# ── The API ──


def test_the_api_says_the_same(acme_api: Client, priced: Organization) -> None:
    write_rated(
        priced.id,
        [
            make_event("e1", CHANGE, "plain", Usage(input=3, output=2), provider="openai"),
            make_event("e2", CHANGE, "odd-one", Usage(input=1), provider="openai"),
        ],
    )
    answer = acme_api.get("/v1/usage/costs", {"from": "2026-11-01", "to": "2026-11-30"}).json()
    found = analysis(priced)
    assert [(row["bucket"], row["count"], row["amount_usd"]) for row in answer["data"]] == [
        (line.bucket, line.count, None if line.amount_femtos is None else exact_usd(line.amount_femtos))
        for line in found.lines
    ]
    assert answer["data"][0]["rate_usd"] == "3.333333334"
    assert answer["data"][0]["rate_unit"] == "million tokens"
    assert answer["rounding_usd"] == exact_usd(found.rounding_femtos)
    assert answer["coverage"]["unpriced"] == {"events": 1, "tokens": 1}
    assert [one["model"] for one in answer["models"]] == ["plain", "odd-one"]
    usage = acme_api.get("/v1/usage", {"from": "2026-11-01", "to": "2026-11-30"}).json()
    assert answer["total_cost_usd"] == usage["total_cost_usd"]


def test_internal_groups_are_not_the_apis(acme_api: Client, priced: Organization) -> None:
    for name in ("rate.price", "rate.kinds"):
        response = acme_api.get("/v1/usage/query", {"group_by": name})
        assert (response.status_code, response.json()["error"]["param"]) == (422, "group_by")
    assert acme_api.get("/v1/usage/costs", {"rate.price": "1"}).status_code == 422
    assert acme_api.get("/v1/usage/costs", {"wrong": "1"}).status_code == 422


def test_queries_do_not_grow_with_models(priced: Organization, django_assert_max_num_queries: Any) -> None:
    events = [make_event(f"e{n}", CHANGE, f"model-{n}", Usage(input=1), provider="openai") for n in range(40)]
    write_rated(priced.id, events)
    with django_assert_max_num_queries(8):
        assert len(analysis(priced).models) == 40

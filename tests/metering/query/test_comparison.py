"""The very usage at other prices: exact call by call, what cannot be priced told, and GPUs by the hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings

from accounts.models import Organization
from core.errors import ApiError
from core.money import FEMTOS_PER_NANO
from core.tenancy import organization_scope
from metering.events import Usage, UsageEvent
from metering.pricing.book import PriceBook
from metering.pricing.rate import Pricing
from metering.query.comparison import Comparison, Replay, Target, compare, find_target
from metering.query.gpus import Gpus, nanos_per_hour
from metering.query.spec import UsageQuery
from tests.metering.query.priced_usage import CHANGE, calls, set_prices, write_rated
from tests.metering.query.usage import make_event

BERLIN = ZoneInfo("Europe/Berlin")
NOVEMBER = (dt.datetime(2026, 10, 31, 23, tzinfo=dt.UTC), dt.datetime(2026, 11, 30, 23, tzinfo=dt.UTC))
LATER = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
NAMES = ("openai/plain", "openai/long", "openai/unusual", "openai/by-piece", "openai/free-one")


@pytest.fixture
def priced(acme: Organization) -> Organization:
    set_prices()
    return acme


def targets(organization: Organization, *names: str) -> list[Target]:
    with organization_scope(organization.id):
        book = PriceBook.load()
    return [find_target(book, organization.id, name, LATER) for name in names]


def compared(organization: Organization, *names: str, gpus: Gpus | None = None, **other: Any) -> Comparison:
    query = UsageQuery(organization.id, *NOVEMBER, BERLIN)
    return compare(query, targets(organization, *names), gpus, **other)


@contextmanager
def fresh() -> Iterator[None]:
    """Nothing of an example stays for the next one."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@given(events=calls())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_call_is_charged_as_the_target_would(priced: Organization, events: list[UsageEvent]) -> None:
    with fresh():
        rated = write_rated(priced.id, events)
        found = compared(priced, *NAMES)
        for target, replay in zip(found.targets, found.replays, strict=True):
            expected = Replay()
            for event, one in zip(events, rated, strict=True):
                assert one.row is not None
                expected += alone(target, event, one.row)
            assert (replay.calls, replay.new_calls, replay.now_nanos) == (
                expected.calls, expected.new_calls, expected.now_nanos,
            )  # fmt: skip
            assert (replay.left_out_calls, replay.left_out_nanos) == (expected.left_out_calls, expected.left_out_nanos)
            # Each call alone is rounded to nano-dollars, hours to femtos besides.
            for all_at_once, one_by_one in ((replay.femtos, expected.femtos), (replay.new_femtos, expected.new_femtos)):
                assert abs(all_at_once - one_by_one) <= len(events) * (FEMTOS_PER_NANO // 2 + 1)
            assert replay == sum((one.replays[found.targets.index(target)] for one in found.models), Replay())


def alone(target: Target, event: UsageEvent, row: Any) -> Replay:
    """One call by the very code that rates calls, at the target's price in place of its own."""
    if event.usage is None and event.status == "ok":
        return Replay(left_out={"usage unknown": 1}, left_out_nanos=row.cost_nanos or 0)
    usage = event.usage or Usage()
    nothing = usage == Usage() or not any(getattr(usage, name) for name in Usage.__struct_fields__)
    if nothing:
        return Replay(calls=1, now_nanos=row.cost_nanos or 0)
    tier = event.service_tier if any(rate.service_tier == event.service_tier for rate in target.version.rates) else None
    rating = target.plan.rate(usage, event.occurred_at, tier, None)
    if rating.pricing is Pricing.UNPRICED:
        return Replay(left_out={rating.rule: 1}, left_out_nanos=row.cost_nanos or 0)
    femtos = (rating.cost_nanos or 0) * FEMTOS_PER_NANO
    if row.pricing == Pricing.UNPRICED:
        return Replay(new_calls=1, new_femtos=femtos)
    return Replay(calls=1, now_nanos=row.cost_nanos or 0, femtos=femtos)


def test_the_same_model_saves_nothing(priced: Organization) -> None:
    write_rated(priced.id, [make_event("e", CHANGE, "long", Usage(input=300_000, output=10), provider="openai")])
    (replay,) = compared(priced, "long").replays
    assert (replay.saved_nanos, replay.saved_share) == (0, Fraction(0))


def test_what_a_price_lacks_is_left_out_of_both_sides(priced: Organization) -> None:
    write_rated(
        priced.id,
        [
            make_event("text", CHANGE, "by-piece", Usage(input=1_000), provider="openai"),
            make_event("voice", CHANGE, "by-piece", Usage(input=10, audio_input=500), provider="openai"),
            make_event("unpriced", CHANGE, "odd-one", Usage(input=7), provider="openai"),
        ],
    )
    (replay,) = compared(priced, "plain").replays
    assert (replay.calls, replay.left_out) == (1, {"no rate for audio_input": 1})
    assert replay.left_out_nanos > 0
    assert (replay.new_calls, replay.new_nanos) == (1, 23_333)


def test_nothing_comparable_is_no_saving_of_zero(priced: Organization) -> None:
    write_rated(priced.id, [make_event("v", CHANGE, "by-piece", Usage(audio_input=5), provider="openai")])
    (replay,) = compared(priced, "plain").replays
    assert (replay.cost_nanos, replay.saved_nanos, replay.saved_share) == (None, None, None)


def test_hours_of_the_day_are_exact_up_to_a_number_of_calls(priced: Organization) -> None:
    usage = Usage(output=100)
    write_rated(
        priced.id,
        [
            make_event("day", CHANGE, "plain", usage, provider="openai"),
            make_event("night", CHANGE + dt.timedelta(hours=6), "plain", usage, provider="openai"),
        ],
    )
    exact, rough = compared(priced, "unusual"), compared(priced, "unusual", most_by_time=1)
    assert (exact.is_by_time, exact.replays[0].femtos) == (True, 100 * (10_000_000_007 + 7_777_777_777))
    assert (rough.is_by_time, rough.replays[0].femtos) == (False, 200 * 10_000_000_007)


def test_gpus_by_the_hour(priced: Organization) -> None:
    write_rated(
        priced.id,
        [
            make_event("text", CHANGE, "plain", Usage(input=3_600_000, output=360_000), provider="openai"),
            make_event("search", CHANGE, "long", Usage(input=1, web_searches=1), provider="openai"),
        ],
    )
    gpus = Gpus(2_500_000_000, input_rate=1_000, output_rate=100, gpus=2)
    found = compared(priced, gpus=gpus)
    assert found.gpu is not None
    assert gpus.busy_hours(*found.gpu_tokens) == 2
    assert found.gpu.cost_nanos == 2 * 2 * 2_500_000_000
    assert found.gpu.left_out_calls == 1


def test_a_target_has_a_price(priced: Organization) -> None:
    for name in ("odd-one", "nobody/nothing", "/", ""):
        with pytest.raises(ApiError) as refused:
            targets(priced, name)
        assert refused.value.status == 422


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("2.50", 2_500_000_000), ("0.01", 10_000_000), ("10000", 10**13), ("0", None), ("-1", None), ("1e3", None),
     ("2.", 2_000_000_000), ("0.00001", None), ("abc", None), ("10001", None), ("²", None)],
)  # fmt: skip
def test_the_price_of_an_hour(text: str, nanos: int | None) -> None:
    assert nanos_per_hour(text) == nanos


# ── The API ──


def test_the_api_says_the_same(acme_api: Client, priced: Organization) -> None:
    write_rated(priced.id, [make_event("e", CHANGE, "plain", Usage(input=1_000, output=50), provider="openai")])
    asked = {"from": "2026-11-01", "to": "2026-11-30", "with": "openai/long,by-piece", "gpu_hour_usd": "2"}
    answer = acme_api.get("/v1/usage/comparison", asked).json()
    found = compared(priced, "long", "by-piece")
    assert [(row["target"], row["calls"], row["is_exact"]) for row in answer["data"]] == [
        ("openai/long", 1, True),
        ("openai/by-piece", 1, True),
    ]
    for row, replay in zip(answer["data"], found.replays, strict=True):
        assert round(float(row["saved_usd"]) * 10**9) == replay.saved_nanos
    assert answer["models"][0]["targets"][0]["would_cost_usd"] == answer["data"][0]["would_cost_usd"]
    assert answer["gpu"]["prompt_tokens"] == 1_000


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "with"),
        ({"with": "nothing-like-it"}, "with"),
        ({"with": "a,b,c,d,e,f,g"}, "with"),
        ({"gpu_hour_usd": "free"}, "gpu_hour_usd"),
        ({"gpu_hour_usd": "2", "gpus": "0"}, "gpus"),
        ({"gpu_hour_usd": "2", "gpu_input_tokens_per_second": "fast"}, "gpu_input_tokens_per_second"),
    ],
)
def test_the_api_refuses(acme_api: Client, priced: Organization, given: dict[str, str], param: str) -> None:
    response = acme_api.get("/v1/usage/comparison", given)
    assert (response.status_code, response.json()["error"]["param"]) == (422, param)

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from accounts.audit import Actor
from accounts.models import AuditEntry, Organization, Role
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.events import Usage
from metering.pricing import overrides
from metering.pricing.book import PriceBook
from metering.pricing.catalogue import BEGINNING, ListedModel, Prices
from metering.pricing.rate import Pricing, Rating
from metering.pricing.sync import sync_prices
from tests.metering.pricing.prices import NOON, per_million

ACTOR = Actor("alice@acme.test", Role.OWNER)
MAY, JUNE, JULY = (dt.datetime(2026, month, 1, tzinfo=dt.UTC) for month in (5, 6, 7))
MILLION = Usage(input=1_000_000, cache_read=1_000_000, output=1_000_000)


@pytest.fixture(autouse=True)
def prices(db: None) -> None:
    content = Prices(False, per_million(input=2, cache_read=1, output=8))
    sync_prices([ListedModel("openai", "o9", frozenset({"o9"}), ((BEGINNING, None, content),), "catalogue")])


def rated(organization: Organization, model: str = "o9", at: dt.datetime = NOON, **call: object) -> Rating:
    fields = {"provider": "openai", "usage": MILLION, **call}
    return PriceBook.load().rate(organization.id, model=model, occurred_at=at, **fields)  # type: ignore[arg-type]


def usd(rating: Rating) -> float | None:
    return None if rating.cost_nanos is None else rating.cost_nanos / 10**9


def rates(**usd_per_million: str) -> list[overrides.Rate]:
    return [overrides.rate(bucket, Decimal(text)) for bucket, text in usd_per_million.items()]


def test_a_negotiated_price_keeps_the_lists_other_rates(acme: Organization, globex: Organization) -> None:
    version = overrides.set_override(
        ACTOR, acme.id, provider="OpenAI", model="O9", rates=rates(input="1.5"), valid_from=JUNE
    )
    assert (usd(rated(acme)), rated(acme).price_version_id, rated(acme).rule) == (10.5, version.pk, "override")
    assert usd(rated(acme, at=MAY)) == 11
    assert usd(rated(globex)) == 11
    kept = PriceBook.load().version(version.pk)
    assert kept is not None
    assert {rate.bucket: rate.note for rate in kept.rates} == {
        "input": "",
        "cache_read": "list price (catalogue)",
        "output": "list price (catalogue)",
    }


def test_without_the_lists_rates_only_the_fall_backs_hold(acme: Organization) -> None:
    overrides.set_override(
        ACTOR, acme.id, provider="openai", model="o9", rates=rates(input="1"), valid_from=JUNE, keeps_list_rates=False
    )
    assert rated(acme).rule == "no rate for output"
    rating = rated(acme, usage=Usage(input=1_000_000, cache_read=1_000_000))
    assert (usd(rating), rating.rule) == (2, "override; cache_read at the input rate")


def test_a_new_price_ends_the_one_before_and_a_limited_one_lets_it_resume(acme: Organization) -> None:
    first = overrides.set_custom_model(ACTOR, acme.id, model="llama", rates=rates(input="3"), valid_from=BEGINNING)
    overrides.set_custom_model(ACTOR, acme.id, model="llama", rates=rates(input="1"), valid_from=JUNE, valid_to=JULY)
    call = {"model": "llama", "provider": None, "usage": Usage(input=1_000_000)}
    costs = [usd(rated(acme, at=at, **call)) for at in (MAY, JUNE, JULY, NOON)]  # type: ignore[arg-type]
    assert costs == [3, 1, 3, 3]
    assert rated(acme, at=MAY, **call).price_version_id == first.pk  # type: ignore[arg-type]


def test_ending_a_price_gives_the_list_price_back(acme: Organization) -> None:
    version = overrides.set_override(
        ACTOR, acme.id, provider="openai", model="o9", rates=rates(input="1"), valid_from=MAY
    )
    overrides.end_price(ACTOR, acme.id, version.pk, JULY)
    assert [usd(rated(acme, at=at)) for at in (JUNE, JULY)] == [10, 11]


def test_a_free_model_is_free(acme: Organization) -> None:
    overrides.set_override(ACTOR, acme.id, provider="openai", model="o9", rates=[], is_free=True, valid_from=MAY)
    assert rated(acme).pricing == Pricing.FREE


def test_a_model_on_own_gpus_costs_its_calls_share_of_their_hours(acme: Organization) -> None:
    rate = overrides.gpu_rate(Decimal("2.5"), gpus=8, calls_at_once=10)
    overrides.set_custom_model(ACTOR, acme.id, provider="vllm", model="llama", rates=[rate], valid_from=MAY)
    rating = rated(acme, "llama", provider="vllm", usage=Usage(input=10), duration_ms=3_600)
    assert (usd(rating), rating.unit_cost_nanos) == (0.002, 2_000_000)
    assert rated(acme, "llama", provider="vllm", usage=Usage(input=10)).rule == "duration unknown"
    assert rate.note == "2.5 USD per GPU-hour, 8 GPUs, 10 calls at once"


def test_images_and_seconds_of_a_custom_model(acme: Organization) -> None:
    chosen = [overrides.rate("images", Decimal("0.04")), overrides.rate("media_hours", Decimal("0.36"))]
    overrides.set_custom_model(ACTOR, acme.id, model="studio", rates=chosen, valid_from=MAY)
    rating = rated(acme, "studio", usage=Usage(images=3, media_ms=10_000))
    assert usd(rating) == 0.121


def test_a_deployment_by_its_own_name(acme: Organization, globex: Organization) -> None:
    alias = overrides.set_alias(
        ACTOR, acme.id, alias="Prod-Chat", provider="azure", target_provider="openai", model="o9"
    )
    assert usd(rated(acme, "prod-chat", provider="azure_openai")) == 11
    assert rated(globex, "prod-chat", provider="azure_openai").pricing == Pricing.UNPRICED
    overrides.remove_alias(ACTOR, acme.id, alias.pk)
    assert rated(acme, "prod-chat", provider="azure_openai").pricing == Pricing.UNPRICED


def test_every_change_is_audited(acme: Organization) -> None:
    version = overrides.set_override(
        ACTOR, acme.id, provider="openai", model="o9", rates=rates(input="1"), valid_from=MAY, keeps_list_rates=False
    )
    overrides.end_price(ACTOR, acme.id, version.pk, JULY)
    overrides.set_alias(ACTOR, acme.id, alias="a", target_provider="openai", model="o9")
    with organization_scope(acme.id):
        entries = list(AuditEntry.objects.order_by("id"))
    assert [entry.action for entry in entries] == ["price.set_override", "price.end", "price_alias.set"]
    assert entries[0].actor_label == "alice@acme.test"
    assert entries[0].changes["input"] == [None, "1 USD per million tokens"]
    assert entries[1].changes == {"valid_to": [None, "2026-07-01T00:00:00+00:00"]}
    assert entries[2].changes == {"model": [None, "openai/o9"]}


def test_another_organizations_prices_and_names_are_not_found(acme: Organization, globex: Organization) -> None:
    version = overrides.set_custom_model(ACTOR, acme.id, model="llama", rates=rates(input="3"), valid_from=MAY)
    alias = overrides.set_alias(ACTOR, acme.id, alias="a", target_provider="openai", model="o9")
    with pytest.raises(ApiError, match="no such price"):
        overrides.end_price(ACTOR, globex.id, version.pk, JULY)
    with pytest.raises(ApiError, match="no such name"):
        overrides.remove_alias(ACTOR, globex.id, alias.pk)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"rates": []}, "invalid_price"),
        ({"rates": rates(input="1"), "is_free": True}, "invalid_price"),
        ({"rates": rates(input="1") * 2}, "duplicate_rate"),
        ({"rates": rates(input="1"), "valid_to": MAY}, "invalid_period"),
        ({"rates": rates(input="1"), "model": " "}, "invalid_name"),
    ],
)
def test_what_makes_no_sense_is_refused(acme: Organization, fields: dict[str, object], code: str) -> None:
    with pytest.raises(ApiError) as refusal:
        overrides.set_custom_model(ACTOR, acme.id, **{"model": "llama", "valid_from": MAY, **fields})  # type: ignore[arg-type]
    assert (refusal.value.status, refusal.value.code) == (422, code)


@pytest.mark.parametrize(
    ("bucket", "usd_text"),
    [("input", "-1"), ("input", "NaN"), ("images", "99999"), ("images", "0.0000000000000001"), ("tokens", "1")],
)
def test_prices_that_are_none(bucket: str, usd_text: str) -> None:
    with pytest.raises(ApiError):
        overrides.rate(bucket, Decimal(usd_text))


def test_an_override_of_a_model_no_list_knows_is_refused(acme: Organization) -> None:
    with pytest.raises(ApiError, match="No price list knows openai/llama"):
        overrides.set_override(ACTOR, acme.id, provider="openai", model="llama", rates=[], valid_from=MAY)

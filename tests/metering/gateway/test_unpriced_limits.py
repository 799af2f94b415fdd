"""Caps in money at the gateway where a model is not paid by the token, or its answer does not say what it took."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering.models import Hold, PriceRate, PriceVersion, UnpricedCall
from tests.metering.gateway.conftest import Edge, stored
from tests.metering.gateway.test_limits import holds, limit
from tests.metering.gateway.upstream import Script, Upstream, completion, message, wait_for, whole

PICTURES, RECORDINGS = "/v1/images/generations", "/v1/audio/transcriptions"


@pytest.fixture(autouse=True)
def _prices(transactional_db: None) -> None:
    """Femto-dollars: a picture at $0.04, an hour of audio at $0.36, and tokens."""
    listed: list[tuple[str, str, dict[tuple[str, str], int]]] = [
        ("openai", "dall-e-3", {("images", ""): 4 * 10**13}),
        ("openai", "whisper-1", {("media_hours", ""): 36 * 10**13}),
        ("openai", "gpt-4o", {("input", ""): 25 * 10**8, ("output", ""): 10**10,
                              ("input", "priority"): 5 * 10**9, ("output", "priority"): 2 * 10**10}),
        ("anthropic", "claude-sonnet-4-5", {("input", ""): 3 * 10**9, ("output", ""): 15 * 10**9}),
    ]  # fmt: skip
    with unscoped("test prices"):
        for provider, model, rates in listed:
            version = PriceVersion.objects.create(
                kind="list", provider=provider, model=model, valid_from="2018-01-01T00:00:00Z", source="test"
            )
            for (bucket, tier), femtos in rates.items():
                PriceRate.objects.create(version=version, bucket=bucket, service_tier=tier, femtos_per_unit=femtos)


def counted(organization: Organization) -> list[int]:
    with organization_scope(organization.pk):
        return list(UnpricedCall.objects.values_list("cost_nanos", flat=True))


def transcribe(edge: Edge, size: int, **fields: str) -> int:
    files = {"file": ("talk.wav", b"x" * size)}
    return edge.client.post(RECORDINGS, files=files, data={"model": "whisper-1", **fields}).status_code


def test_pictures_never_pass_a_cap(edge: Edge, provider: Upstream, acme: Organization) -> None:
    limit(acme, amount=100_000_000, unit="cost")  # two pictures and a half
    answer = whole({"created": 1, "data": [{"url": "a"}]})
    provider.says(PICTURES, Script(answer.chunks, wait=0.4))
    statuses: list[int] = []

    def draw() -> None:
        statuses.append(edge.post(PICTURES, {"model": "dall-e-3", "prompt": "a cat"}).status_code)

    threads = [threading.Thread(target=draw) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(statuses) == [200] * 2 + [429] * 10
    wait_for(lambda: holds(acme) == 0)
    assert [event["cost_nanos"] for event in edge.events(2)] == [40_000_000] * 2
    assert counted(acme) == []


def test_as_many_pictures_as_are_asked_for_are_held(edge: Edge, provider: Upstream, acme: Organization) -> None:
    limit(acme, amount=100_000_000, unit="cost")
    assert edge.post(PICTURES, {"model": "dall-e-3", "prompt": "a cat", "n": 3}).status_code == 429
    assert provider.asked == []


def test_a_recording_whose_length_nobody_tells(edge: Edge, provider: Upstream, acme: Organization) -> None:
    """Ten seconds are $0.001 each: the totals do not know it, and the cap has room for three."""
    limit(acme, amount=3_500_000, unit="cost")
    provider.says(RECORDINGS, Script([b"all that was said"], content_type="text/plain"))
    statuses = []
    for _ in range(5):
        statuses.append(transcribe(edge, 160_000, response_format="text", prompt="Names: Ada"))
        wait_for(lambda: holds(acme) == 0)
    assert statuses == [200] * 3 + [429] * 2
    assert [(event["cost_nanos"], event["is_usage_known"]) for event in stored(acme)] == [(None, False)] * 3
    assert sum(counted(acme)) <= 3_500_000
    assert all(cost >= 1_000_000 for cost in counted(acme))


def test_a_recording_is_held_by_its_size(edge: Edge, provider: Upstream, acme: Organization) -> None:
    limit(acme, amount=3_500_000, unit="cost")
    assert transcribe(edge, 16_000 * 40) == 429
    assert provider.asked == []


def test_a_search_without_a_price(edge: Edge, provider: Upstream, acme: Organization) -> None:
    """$1.05 of tokens are known of a call that was held at a hundredth: nothing is let in after it."""
    limit(acme, amount=10_000_000, unit="cost")
    answer: dict[str, Any] = message(100_000, 50_000)
    answer["usage"]["server_tool_use"] = {"web_search_requests": 1}
    provider.says("/v1/messages", whole(answer))
    body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    assert edge.post("/v1/messages", body).status_code == 200
    wait_for(lambda: counted(acme))
    assert edge.event()["cost_nanos"] is None
    assert counted(acme) == [1_050_015_000], "with five tokens read from the cache"
    assert [edge.post("/v1/messages", body).status_code for _ in range(3)] == [429] * 3


def test_the_tier_that_is_asked_for_is_held(edge: Edge, provider: Upstream, acme: Organization) -> None:
    limit(acme, amount=1_500_000, unit="cost")
    provider.says("/v1/chat/completions", Script(whole(completion()).chunks, wait=0.5))

    def held(**fields: Any) -> int:
        found: list[int] = []
        asking = threading.Thread(target=lambda: found.append(edge.chat(max_tokens=50, **fields).status_code))
        asking.start()
        with organization_scope(acme.pk):
            cost = wait_for(lambda: Hold.objects.values_list("cost_nanos", flat=True).first())
        asking.join()
        assert found == [200]
        wait_for(lambda: holds(acme) == 0)
        return int(cost)

    assert held(service_tier="priority") == 2 * held(service_tier="default") == 2 * held()
    assert edge.chat(max_tokens=100, service_tier="priority").status_code == 429

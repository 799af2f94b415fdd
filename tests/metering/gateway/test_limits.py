"""Limits hold at the gateway: nothing that does not fit is forwarded, and every answer says how they stand."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from accounts.models import Organization, Scope
from core.tenancy import organization_scope
from metering.models import Hold, Limit, RateLimit
from tests.cast import Key
from tests.metering.gateway.conftest import Edge, stored
from tests.metering.gateway.upstream import Script, Upstream, chat_chunks, completion, events, stream, wait_for, whole

CHAT = "/v1/chat/completions"


def limit(organization: Organization, **fields: Any) -> None:
    values = {"kind": "allowance", "source": "plan", "label": "the monthly allowance", "unit": "tokens"}
    with organization_scope(organization.pk):
        Limit.objects.create(organization=organization, **(values | fields))
    time.sleep(0.3)  # the announcement


def rate(organization: Organization, requests: int | None, tokens: int | None = None) -> None:
    with organization_scope(organization.pk):
        RateLimit.objects.create(organization=organization, requests_per_minute=requests, tokens_per_minute=tokens)
    time.sleep(0.3)


def holds(organization: Organization) -> int:
    with organization_scope(organization.pk):
        return Hold.objects.count()


def test_64_clients_never_pass_a_cap(edge: Edge, provider: Upstream, acme: Organization) -> None:
    """Each takes up to 100 tokens of a cap with room for some twenty; what was used and what was held never pass it."""
    limit(acme, amount=2_000)
    provider.says(CHAT, Script(whole(completion(10, 90)).chunks, wait=0.3))
    statuses: list[int] = []
    start = threading.Barrier(64)

    def client() -> None:
        start.wait()
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 90}
        statuses.append(edge.post(CHAT, body).status_code)

    clients = [threading.Thread(target=client) for _ in range(64)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    admitted = statuses.count(200)
    assert set(statuses) == {200, 429}
    assert len(provider.asked) == admitted
    assert 15 <= admitted <= 20
    found = edge.events(admitted)
    assert sum(event["input"] + event["cache_read"] + event["output"] for event in found) <= 2_000
    wait_for(lambda: holds(acme) == 0)
    # What was held beyond what was used is free again.
    while edge.post(CHAT, {"model": "gpt-4o", "messages": [], "max_tokens": 90}).status_code == 200:
        admitted += 1
        edge.events(admitted)
    total = sum(event["input"] + event["cache_read"] + event["output"] for event in edge.events(admitted))
    assert 1_850 <= total <= 2_000


def test_a_refusal_says_what_is_reached_and_until_when(edge: Edge, provider: Upstream, acme: Organization) -> None:
    limit(acme, amount=0)
    response = edge.chat()
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (429, "insufficient_quota", "rate_limit_error")
    assert "the monthly allowance" in error["message"]
    assert int(response.headers["retry-after"]) > 0
    assert provider.asked == []
    assert stored(acme) == []


def test_spent_credits_are_402_and_left_ones_in_a_header(
    edge: Edge, provider: Upstream, acme: Organization, prices: None
) -> None:
    limit(acme, kind="credits", source="credits", label="prepaid credits", unit="cost", amount=1_000_000_000,
          period="fixed", starts_on="2020-01-01")  # fmt: skip
    provider.says(CHAT, whole(completion()))
    answer = edge.chat(max_tokens=100)
    assert answer.status_code == 200
    assert 9_900 < int(answer.headers["x-credits-remaining"]) < 10_000
    with organization_scope(acme.pk):
        Limit.objects.update(amount=1)
    time.sleep(0.3)
    refused = edge.chat(max_tokens=100)
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_credits")
    assert len(provider.asked) == 1


def test_limits_of_a_model_or_a_key_bind_only_these(
    edge: Edge, provider: Upstream, acme: Organization, new_key: Any
) -> None:
    key: Key = new_key(Scope.GATEWAY)
    limit(acme, amount=0, model="gpt-4o")
    limit(acme, amount=0, source="budget:1", kind="budget", label="a key's budget", api_key_id=key.row.pk)
    provider.says(CHAT, whole(completion()))
    assert edge.chat(model="gpt-4o").status_code == 429
    assert edge.chat(model="gpt-4o-mini").status_code == 200
    headers = {"authorization": f"Bearer {key.secret}"}
    body = {"model": "gpt-4o-mini", "messages": []}
    refused = edge.client.post(CHAT, json=body, headers=headers)
    assert (refused.status_code, "a key's budget" in refused.json()["error"]["message"]) == (429, True)


def test_a_failed_call_gives_its_hold_back(edge: Edge, provider: Upstream, acme: Organization) -> None:
    limit(acme, amount=500)
    provider.says(CHAT, whole({"error": {"message": "no"}}, 400))
    for _ in range(10):
        assert edge.chat(max_tokens=300).status_code == 400
        wait_for(lambda: holds(acme) == 0)


def test_a_stream_holds_until_its_end(edge: Edge, provider: Upstream, acme: Organization) -> None:
    limit(acme, amount=500)
    provider.says(CHAT, stream(*events(*chat_chunks()), pause=0.1))
    body = {"model": "gpt-4o", "messages": [], "stream": True, "max_tokens": 300}
    with edge.client.stream("POST", CHAT, json=body) as response:
        assert holds(acme) == 1
        assert edge.chat(max_tokens=300).status_code == 429
        response.read()
    wait_for(lambda: holds(acme) == 0)
    assert edge.chat(max_tokens=300, stream=True).status_code == 200


# ── Request rates ──


def test_rates_are_told_and_hold(edge: Edge, provider: Upstream, acme: Organization) -> None:
    rate(acme, 3)
    provider.says(CHAT, whole(completion()))
    answers = [edge.chat() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-rpm"] for answer in answers] == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-ratelimit-limit-rpm"] == "3"
    assert abs(int(refused.headers["x-ratelimit-reset-rpm"]) - time.time() - int(refused.headers["retry-after"])) < 3
    assert len(provider.asked) == 3


def test_tokens_a_minute_are_corrected_to_what_was_used(edge: Edge, provider: Upstream, acme: Organization) -> None:
    rate(acme, None, 1_000)
    provider.says(CHAT, whole(completion(60, 40)))
    first = edge.chat(max_tokens=700)
    assert int(first.headers["x-ratelimit-remaining-tpm"]) < 300

    def left() -> int:
        return int(edge.chat(max_tokens=10).headers["x-ratelimit-remaining-tpm"])

    assert wait_for(lambda: seen if (seen := left()) > 300 else None) > 300


def test_a_key_may_be_tighter_than_its_organization(
    edge: Edge, provider: Upstream, acme: Organization, new_key: Any
) -> None:
    rate(acme, 100)
    key: Key = new_key(Scope.GATEWAY, requests_per_minute=1)
    provider.says(CHAT, whole(completion()))
    headers = {"authorization": f"Bearer {key.secret}"}
    body = {"model": "gpt-4o", "messages": []}
    assert edge.client.post(CHAT, json=body, headers=headers).headers["x-ratelimit-limit-rpm"] == "1"
    assert edge.client.post(CHAT, json=body, headers=headers).status_code == 429
    assert edge.chat().headers["x-ratelimit-limit-rpm"] == "100"


def test_counting_tokens_uses_none(edge: Edge, provider: Upstream, acme: Organization) -> None:
    rate(acme, None, 5_000)
    provider.says("/v1/messages/count_tokens", whole({"input_tokens": 14}))
    body = {"model": "claude-test", "messages": [{"role": "user", "content": "hi " * 100}]}
    for _ in range(5):
        answer = edge.post("/v1/messages/count_tokens", body)
        assert (answer.status_code, answer.headers["x-ratelimit-remaining-tpm"]) == (200, "5000")


@pytest.mark.parametrize("stream_it", [False, True])
def test_without_limits_nothing_is_told(edge: Edge, provider: Upstream, stream_it: bool) -> None:
    provider.says(CHAT, stream(*events(*chat_chunks())) if stream_it else whole(completion()))
    names = {name.lower() for name in edge.chat(stream=stream_it).headers}
    assert not any(name.startswith(("x-ratelimit", "x-credits")) for name in names)
    assert "x-tokenledger-event" in names

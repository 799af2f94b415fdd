"""What holds for wrapped clients of any provider."""

from __future__ import annotations

import time

import openai
import pytest

from openai_side import (
    ASK,
    USAGE,
    Provider,
    completion,
    doing,
)
from recording import Ledger
from scripted import answer, hang, scripted
from tokenledger import Client


@doing(answer(200, completion()))
def test_dimensions_fixed_for_a_client_and_its_copies(provider: Provider, ledger: Ledger) -> None:
    plain = openai.OpenAI(api_key="x", base_url=f"{provider.server.url}/v1", max_retries=0)
    wrapped = ledger.client.wrap(plain, project="website", tags={"a": 1})
    assert wrapped is plain
    assert ledger.client.wrap(plain) is plain, "once"
    wrapped.with_options(timeout=5).chat.completions.create(**ASK, tokenledger={"tags": {"b": 2}})
    assert (ledger.event["project"], ledger.event["tags"]) == ("website", {"a": 1, "b": 2})
    with Client("http://other.test", "tl_other") as other, pytest.raises(ValueError, match="Another"):
        other.wrap(plain)
    plain.close()


def test_only_clients_can_be_wrapped(ledger: Ledger) -> None:
    with pytest.raises(TypeError, match="not dict"):
        ledger.client.wrap({})
    with pytest.raises(TypeError, match="unknown: team"):
        ledger.client.wrap(openai.OpenAI(api_key="x"), team="x")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://mine.openai.azure.com/openai", "azure"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("http://localhost:8000/v1", None),
        ("https://notapi.openai.com.evil.test/v1", None),
    ],
)
def test_the_provider_is_told_from_the_address(ledger: Ledger, address: str, name: str | None) -> None:
    from tokenledger.wrapping.tracker import Tracker

    with openai.OpenAI(api_key="x", base_url=address) as plain:
        tracker = Tracker(ledger.client, plain, None, {}, asks_for_usage=True)
        assert tracker._provider == name


@doing(answer(200, completion()))
def test_a_failure_to_track_is_only_logged(
    provider: Provider, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    create = provider.client.chat.completions.create
    assert create(**ASK, tokenledger={"usr": "misspelled"}).usage.total_tokens == 1100
    assert "unknown: usr" in caplog.text
    assert ledger.event["usage"] == USAGE, "told without it"
    assert create(**ASK, tokenledger="nonsense").usage.total_tokens == 1100
    assert create(**ASK, tokenledger={"feature": object()}).usage.total_tokens == 1100
    assert "could not be tracked" in caplog.text
    ledger.client.close()
    assert create(**ASK).usage.total_tokens == 1100


def test_a_ledger_that_hangs_delays_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with scripted(hang(2)) as ledger, scripted(answer(200, completion())) as server:
        client = Client(ledger.url, "tl_key", max_queue=2, max_age=0, wait_when_full=5)
        plain = client.wrap(openai.OpenAI(api_key="x", base_url=f"{server.url}/v1"))
        plain.chat.completions.create(**ASK)
        started = time.monotonic()
        for _ in range(10):
            plain.chat.completions.create(**ASK)
        assert time.monotonic() - started < 1.5
        assert client.stats.dropped >= 8
        client.close(0)
        plain.close()


def test_calls_through_the_gateway_are_metered_there() -> None:
    """Told twice they would count twice. What they belong to travels in headers."""
    with scripted(answer(200, completion())) as server, Client(server.url, "tl_key") as client:
        plain = client.wrap(openai.OpenAI(api_key="tl_key", base_url=f"{server.url}/v1"), project="website")
        with client.context(chat={"id": "c1", "title": "T"}, user="bob", tags={"env": "prod", "n": 1}):
            plain.chat.completions.create(
                **ASK, tokenledger={"feature": "Büro"}, extra_headers={"X-Tokenledger-User": "own"}
            )
        assert client.flush(5)
        (received,) = server.requests
        told = {name: value for name, value in received.headers.items() if name.startswith("x-tokenledger-")}
        assert told == {
            "x-tokenledger-project": "website",
            "x-tokenledger-chat": "c1",
            "x-tokenledger-user": "own",
            "x-tokenledger-tags": '{"env": "prod", "n": "1"}',
        }
        plain.close()

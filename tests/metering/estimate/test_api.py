"""POST /v1/estimate as a client meets it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from accounts.models import Scope
from metering.estimate.description import ANSWER, EXAMPLE
from tests.cast import Key
from tests.metering.door import Door

pytestmark = pytest.mark.django_db(transaction=True)

CHAT = [{"role": "user", "content": "What is the capital of France?"}]


def ask(door: Door, body: Any, key: Key | None = None, **headers: str) -> httpx.Response:
    secret = key.secret if key else door.secret
    content = body if isinstance(body, bytes) else json.dumps(body)
    sent = {"authorization": f"Bearer {secret}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return door.request("POST", "/v1/estimate", content=content, headers=sent)


@pytest.mark.usefixtures("prices")
def test_the_example_of_the_description(door: Door) -> None:
    answer = ask(door, EXAMPLE)
    assert (answer.status_code, answer.json()) == (200, ANSWER)


@pytest.mark.usefixtures("prices")
def test_a_text_and_a_number(door: Door) -> None:
    text = ask(door, {"model": "gpt-4o", "provider": "openai", "text": "tiktoken is great!"}).json()
    assert (text["input_tokens"], text["max_output_tokens"], text["is_exact"]) == (6, 4_096, True)
    number = ask(door, {"model": "gpt-4o", "input_tokens": 1_000, "max_output_tokens": 0}).json()
    assert (number["cost_usd"], number["tokenizer"]) == ("0.0025", "given")


def test_what_has_no_price_has_no_cost(door: Door) -> None:
    answer = ask(door, {"model": "in-house", "text": "Hello"}).json()
    assert answer["cost_usd"] is answer["input_cost_usd"] is answer["output_cost_usd"] is None
    assert "no price" in answer["price_rule"]
    assert not answer["is_exact"]


@pytest.mark.usefixtures("prices")
def test_other_models(door: Door) -> None:
    body = {"model": "claude-sonnet-4-5", "messages": CHAT, "system": "Be brief.", "models": ["gpt-4o", "in-house"]}
    answer = ask(door, body).json()
    assert [one["model"] for one in answer["models"]] == ["gpt-4o", "in-house"]
    assert [one["cost_usd"] is None for one in answer["models"]] == [False, True]
    assert answer["input_tokens"] > 14


def test_an_embedding_has_no_output(door: Door) -> None:
    answer = ask(door, {"model": "text-embedding-3-small", "text": "Hello"}).json()
    assert (answer["input_tokens"], answer["max_output_tokens"]) == (1, 0)


def test_packed_bodies(door: Door) -> None:
    body = gzip.compress(json.dumps({"model": "gpt-4o", "text": "word " * 50_000}).encode())
    answer = ask(door, body, content_encoding="gzip").json()
    assert answer["input_tokens"] == 50_001
    assert answer["is_exact"]


@pytest.mark.parametrize("scope", [Scope.GATEWAY, Scope.USAGE_WRITE, Scope.USAGE_READ, Scope.ADMIN])
def test_any_key_that_works_with_usage_may_ask(door: Door, new_key: Callable[..., Key], scope: Scope) -> None:
    assert ask(door, {"model": "gpt-4o", "text": "Hello"}, new_key(scope)).status_code == 200


def test_others_may_not(door: Door, new_key: Callable[..., Key]) -> None:
    refused = ask(door, {"model": "gpt-4o", "text": "Hello"}, new_key(Scope.BILLING_READ))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "missing_scope")
    nobody = door.request("POST", "/v1/estimate", content="{}")
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "missing_api_key")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"text": "Hello"}, "missing_field", "model"),
        ({"model": "gpt-4o"}, "missing_field", "messages"),
        ({"model": "", "text": "Hello"}, "invalid_field", "model"),
        ({"model": 4, "text": "Hello"}, "invalid_field", "model"),
        ({"model": "gpt-4o", "text": "Hello", "input_tokens": 3}, "invalid_field", "input_tokens"),
        ({"model": "gpt-4o", "messages": CHAT, "text": "Hello"}, "invalid_field", "text"),
        ({"model": "gpt-4o", "messages": []}, "invalid_field", "messages"),
        ({"model": "gpt-4o", "messages": ["Hello"]}, "invalid_field", "messages[0]"),
        ({"model": "gpt-4o", "text": "Hello", "tools": [{}]}, "invalid_field", "tools"),
        ({"model": "gpt-4o", "input_tokens": -1}, "invalid_field", "input_tokens"),
        ({"model": "gpt-4o", "input_tokens": 1.5}, "invalid_field", "input_tokens"),
        ({"model": "gpt-4o", "text": "Hello", "max_output_tokens": 2**31}, "invalid_field", "max_output_tokens"),
        ({"model": "gpt-4o", "text": "Hello", "max_tokens": 5}, "unknown_field", "max_tokens"),
        ({"model": "gpt-4o", "text": "Hello", "models": ["x"] * 21}, "invalid_field", "models"),
        ([], "invalid_field", None),
    ],
)
def test_refusals_name_the_culprit(door: Door, body: Any, code: str, param: str | None) -> None:
    refused = ask(door, body)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (422, code, param)


def test_what_is_no_json_is_refused(door: Door) -> None:
    for content in (b"", b"{", b'{"model": "gpt-4o", "text": "\xff"}'):
        refused = ask(door, content)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_json")
    assert ask(door, b" " * (17 * 1024 * 1024)).status_code == 413


def test_odd_chats_are_estimated(door: Door) -> None:
    odd = [{"role": 5, "content": {"type": [], "x": 1e300}}, {}, {"content": [[["\ud83d\ude00"]]]}]
    assert ask(door, {"model": "gpt-4o", "messages": odd}).status_code == 200

"""The estimate page."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, User
from metering.events import Usage
from tests.metering.query.usage import make_event, write

PAGE = "/o/acme/estimate/"

pytestmark = pytest.mark.django_db(transaction=True)


def post(client: Client, **fields: Any) -> HttpResponse:
    sent = {"kind": "text", "text": "tiktoken is great!", "model": "gpt-4o", "output_tokens": "100"} | fields
    return client.post(PAGE, sent)


def errors(response: HttpResponse) -> dict[str, list[str]]:
    assert response.status_code == 422
    found: dict[str, list[str]] = response.context["form"].errors
    return found


@pytest.mark.usefixtures("prices")
def test_a_text_is_counted_and_priced(alice_client: Client) -> None:
    response = post(alice_client, others="claude-sonnet-4-5, in-house, gpt-4o")
    assert response.status_code == 200
    chosen = response.context["chosen"]
    assert (chosen.count.tokens, chosen.count.is_exact) == (6, True)
    assert (chosen.input_cost_nanos, chosen.output_cost_nanos, chosen.cost_nanos) == (15_000, 1_000_000, 1_015_000)
    lines = response.context["lines"]
    assert [line.quote.model for line in lines] == ["gpt-4o", "claude-sonnet-4-5", "in-house"]
    assert [line.quote.cost_nanos for line in lines] == [1_015_000, None, None]
    page = response.content.decode()
    assert "$0.0010" in page
    assert "Exact" in page
    assert "no price for in-house" in page


def test_a_chat_and_a_whole_request(alice_client: Client) -> None:
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    for text in (json.dumps(messages), json.dumps({"model": "gpt-4o", "messages": messages, "temperature": 1})):
        assert post(alice_client, kind="chat", text=text).context["chosen"].count.tokens == 14
    with_tools = json.dumps({"messages": messages, "tools": [{"name": "weather"}], "system": "Be brief."})
    chosen = post(alice_client, kind="chat", text=with_tools, model="claude-sonnet-4-5").context["chosen"]
    assert chosen.count.tokens > 500
    assert not chosen.count.is_exact


@pytest.mark.parametrize(
    ("name", "data", "tokens"),
    [
        ("a.txt", b"tiktoken is great!", 6),
        ("a.py", "\ufefftiktoken is great!".encode(), 6),
        ("a.md", "tiktoken is great!".encode("utf-16"), 6),
        ("a.csv", "Größe;Übermaß".encode("cp1252"), 5),
    ],
)
def test_text_files_of_any_encoding(alice_client: Client, name: str, data: bytes, tokens: int) -> None:
    response = post(alice_client, text="", file=SimpleUploadedFile(name, data))
    assert response.status_code == 200
    assert response.context["chosen"].count.tokens == tokens
    assert name in response.content.decode()


@pytest.mark.parametrize(
    "data", [b"%PDF-1.7\n%abc", b"\x89PNG\r\n\x1a\n\0\0\0", b"PK\x03\x04\x14\0\x06\0", bytes(range(256)), b"\x81\x8d"]
)
def test_binary_files_are_refused(alice_client: Client, data: bytes) -> None:
    response = post(alice_client, file=SimpleUploadedFile("a.txt", data))
    assert "This is no text file" in errors(response)["file"][0]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"text": "  "}, "text", "Paste a text"),
        ({"file": SimpleUploadedFile("a.txt", b"")}, "file", "Paste a text"),
        ({"file": SimpleUploadedFile("a.txt", b"a" * (5 * 1024 * 1024 + 1))}, "file", "at most 5.0"),
        ({"kind": "chat"}, "text", "This is no JSON"),
        ({"kind": "chat", "text": "[" * 100_000}, "text", "This is no JSON"),
        ({"kind": "chat", "text": "[]"}, "text", "A chat is a list"),
        ({"kind": "chat", "text": '{"messages": ["Hello"]}'}, "text", "A chat is a list"),
        ({"kind": "poem"}, "kind", "Select a valid choice"),
        ({"model": ""}, "model", "required"),
        ({"model": "m" * 201}, "model", "at most 200"),
        ({"output_tokens": "-1"}, "output_tokens", "greater than or equal to 0"),
        ({"output_tokens": "many"}, "output_tokens", "whole number"),
        ({"others": ",".join(f"m{n}" for n in range(21))}, "others", "at most 20"),
    ],
)
def test_what_cannot_be_estimated_is_said_at_its_field(
    alice_client: Client, fields: dict[str, Any], field: str, words: str
) -> None:
    assert words in errors(post(alice_client, **fields))[field][0]


def test_nothing_of_the_text_is_kept(alice_client: Client) -> None:
    post(alice_client, text="a secret plan")
    assert "a secret plan" not in alice_client.get(PAGE).content.decode()
    assert "secret" not in json.dumps(dict(alice_client.session))


@pytest.mark.usefixtures("prices")
def test_models_in_use_come_first(
    acme: Organization, alice: User, alice_client: Client, bob: User, bob_client: Client
) -> None:
    at = now() - dt.timedelta(minutes=5)
    events = [make_event(f"a{n}", at, "house-model", Usage(input=10), user=alice.email) for n in range(3)]
    write(acme.pk, [*events, make_event("b", at, "bobs-model", Usage(input=10), user=bob.email)])
    context = alice_client.get(PAGE).context
    assert context["models"][:3] == ["house-model", "bobs-model", "openai/gpt-4o"]
    assert context["form"].initial["model"] == "house-model"
    # A member knows of their own calls only.
    assert bob_client.get(PAGE).context["models"] == ["bobs-model", "openai/gpt-4o"]


def test_a_link_may_name_the_model(alice_client: Client) -> None:
    assert alice_client.get(f"{PAGE}?model=gpt-4").context["form"].initial["model"] == "gpt-4"


def test_texts_and_names_are_escaped(alice_client: Client) -> None:
    page = post(alice_client, text="<script>alert(1)</script>", model="<b>x</b>", others="<i>y</i>\0").content.decode()
    for markup in ("<script>alert", "<b>x", "<i>y"):
        assert markup not in page

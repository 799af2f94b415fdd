"""The newest calls, and one with its receipt: what the API says, recomputed when it is looked at."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, User
from core.tenancy import organization_scope
from metering.events import Usage
from tests.metering.query.usage import make_event, write
from tests.reports.priced import set_prices, write_priced

URL = "/o/acme/calls/"
ONE = "/o/acme/calls/id/"
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def calls(acme: Organization, alice: User, bob: User) -> None:
    set_prices()
    at = now() - dt.timedelta(minutes=20)
    gateway = {
        "upstream": "second", "attempts": [{"upstream": "first", "status": 529, "error": "overloaded"}],
        "response_id": "chatcmpl-1", "response_model": "gpt-4o-2026", "finish_reason": "stop", "streamed": True,
        "trace_id": "abc",
    }  # fmt: skip
    write_priced(
        acme.pk,
        [
            make_event("full", at, usage=Usage(input=333, cache_read=41, output=7), provider="openai", user=alice.email,
                       tags={"env": "prod"}, chat="c1", message="m1", detail=gateway, duration_ms=1234,
                       time_to_first_token_ms=210, raw_usage={"prompt_tokens": 374, "odd": "<b>"}),
            make_event("odd", at + MINUTE, "odd-1", user=bob.email),
            make_event("failed", at + 2 * MINUTE, usage=None, status="rate_limited", user=bob.email,
                       detail={"error_code": "slow_down"}),
            make_event("silent", at + 3 * MINUTE, usage=None, provider="openai"),
        ],
    )  # fmt: skip
    write_priced(acme.pk, [make_event("right", at + MINUTE, usage=Usage(input=9), provider="openai", supersedes="odd")])


def shown(client: Client, path: str = URL, query: str = "", status: int = 200) -> Any:
    response = client.get(f"{path}?{query}")
    assert response.status_code == status, response.content[:500]
    return response


def ids(response: Any) -> list[str]:
    return [row["event"].event_id for row in response.context["rows"]]


def test_the_list_is_the_apis(alice_client: Client, acme_api: Client, calls: None) -> None:
    told = acme_api.get("/v1/events").json()["data"]
    assert ids(shown(alice_client)) == [row["id"] for row in told] == ["silent", "failed", "right", "full"]
    assert ids(shown(alice_client, query="model=gpt-4o&status=ok&provider=none")) == []
    assert ids(shown(alice_client, query="tag.env=prod")) == ["full"]
    page = shown(alice_client).content.decode()
    assert "rate_limited" in page


def test_pages_are_complete(alice_client: Client, acme: Organization) -> None:
    at = now() - dt.timedelta(minutes=5)
    write(acme.pk, [make_event(f"e{n}", at + n // 4 * dt.timedelta(seconds=1)) for n in range(120)])
    found, address = [], f"{URL}?range=7d"
    while address:
        response = alice_client.get(address)
        found += ids(response)
        address = response.context["next_url"]
    assert sorted(found) == sorted(f"e{n}" for n in range(120))


def test_it_refreshes_only_when_asked_to(alice_client: Client, calls: None) -> None:
    response = shown(alice_client)
    assert "hx-trigger" not in response.content.decode().partition('id="calls"')[2].partition(">")[0]
    on = next(option["url"] for option in response.context["refresh_options"] if not option["is_current"])
    assert 'hx-trigger="every 10s"' in alice_client.get(on).content.decode()


def test_the_receipt_is_the_apis_to_the_last_digit(alice_client: Client, acme_api: Client, calls: None) -> None:
    response = shown(alice_client, f"{ONE}full")
    told, receipt = acme_api.get("/v1/events/full/receipt").json(), response.context["receipt"]
    page = response.content.decode()
    assert receipt.exact_usd == told["exact_usd"] == "0.000953750000333"
    assert [row["line"].amount_usd for row in response.context["receipt_lines"]] == [
        line["amount_usd"] for line in told["lines"]
    ]
    for text in (*(line["amount_usd"] for line in told["lines"]), told["exact_usd"], told["cost_usd"], told["rule"]):
        assert text in page
    assert "test list" in page
    assert "no end" in page
    assert "equal" in page


def test_a_receipt_that_no_longer_adds_up_says_so(alice_client: Client, acme: Organization, calls: None) -> None:
    with organization_scope(acme.pk), connection.cursor() as cursor:
        cursor.execute("UPDATE metering_event SET cost_nanos = cost_nanos + 1 WHERE event_id = 'full'")
    assert "differs: $0.00095375" in shown(alice_client, f"{ONE}full").content.decode()


def test_everything_known_of_a_call_is_there(alice_client: Client, calls: None) -> None:
    page = shown(alice_client, f"{ONE}full").content.decode()
    for text in ("second", "first: 529, overloaded", "chatcmpl-1", "gpt-4o-2026", "stop", "trace_id", "1.2 s", "210 ms",
                 "tag.env=prod", "/o/acme/chats/id/c1", "&lt;b&gt;", "Cache read", "374"):  # fmt: skip
        assert text in page, text
    response = shown(alice_client, f"{ONE}full")
    model = next(row for row in response.context["dimensions"] if row["label"] == "Model")
    assert alice_client.get(model["url"]).context["page"]["filters"][0]["value"] == "gpt-4o"


def test_corrections_lead_both_ways(alice_client: Client, calls: None) -> None:
    old, new = shown(alice_client, f"{ONE}odd"), shown(alice_client, f"{ONE}right")
    assert "This call was corrected" in old.content.decode()
    assert old.context["call"]["successor_url"] == f"{ONE}right"
    assert new.context["supersedes_url"] == f"{ONE}odd"


def test_unknown_failed_and_unpriced_are_not_free(alice_client: Client, calls: None) -> None:
    assert "did not say what was used" in shown(alice_client, f"{ONE}silent").content.decode()
    assert "slow_down" in shown(alice_client, f"{ONE}failed").content.decode()
    page = shown(alice_client, f"{ONE}odd").content.decode()
    assert "No total of money counts this call" in page
    assert "$0.00" not in page


def test_a_member_finds_their_own_calls_only(bob_client: Client, vera_client: Client, calls: None) -> None:
    assert ids(shown(bob_client)) == ["failed"]
    shown(bob_client, f"{ONE}full", status=404)
    page = shown(bob_client, f"{ONE}failed")
    assert {row["label"]: row["url"] for row in page.context["dimensions"]}["Member"] is None
    assert "API key" not in {row["label"] for row in shown(vera_client, f"{ONE}full").context["dimensions"]}


def test_strangers_find_nothing(charlie_client: Client, client: Client, calls: None) -> None:
    for path in (URL, f"{ONE}full"):
        assert charlie_client.get(path).status_code == 404
        assert client.get(path).status_code == 302


def test_any_id_can_be_shown(alice_client: Client, acme: Organization) -> None:
    for name in ("a/b", "choose/model", "ü 1?&%#", "<b>x</b>", "x" * 200):
        write(acme.pk, [make_event(name, now() - MINUTE)])
        rows = {row["event"].event_id: row["url"] for row in shown(alice_client).context["rows"]}
        assert alice_client.get(rows[name]).context["event"].event_id == name
    shown(alice_client, f"{ONE}%00", status=404)


def test_nonsense_in_the_address_is_told(alice_client: Client, calls: None) -> None:
    for query in ("range=fortnight", "cursor=WzEsMl0", "modle=x"):
        assert "This view does not exist" in shown(alice_client, query=query, status=422).content.decode()


def test_queries_do_not_grow(alice_client: Client, acme: Organization, calls: None) -> None:
    def counted(path: str) -> int:
        shown(alice_client, path)
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client, path)
        return len(captured)

    before = counted(URL)
    at = now() - 2 * MINUTE
    events = [make_event(f"n{n}", at, f"model-{n}", user="alice@acme.test", feature=f"f{n}") for n in range(40)]
    write(acme.pk, events)
    assert counted(URL) == before

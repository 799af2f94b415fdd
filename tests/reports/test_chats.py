"""The list of chats and the page of one say what the API says, to those who may see it."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, Project, Role, Team, TeamMembership, User
from core.figures import money_exact
from core.money import usd_text
from core.tenancy import organization_scope
from metering.events import Usage
from tests.cast import logged_in, make_member, membership_of
from tests.metering.query.usage import make_event, write
from tests.reports.priced import set_prices, write_priced

URL = "/o/acme/chats/"
ONE = "/o/acme/chats/id/"
MINUTE = dt.timedelta(minutes=1)
PARTS = {
    "input_parts": {"files": 600, "message": 40, "context": 300},
    "output_parts": {"answer": 90, "tool_output": 10},
}
FILES = [{"id": "f1", "name": "Annual_Report.pdf", "size_bytes": 2_300_000, "tokens": 600}]


@pytest.fixture
def noon() -> dt.datetime:
    return now() - dt.timedelta(hours=1)


@pytest.fixture
def chats(acme: Organization, alice: User, bob: User, noon: dt.datetime) -> None:
    """c1: alice, two calls and one corrected, with parts and a file; c2: bob, unpriced; c3: both; c4: long ago."""
    set_prices()
    detail = {"chat_title": "Q3 Marketing", **PARTS, "files": FILES}
    told: dict[str, Any] = {"provider": "openai", "chat": "c1", "chat_title": "Q3 Marketing", "user": alice.email}
    used = Usage(input=940, output=110)
    write_priced(
        acme.pk,
        [
            make_event("a1", noon, usage=used, message="m1", detail=detail, duration_ms=900, **told),
            make_event("a2", noon + MINUTE, usage=Usage(input=1), message="m2", detail={"chat_title": "x"}, **told),
            make_event("b1", noon - MINUTE, "odd-1", chat="c2", chat_title="50% off_", user=bob.email,
                       detail={"chat_title": "50% off_"}),
            make_event("s1", noon + 2 * MINUTE, provider="openai", chat="c3", user=alice.email),
            make_event("s2", noon + 3 * MINUTE, provider="openai", chat="c3", user=bob.email, is_estimated=True),
            make_event("old", noon - dt.timedelta(days=380), provider="openai", chat="c4"),
        ],
    )  # fmt: skip
    detail = {"chat_title": "Q3 Marketing"}
    write_priced(
        acme.pk,
        [make_event("a3", noon + MINUTE, usage=Usage(input=50, cache_read=7, output=5), message="m2", supersedes="a2",
                    detail=detail, **told)],
    )  # fmt: skip


def shown(client: Client, path: str = URL, query: str = "range=30d", status: int = 200) -> Any:
    response = client.get(f"{path}?{query}")
    assert response.status_code == status, response.content[:500]
    return response


def names(response: Any) -> list[str]:
    return [row["chat"].chat for row in response.context["rows"]]


def test_the_list_has_the_figures_of_the_api(alice_client: Client, acme_api: Client, chats: None) -> None:
    response = shown(alice_client)
    told = {row["id"]: row for row in acme_api.get("/v1/chats").json()["data"]}
    assert names(response) == ["c3", "c1", "c2"] == [chat for chat in told if chat != "c4"]
    page = response.content.decode()
    for row in response.context["rows"]:
        figures, expected = row["chat"].figures, told[row["chat"].chat]
        assert row["chat"].title == expected["title"]
        for name in ("requests", "total_tokens", "prompt_tokens", "completion_tokens"):
            assert getattr(figures, name) == expected[name]
        assert usd_text(figures.cost_nanos) == expected["cost_usd"]
        assert f"{expected['total_tokens']:,}" in page
    assert {row["chat"].chat: (row["messages"], row["who"]) for row in response.context["rows"]} == {
        "c1": (2, "Alice"),
        "c2": (0, "Bob"),
        "c3": (0, "Alice, Bob"),
    }


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-cost_usd", ["c1", "c3", "c2"]),
        ("cost_usd", ["c2", "c3", "c1"]),
        ("-total_tokens", ["c1", "c3", "c2"]),
        ("last_at", ["c2", "c1", "c3"]),
    ],
)
def test_sorting(alice_client: Client, chats: None, sort: str, expected: list[str]) -> None:
    assert names(shown(alice_client, query=f"range=30d&sort={sort}")) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("marketing", ["c1"]),
        ("c", ["c3", "c1", "c2"]),
        ("C1", []),
        ("50% OFF_", ["c2"]),
        ("%", ["c2"]),
        ("__", []),
        ("1", []),
    ],
)
def test_search_is_a_part_of_the_title_or_how_the_id_begins(
    alice_client: Client, chats: None, words: str, expected: list[str]
) -> None:
    response = shown(alice_client, query=f"range=30d&q={quote(words)}")
    assert names(response) == expected
    assert expected or "No chat by that name" in response.content.decode()


@pytest.mark.parametrize("sort", ["-last_at", "last_at", "-cost_usd", "total_tokens"])
def test_pages_are_complete(alice_client: Client, acme: Organization, noon: dt.datetime, sort: str) -> None:
    write(acme.pk, [make_event(f"e{n}", noon + n // 3 * MINUTE / 30, chat=f"c{n:02}") for n in range(60)])
    found: list[str] = []
    address = f"{URL}?range=30d&sort={sort}"
    while address:
        response = alice_client.get(address)
        found += names(response)
        address = response.context["next_url"]
    assert len(found) == 60
    assert set(found) == {f"c{n:02}" for n in range(60)}


def test_filters_leave_out_calls(alice_client: Client, chats: None, acme: Organization, bob: User) -> None:
    member = membership_of(bob, acme).pk
    assert names(shown(alice_client, query=f"range=30d&member={member}")) == ["c3", "c2"]
    assert names(shown(alice_client, query="range=30d&model=odd-1")) == ["c2"]
    assert "No usage matches these filters" in shown(alice_client, query="range=30d&model=none").content.decode()


def test_a_filtered_chat_is_told_with_its_whole_life(
    alice_client: Client, acme_api: Client, acme: Organization, noon: dt.datetime
) -> None:
    """Of a chat that began months before the range, too."""
    events = [make_event(f"e{n}", noon - n * dt.timedelta(days=40), chat="long") for n in range(3)]
    write(acme.pk, events)
    (row,) = shown(alice_client, query="range=today&model=gpt-4o").context["rows"] or [None]
    assert row["chat"].figures.requests == 3
    assert row["chat"].first_at == events[2].occurred_at
    assert acme_api.get("/v1/chats", {"model": "gpt-4o"}).json()["data"][0]["requests"] == 3


def test_the_file_is_the_same_list(alice_client: Client, acme_api: Client, chats: None) -> None:
    response = alice_client.get("/o/acme/chats/list.csv?range=30d&sort=-cost_usd")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))
    told = {row["id"]: row for row in acme_api.get("/v1/chats").json()["data"]}
    assert [row["id"] for row in rows] == ["c1", "c3", "c2"]
    for row in rows:
        assert row["cost_usd"] == (told[row["id"]]["cost_usd"] or "")
        assert int(row["total_tokens"]) == told[row["id"]]["total_tokens"]
        assert row["last_at"] == told[row["id"]]["last_at"]


def test_a_member_sees_their_own_calls(bob_client: Client, chats: None) -> None:
    for query in ("range=30d", "range=30d&user=alice@acme.test"):
        rows = shown(bob_client, query=query).context["rows"]
        assert [(row["chat"].chat, row["chat"].figures.requests) for row in rows] == [("c3", 1), ("c2", 1)]
    shown(bob_client, f"{ONE}c1", status=404)
    page = shown(bob_client, f"{ONE}c3")
    assert page.context["figures"].requests == 1
    assert [call["event"].event_id for call in page.context["calls"]] == ["s2"]
    assert "alice" not in page.content.decode().lower()
    text = b"".join(bob_client.get("/o/acme/chats/list.csv?range=30d").streaming_content)  # type: ignore[attr-defined]
    assert b"Marketing" not in text


def test_who_administers_a_team_sees_its_chats(
    acme: Organization, search: Team, website: Project, noon: dt.datetime
) -> None:
    lead = make_member(acme, "lead", Role.MEMBER)
    with organization_scope(acme.pk):
        TeamMembership.objects.create(
            organization=acme, team=search, membership=membership_of(lead, acme), is_admin=True
        )
    write(acme.pk, [make_event("t", noon, chat="ours", project="website"), make_event("u", noon, chat="theirs")])
    client = logged_in(lead)
    assert names(shown(client)) == []
    response = shown(client, query="range=30d&team=search")
    assert names(response) == ["ours"]
    assert client.get(response.context["rows"][0]["url"]).context["figures"].requests == 1
    shown(client, f"{ONE}theirs", "team=search", status=404)
    shown(client, f"{ONE}ours", "", status=404)


def test_strangers_find_nothing(charlie_client: Client, client: Client, chats: None) -> None:
    for path in (URL, f"{ONE}c1", "/o/acme/chats/list.csv"):
        assert charlie_client.get(path).status_code == 404
        assert client.get(path).status_code == 302


def test_a_chat_has_the_figures_of_the_api(alice_client: Client, acme_api: Client, chats: None) -> None:
    response = shown(alice_client, f"{ONE}c1")
    told, context = acme_api.get("/v1/chats/c1").json(), response.context
    assert context["figures"].requests == told["requests"] == 2
    assert context["figures"].total_tokens == told["total_tokens"]
    assert usd_text(context["figures"].cost_nanos) == told["cost_usd"]
    assert money_exact(context["figures"].cost_nanos) in response.content.decode()
    assert context["about"].messages == len(told["messages"])
    events = {row["id"]: row for row in acme_api.get("/v1/events", {"chat": "c1", "superseded": "true"}).json()["data"]}
    calls = {call["event"].event_id: call for call in context["calls"]}
    assert list(calls) == list(events)[::-1]
    for name, call in calls.items():
        assert usd_text(call["event"].cost_nanos) == events[name]["cost_usd"]
        assert call["total_tokens"] == events[name]["total_tokens"]


def test_corrected_calls_are_shown_without_a_number(alice_client: Client, chats: None) -> None:
    response = shown(alice_client, f"{ONE}c1")
    numbers = {call["event"].event_id: call["number"] for call in response.context["calls"]}
    assert (numbers["a1"], numbers["a2"], numbers["a3"]) == (1, None, 2)
    assert "Corrected" in response.content.decode()


def test_the_running_cost_ends_at_the_chats_cost(alice_client: Client, chats: None) -> None:
    response = shown(alice_client, f"{ONE}c1")
    (line,) = response.context["chart"]["json"]["series"]
    assert line["texts"][-1] == money_exact(response.context["figures"].cost_nanos)
    assert len(line["texts"]) == 2


def test_a_split_is_drawn_and_written(alice_client: Client, chats: None) -> None:
    page = shown(alice_client, f"{ONE}c1").content.decode()
    assert "message 40, context 300, files 600, answer 90, tool output 10, other output 10" in page
    assert "Annual_Report.pdf" in page


def test_estimated_and_unpriced_calls_are_marked(alice_client: Client, chats: None) -> None:
    assert "Estimated" in shown(alice_client, f"{ONE}c3").content.decode()
    page = shown(alice_client, f"{ONE}c2").content.decode()
    assert "Unpriced" in page
    assert "$0.00" not in page


def test_long_chats_go_on(alice_client: Client, acme: Organization, noon: dt.datetime) -> None:
    write(acme.pk, [make_event(f"e{n:03}", noon + n * MINUTE / 60, chat="long") for n in range(150)])
    latest = shown(alice_client, f"{ONE}long")
    first = latest.context["calls"][0]
    assert (first["event"].event_id, first["number"], len(latest.context["calls"])) == ("e050", 51, 100)
    (line,) = latest.context["chart"]["json"]["series"]
    assert line["texts"][0] == money_exact(latest.context["figures"].known_cost_nanos * 51 // 150)
    earlier = alice_client.get(latest.context["earlier_url"])
    assert [call["event"].event_id for call in earlier.context["calls"]] == [f"e{n:03}" for n in range(50)]


def test_any_id_and_title_can_be_shown(alice_client: Client, acme: Organization, noon: dt.datetime) -> None:
    for name in ("choose/model", "list.csv", "ü 1?&%#", "<b>x</b>", "x" * 200):
        write(acme.pk, [make_event(name, noon, chat=name, detail={"chat_title": "<i>&"}, chat_title="<i>&")])
        rows = {row["chat"].chat: row["url"] for row in shown(alice_client).context["rows"]}
        response = alice_client.get(rows[name])
        assert response.context["chat"].chat == name
        assert b"<i>&<" not in response.content
    shown(alice_client, f"{ONE}%00", status=404)


def test_nonsense_in_the_address_is_told(alice_client: Client, chats: None) -> None:
    for query in ("range=fortnight", "sort=size", "cursor=WzEsMl0", "q=" + "x" * 201, "modle=x"):
        assert "This view does not exist" in shown(alice_client, query=query, status=422).content.decode()
    shown(alice_client, f"{ONE}c1", "range=fortnight", status=422)


def test_no_chats_says_how_they_come(alice_client: Client, acme: Organization) -> None:
    assert "No chats in this range" in shown(alice_client).content.decode()


def test_queries_do_not_grow(alice_client: Client, acme: Organization, chats: None, noon: dt.datetime) -> None:
    def counted(path: str) -> int:
        shown(alice_client, path)
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client, path)
        return len(captured)

    before = counted(URL), counted(f"{ONE}c1")
    user = "alice@acme.test"
    events = [
        make_event(
            f"n{n}", noon + n * MINUTE / 60, f"model-{n}", chat="c1" if n % 2 else f"d{n}", user=user, tags={"n": "1"}
        )
        for n in range(60)
    ]
    write(acme.pk, events)
    assert (counted(URL), counted(f"{ONE}c1")) == before


@pytest.mark.parametrize("wrong", ["sort=zz", "q=%00", f"q={'x' * 300}", "team=zz", "api_key=zz", "cursor=zz"])
def test_a_list_that_cannot_be_asked_for_is_no_file(alice_client: Client, chats: None, wrong: str) -> None:
    assert alice_client.get(f"/o/acme/chats/list.csv?range=30d&{wrong}").status_code == 422


@pytest.mark.parametrize(
    ("query", "text", "retry"),
    [
        ("q=%00", "A search has no NUL characters.", "Open it without the search"),
        (f"q={'x' * 201}", "A search has at most 200 characters.", "Open it without the search"),
        ("sort=foo", "Lists go by Tokens, Cost, Last activity.", "Open it without the order"),
    ],
)
def test_what_is_wrong_is_said_in_words_and_left_out(
    alice_client: Client, chats: None, query: str, text: str, retry: str
) -> None:
    error = shown(alice_client, query=f"range=30d&{query}", status=422).context["error"]
    assert text in error["text"]
    assert (error["retry_label"], error["retry_url"]) == (retry, f"{URL}?range=30d")

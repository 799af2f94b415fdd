"""/v1/events, /v1/events/{id}, its receipt, /v1/chats and /v1/chats/{id}."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, Project
from core.tenancy import unscoped
from metering.events import Usage
from metering.pipeline import Sender
from tests.cast import Key, make_key
from tests.metering.query.usage import SOME_USAGE, make_event, write

NOON = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def store_one(api: Client) -> None:
    """An event with everything an event can have, now, in the organization of the key."""
    with unscoped("test"):
        organization = Organization.objects.get(slug="acme")
    write(
        organization.id,
        [
            make_event(
                "one", now(), provider="openai", endpoint="/v1/chat/completions", chat="c1", chat_title="Title",
                message="m1", feature="chat", user="nobody@acme.test", tags={"env": "prod"}, duration_ms=12,
                raw_usage={"prompt_tokens": 10, "completion_tokens": 5, "odd": 1.5}, time_to_first_token_ms=3,
                detail={"chat_title": "Title", "files": [{"id": "f1", "name": "a.pdf"}], "input_parts": {"context": 3},
                        "streamed": True, "finish_reason": "stop"},
            )
        ],
    )  # fmt: skip


def pages(api: Client, path: str, **given: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = api.get(path, given | ({"cursor": cursor} if cursor else {})).json()
        rows += answer["data"]
        assert answer["has_more"] == (answer["next_cursor"] is not None)
        cursor = answer["next_cursor"]
        if cursor is None:
            return rows


def test_pages_are_complete_and_newest_first(acme: Organization, acme_api: Client) -> None:
    # Several at the same instant: the key decides.
    write(acme.id, [make_event(f"e{n}", NOON + n // 3 * MINUTE) for n in range(25)])
    rows = pages(acme_api, "/v1/events", limit=4)
    assert sorted(row["id"] for row in rows) == sorted(f"e{n}" for n in range(25))
    assert [row["occurred_at"] for row in rows] == sorted((row["occurred_at"] for row in rows), reverse=True)


def test_rows_that_arrive_meanwhile_shift_nothing(acme: Organization, acme_api: Client) -> None:
    write(acme.id, [make_event(f"e{n}", NOON + n * MINUTE) for n in range(6)])
    first = acme_api.get("/v1/events", {"limit": 3}).json()
    write(acme.id, [make_event("later", NOON + 10 * MINUTE)])
    second = acme_api.get("/v1/events", {"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [row["id"] for row in first["data"] + second["data"]] == ["e5", "e4", "e3", "e2", "e1", "e0"]


def test_everything_of_one_event(acme_api: Client) -> None:
    store_one(acme_api)
    event = acme_api.get("/v1/events/one").json()
    assert event["raw_usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "odd": 1.5}
    assert event["usage"]["input"] == 10
    assert event["total_tokens"] == 15
    assert event["chat"] == {"id": "c1", "title": "Title"}
    assert event["message"] == {"id": "m1", "input_parts": {"context": 3}}
    assert event["files"] == [{"id": "f1", "name": "a.pdf"}]
    assert event["tags"] == {"env": "prod"}
    assert event["cost_usd"] == "0.000075045"
    assert event["pricing"] == "priced"
    assert (event["supersedes"], event["superseded_by"]) == (None, None)


def test_unknown_usage_is_null_and_no_usage_of_errors_too(acme: Organization, acme_api: Client) -> None:
    write(acme.id, [make_event("a", NOON, usage=None), make_event("b", NOON, usage=None, status="error")])
    for event_id, pricing, cost in (("a", "unpriced", None), ("b", "free", "0")):
        event = acme_api.get(f"/v1/events/{event_id}").json()
        assert (event["usage"], event["total_tokens"]) == (None, None)
        assert (event["pricing"], event["cost_usd"]) == (pricing, cost)


def test_corrections_point_at_each_other(acme: Organization, acme_api: Client) -> None:
    write(acme.id, [make_event("wrong", NOON)])
    write(acme.id, [make_event("right", NOON, usage=Usage(input=7), supersedes="wrong")])
    assert acme_api.get("/v1/events/wrong").json()["superseded_by"] == "right"
    assert acme_api.get("/v1/events/right").json()["supersedes"] == "wrong"
    assert [row["id"] for row in pages(acme_api, "/v1/events")] == ["right"]
    assert {row["id"] for row in pages(acme_api, "/v1/events", superseded="true")} == {"right", "wrong"}


def test_ids_with_slashes_and_spaces(acme: Organization, acme_api: Client) -> None:
    for event_id in ("a/b", "a/receipt", "ü 1?&%", "x" * 200):
        write(acme.id, [make_event(event_id, NOON, chat=event_id)])
        path = quote(event_id, safe="")
        assert acme_api.get(f"/v1/chats/{path}").json()["id"] == event_id
        assert acme_api.get(f"/v1/events/{path}/receipt").json()["event"] == event_id
        if not event_id.endswith("/receipt"):
            assert acme_api.get(f"/v1/events/{path}").json()["id"] == event_id


def test_filters(acme: Organization, acme_api: Client) -> None:
    write(
        acme.id,
        [
            make_event("a", NOON, "gpt-4o", tags={"env": "prod"}, status="error"),
            make_event("b", NOON + MINUTE, "odd-one", detail={"files": [{"id": "f1"}]}),
            make_event("c", NOON + 2 * MINUTE, "free-one", chat="c1"),
        ],
    )
    for given, expected in (
        ({"model": "gpt-4o"}, "a"),
        ({"model": ["gpt-4o", "odd-one"]}, "ba"),
        ({"pricing": "unpriced"}, "b"),
        ({"status": "error"}, "a"),
        ({"tag.env": "prod"}, "a"),
        ({"tag.env": "none"}, "cb"),
        ({"file": "f1"}, "b"),
        ({"chat": "none"}, "ba"),
        ({"chat": "c1", "model": "gpt-4o"}, ""),
        ({"from": "2025-03-10T12:01:00Z"}, "cb"),
        ({"to": "2025-03-10T12:01:00Z"}, "a"),
        ({"from": "2025-03-11"}, ""),
    ):
        assert "".join(row["id"] for row in pages(acme_api, "/v1/events", **given)) == expected, given


@pytest.mark.parametrize(
    ("path", "given", "status", "param"),
    [
        ("/v1/events", {"limit": "0"}, 422, "limit"),
        ("/v1/events", {"limit": "101"}, 422, "limit"),
        ("/v1/events", {"cursor": "x"}, 422, "cursor"),
        ("/v1/events", {"cursor": "WzEsMl0"}, 422, "cursor"),
        ("/v1/events", {"cursor": "WyIyMDI1LTAxLTAxIiwieCJd"}, 422, "cursor"),
        ("/v1/events", {"pricing": "cheap"}, 422, "pricing"),
        ("/v1/events", {"superseded": "maybe"}, 422, "superseded"),
        ("/v1/events", {"modle": "x"}, 422, "modle"),
        ("/v1/events", {"from": "2025-01-02", "to": "2025-01-01"}, 422, "to"),
        ("/v1/events/no-such", {}, 404, None),
        ("/v1/events/no-such/receipt", {}, 404, None),
        ("/v1/events/%00", {}, 404, None),
        ("/v1/chats/no-such", {}, 404, None),
        ("/v1/chats/%00", {}, 404, None),
        ("/v1/chats", {"cursor": "WzEsMl0"}, 422, "cursor"),
        ("/v1/chats", {"order_by": "title"}, 422, "order_by"),
        ("/v1/chats", {"q": "x" * 201}, 422, "q"),
    ],
)
def test_refusals(acme_api: Client, path: str, given: dict[str, str], status: int, param: str | None) -> None:
    response = acme_api.get(path, given)
    assert response.status_code == status, response.content
    assert response.json()["error"]["param"] == param


def test_strangers_see_nothing(acme: Organization, acme_api: Client, globex_api: Client) -> None:
    store_one(acme_api)
    assert globex_api.get("/v1/events").json()["data"] == []
    assert globex_api.get("/v1/chats").json()["data"] == []
    assert globex_api.get("/v1/usage").json()["total_requests"] == 0
    for path in ("/v1/events/one", "/v1/events/one/receipt", "/v1/chats/c1"):
        assert globex_api.get(path).status_code == 404


def test_a_key_of_a_project_reads_that_project(acme: Organization, website: Project) -> None:
    write(acme.id, [make_event("ours", NOON, chat="c1")], Sender(project_id=website.id))
    write(acme.id, [make_event("theirs", NOON, chat="c1"), make_event("more", NOON, chat="c2")])
    api = make_key(acme, ["usage:read"], project=website).client
    assert [row["id"] for row in pages(api, "/v1/events")] == ["ours"]
    assert api.get("/v1/events/theirs").status_code == 404
    assert [(row["id"], row["requests"]) for row in pages(api, "/v1/chats")] == [("c1", 1)]
    assert api.get("/v1/chats/c1").json()["requests"] == 1
    assert api.get("/v1/chats/c2").status_code == 404
    period = {"from": "2025-03-01", "to": "2025-03-31"}
    assert api.get("/v1/usage", period).json()["total_requests"] == 1
    assert api.get("/v1/usage", period | {"project": "website"}).json()["total_requests"] == 1
    assert api.get("/v1/usage", period | {"project": "none"}).status_code == 403


def test_chats(acme: Organization, acme_api: Client) -> None:
    write(
        acme.id,
        [
            make_event("a", NOON, chat="old", chat_title="First", detail={"chat_title": "First"}),
            make_event("b", NOON + 40 * 24 * 60 * MINUTE, chat="old", chat_title="Second", message="m2",
                       detail={"chat_title": "Second"}),
            make_event("c", NOON + MINUTE, chat="other"),
            make_event("d", NOON + MINUTE),
        ],
    )  # fmt: skip
    rows = pages(acme_api, "/v1/chats", limit=1)
    assert [(row["id"], row["title"], row["requests"]) for row in rows] == [("old", "Second", 2), ("other", None, 1)]
    assert rows == pages(acme_api, "/v1/chats", api_key="none")
    assert [row["id"] for row in pages(acme_api, "/v1/chats", to="2025-03-31")] == ["other"]
    write(acme.id, [make_event("more", NOON, chat="other", usage=Usage(input=500))])
    for given, expected in (
        ({"order_by": "-total_tokens"}, ["other", "old"]),
        ({"order_by": "total_tokens"}, ["old", "other"]),
        ({"order_by": "last_at"}, ["other", "old"]),
        ({"q": "second"}, ["old"]),
        ({"q": "oth"}, ["other"]),
        ({"q": "first"}, []),
    ):
        assert [row["id"] for row in pages(acme_api, "/v1/chats", limit=1, **given)] == expected, given
    chat = acme_api.get("/v1/chats/old").json()
    assert chat["total_tokens"] == 2 * SOME_USAGE.total_tokens
    assert [row["message"] for row in chat["messages"]] == ["m2", None]
    assert [row["model"] for row in chat["models"]] == ["gpt-4o"]


def test_scopes(client: Client, acme_key: Key, new_key: Any) -> None:
    writer = new_key("usage:write").client
    for path in ("/v1/events", "/v1/events/x", "/v1/events/x/receipt", "/v1/chats", "/v1/chats/x"):
        assert client.get(path).status_code == 401
        assert writer.get(path).status_code == 403

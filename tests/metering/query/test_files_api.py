"""/v1/files and /v1/files/{id}, and the file as a dimension of /v1/usage/query."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization, Project
from metering.events import Usage
from metering.pipeline import Sender
from tests.cast import Key, make_key
from tests.metering.query.test_events_api import pages
from tests.metering.query.usage import make_event, write

AT = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
MARCH = {"from": "2025-03-01", "to": "2025-03-31"}
REPORT = {"id": "reports/2025.pdf", "name": "Annual_Report.pdf", "size_bytes": 2_300_000, "tokens": 400}
BRIEF = {"id": "brief", "name": "Brief.docx", "size_bytes": 10_000, "tokens": 100}
USAGE = Usage(input=1_000, output=10)


@pytest.fixture
def files(acme: Organization) -> None:
    write(
        acme.pk,
        [
            make_event("1", AT, usage=USAGE, chat="c1", chat_title="One",
                       detail={"chat_title": "One", "files": [REPORT]}),
            make_event("2", AT + dt.timedelta(days=2), usage=USAGE, chat="c2", detail={"files": [REPORT, BRIEF]}),
            make_event("3", AT + dt.timedelta(days=40), "odd-model", USAGE, detail={"files": [BRIEF]}),
            make_event("4", AT, usage=USAGE, chat="c1"),
        ],
    )  # fmt: skip


def test_the_list(acme_api: Client, files: None) -> None:
    answer = acme_api.get("/v1/files", MARCH).json()
    assert [row["id"] for row in answer["data"]] == ["reports/2025.pdf", "brief"]
    report = answer["data"][0]
    assert report | {
        "name": "Annual_Report.pdf", "size_bytes": 2_300_000, "tokens": 400, "chats": 2, "requests": 2,
        "file_tokens": 800, "processing_cost_usd": "0.0020008", "total_tokens": 2_020,
        "first_at": "2025-03-10T12:00:00Z", "last_at": "2025-03-12T12:00:00Z",
    } == report  # fmt: skip
    totals = answer["totals"]
    assert (totals["files"], totals["chats"], totals["requests"]) == (2, 2, 2)
    assert totals["processing_cost_usd"] == "0.0022509"
    assert answer["coverage"]["priced"]["events"] == 2
    april = acme_api.get("/v1/files", {"from": "2025-04-01", "to": "2025-04-30"}).json()
    assert [(row["id"], row["processing_cost_usd"], row["cost_usd"]) for row in april["data"]] == [
        ("brief", None, None)
    ]


def test_ways_to_ask(acme_api: Client, files: None) -> None:
    for given, expected in (
        ({"order_by": "name"}, ["reports/2025.pdf", "brief"]),
        ({"order_by": "size_bytes"}, ["brief", "reports/2025.pdf"]),
        ({"q": "annual"}, ["reports/2025.pdf"]),
        ({"file": "brief"}, ["brief"]),
        ({"file": "none"}, []),
        ({"chat": "c1"}, ["reports/2025.pdf"]),
        ({"model": "odd-model"}, []),
    ):
        rows = pages(acme_api, "/v1/files", limit=1, **MARCH, **given)
        assert [row["id"] for row in rows] == expected, given


def test_one_file(acme_api: Client, files: None) -> None:
    answer = acme_api.get("/v1/files/reports/2025.pdf").json()
    assert (answer["requests"], answer["chats"], answer["processing_cost_usd"]) == (2, 2, "0.0020008")
    assert [(row["chat"], row["title"], row["processing_cost_usd"]) for row in answer["used_in"]] == [
        ("c2", None, "0.0010004"), ("c1", "One", "0.0010004")
    ]  # fmt: skip
    assert [(row["model"], row["requests"]) for row in answer["models"]] == [("gpt-4o", 2)]
    brief = acme_api.get("/v1/files/brief").json()
    assert [row["chat"] for row in brief["used_in"]] == ["c2", None]


def test_the_dimension_of_a_query(acme_api: Client, files: None) -> None:
    answer = acme_api.get("/v1/usage/query", MARCH | {"group_by": "file", "interval": "none"}).json()
    assert [(row["group"]["file"], row["requests"]) for row in answer["data"]] == [
        ("reports/2025.pdf", 2), ("brief", 1), (None, 1)
    ]  # fmt: skip
    assert answer["totals"]["requests"] == 3
    one = acme_api.get("/v1/usage/query", MARCH | {"file": "reports/2025.pdf", "interval": "none"}).json()
    assert one["totals"]["requests"] == 2


@pytest.mark.parametrize(
    ("path", "given", "status", "param"),
    [
        ("/v1/files", {"order_by": "color"}, 422, "order_by"),
        ("/v1/files", {"q": "x" * 201}, 422, "q"),
        ("/v1/files", {"limit": "0"}, 422, "limit"),
        ("/v1/files", {"cursor": "WzEsMl0"}, 422, "cursor"),
        ("/v1/files", {"colour": "x"}, 422, "colour"),
        ("/v1/files", {"from": "2025-02-01", "to": "2025-01-01"}, 422, "to"),
        ("/v1/files/brief", {"from": "2025-02-01"}, 422, "from"),
        ("/v1/files/no-such", {}, 404, None),
        ("/v1/files/%00", {}, 404, None),
    ],
)
def test_refusals(
    acme_api: Client, files: None, path: str, given: dict[str, str], status: int, param: str | None
) -> None:
    response = acme_api.get(path, given)
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


def test_strangers_and_keys_without_the_scope(
    client: Client, globex_api: Client, acme_key: Key, new_key: Any, files: None
) -> None:
    assert globex_api.get("/v1/files", MARCH).json()["data"] == []
    assert globex_api.get("/v1/files/brief").status_code == 404
    for path in ("/v1/files", "/v1/files/brief"):
        assert client.get(path).status_code == 401
        assert new_key("usage:write").client.get(path).status_code == 403


def test_a_key_of_a_project_reads_that_project(acme: Organization, website: Project, files: None) -> None:
    write(acme.pk, [make_event("ours", AT, usage=USAGE, detail={"files": [BRIEF]})], Sender(project_id=website.id))
    api = make_key(acme, ["usage:read"], project=website).client
    assert [(row["id"], row["requests"]) for row in pages(api, "/v1/files", **MARCH)] == [("brief", 1)]
    assert api.get("/v1/files/brief").json()["requests"] == 1
    assert api.get("/v1/files/reports/2025.pdf").status_code == 404

"""Files: the list, its CSV file, and one file with its chats, calls and trend."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, User
from core.money import usd_text
from metering.events import Usage
from tests.metering.query.usage import make_event, write

URL = "/o/acme/files/"
REPORT: dict[str, Any] = {
    "id": "reports/2025 a.pdf",
    "name": "Annual_Report.pdf",
    "size_bytes": 2_300_000,
    "tokens": 400,
}
BRIEF: dict[str, Any] = {"id": "brief", "name": "=Brief.docx", "size_bytes": 10_000, "tokens": 100}
BARE: dict[str, Any] = {"id": "bare"}
USAGE = Usage(input=1_000, output=10)
MINUTE = dt.timedelta(minutes=1)
ONE = f"{URL}id/{quote(REPORT['id'])}"


@pytest.fixture
def noon() -> dt.datetime:
    return now() - dt.timedelta(hours=2)


@pytest.fixture
def files(acme: Organization, alice: User, bob: User, noon: dt.datetime) -> None:
    def call(name: str, minutes: float, files: list[dict[str, Any]], **fields: Any) -> Any:
        return make_event(name, noon + minutes * MINUTE, usage=USAGE, detail={"files": files}, **fields)

    write(
        acme.pk,
        [
            call("1", 0, [REPORT], chat="c1", chat_title="Q3 Marketing", user=alice.email),
            call("2", 1, [REPORT, BRIEF], chat="c2", user=bob.email),
            call("3", 2, [BRIEF], user=alice.email),
            call("4", 3, [BARE], user=alice.email, model="odd-model"),
            call("old", -60 * 24 * 60, [REPORT], chat="c0", user=alice.email),
            make_event("none", noon, usage=USAGE, user=alice.email),
        ],
    )


def shown(client: Client, url: str = URL, query: str = "range=30d") -> Any:
    response = client.get(f"{url}?{query}")
    assert response.status_code == 200
    return response


def names(response: Any) -> list[str]:
    return [row["file"].file for row in response.context["rows"]]


def test_the_list_has_the_figures_of_the_api(alice_client: Client, acme_api: Client, files: None) -> None:
    response = shown(alice_client)
    first, last = (now() - dt.timedelta(days=29), now())
    told = acme_api.get("/v1/files", {"from": f"{first:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}"}).json()
    assert names(response) == [row["id"] for row in told["data"]] == [REPORT["id"], "brief", "bare"]
    for row, expected in zip(response.context["rows"], told["data"], strict=True):
        one = row["file"]
        assert (one.name, one.size_bytes, one.tokens, one.chats) == tuple(
            expected[key] for key in ("name", "size_bytes", "tokens", "chats")
        )
        assert usd_text(one.shares.cost_nanos) == expected["processing_cost_usd"]
        assert usd_text(one.figures.cost_nanos) == expected["cost_usd"]
    assert response.context["totals"].figures.requests == told["totals"]["requests"] == 4
    page = response.content.decode()
    assert "Annual_Report.pdf" in page
    assert "Unpriced" in page
    assert [card["value"] for card in response.context["summary"]][2:] == [3, 4, 2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=name", ["=", "a", "b"]),
        ("sort=-size_bytes", ["a", "=", "b"]),
        ("sort=size_bytes", ["b", "=", "a"]),
        ("q=annual", ["a"]),
        ("q=BARE", ["b"]),
        ("q=nowhere", []),
        ("file=brief", ["="]),
        ("chat=c1", ["a"]),
        ("member=bob%40acme.test", ["a", "="]),
        ("model=odd-model", ["b"]),
    ],
)
def test_sorting_searching_and_filters(alice_client: Client, files: None, query: str, expected: list[str]) -> None:
    short = {REPORT["id"]: "a", "brief": "=", "bare": "b"}
    response = shown(alice_client, query=f"range=30d&{query}")
    assert [short[name] for name in names(response)] == expected


def test_pages_are_complete(alice_client: Client, acme: Organization, noon: dt.datetime) -> None:
    write(
        acme.pk, [make_event(f"e{n}", noon, detail={"files": [{"id": f"f{n:02}", "tokens": n % 9}]}) for n in range(60)]
    )
    found: list[str] = []
    address = f"{URL}?range=30d&sort=-tokens"
    while address:
        response = alice_client.get(address)
        found += names(response)
        address = response.context["next_url"]
    assert len(found) == 60 == len(set(found))


def test_the_file_has_every_row_and_no_formula(alice_client: Client, files: None) -> None:
    response = alice_client.get("/o/acme/files/list.csv?range=30d")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == [REPORT["id"], "brief", "bare"]
    assert rows[1]["name"] == "'=Brief.docx"
    assert rows[0]["processing_cost_usd"] == "0.0020008"
    assert rows[2]["cost_usd"] == ""


def test_one_file_in_all_of_its_life(alice_client: Client, acme_api: Client, files: None) -> None:
    response = shown(alice_client, ONE)
    told = acme_api.get(f"/v1/files/{quote(REPORT['id'])}").json()
    one = response.context["file"]
    assert (one.figures.requests, one.chats) == (told["requests"], told["chats"]) == (3, 3)
    assert usd_text(one.shares.cost_nanos) == told["processing_cost_usd"]
    assert [(row["use"].chat, row["use"].title) for row in response.context["chats"]] == [
        ("c2", None), ("c1", "Q3 Marketing"), ("c0", None)
    ]  # fmt: skip
    assert {group["label"]: len(group["rows"]) for group in response.context["groups"]} == {"Model": 1, "Member": 2}
    assert [call["event"].event_id for call in response.context["calls"]] == ["2", "1", "old"]
    assert sum(int(row["cells"][2]) for row in response.context["chart"]["table"]["rows"]) == 3
    page = response.content.decode()
    assert "/o/acme/chats/id/c1" in page
    text = alice_client.get(response.context["chart"]["csv_url"]).content.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sum(int(row["requests"]) for row in rows) == 3
    assert sum(int(row["file_tokens"]) for row in rows) == told["file_tokens"]


def test_a_long_life_is_told_by_the_month(
    alice_client: Client, acme: Organization, files: None, noon: dt.datetime
) -> None:
    write(acme.pk, [make_event("older", noon - dt.timedelta(days=200), usage=USAGE, detail={"files": [REPORT]})])
    trend = shown(alice_client, ONE).context["chart"]
    assert trend["title"] == "Processing cost by month"
    assert sum(int(row["cells"][2]) for row in trend["table"]["rows"]) == 4


def test_members_see_the_files_of_their_own_calls(bob_client: Client, files: None) -> None:
    response = shown(bob_client)
    assert names(response) == [REPORT["id"], "brief"]
    assert all(row["file"].figures.requests == 1 for row in response.context["rows"])
    one = shown(bob_client, ONE)
    assert one.context["file"].figures.requests == 1
    assert [group["label"] for group in one.context["groups"]] == ["Model"]
    assert bob_client.get(f"{URL}id/bare").status_code == 404
    assert bob_client.get(f"{URL}trend/bare").status_code == 404


@pytest.mark.parametrize("path", ["id/nowhere", "id/%00", "trend/nowhere"])
def test_what_is_not_there(alice_client: Client, files: None, path: str) -> None:
    assert alice_client.get(f"{URL}{path}").status_code == 404


def test_strangers_see_nothing(charlie_client: Client, files: None) -> None:
    for path in ("", "list.csv", "id/brief", "trend/brief"):
        assert charlie_client.get(f"{URL}{path}").status_code == 404


def test_addresses_that_make_no_sense(alice_client: Client, files: None) -> None:
    for query in ("sort=color", "cursor=x", f"q={'x' * 201}", "range=never"):
        response = alice_client.get(f"{URL}?{query}")
        assert response.status_code == 422
        assert "This view does not exist" in response.content.decode()


def test_chats_and_calls_lead_to_their_files(alice_client: Client, files: None) -> None:
    for url in ("/o/acme/chats/id/c1", "/o/acme/calls/id/1"):
        assert f"/o/acme/files/id/{quote(REPORT['id'])}" in alice_client.get(url).content.decode()


def test_nothing_yet(alice_client: Client) -> None:
    assert "No files in this range" in shown(alice_client).content.decode()


def test_queries_do_not_grow_with_rows(
    alice_client: Client, acme: Organization, noon: dt.datetime, files: None, django_assert_max_num_queries: Any
) -> None:
    counts = []
    shown(alice_client)
    for number in range(2):
        for url in (URL, ONE):
            with django_assert_max_num_queries(60) as captured:
                shown(alice_client, url)
            counts.append(len(captured))
        write(
            acme.pk,
            [
                make_event(
                    f"more{number}-{n}", noon, f"model-{n}", chat=f"x{n}", detail={"files": [REPORT, {"id": f"n{n}"}]}
                )
                for n in range(15)
            ],
        )
    assert counts[2:] == counts[:2]


@pytest.mark.parametrize("wrong", ["cursor=zz", "sort=zz", "q=%00"])
def test_a_list_that_cannot_be_asked_for_is_no_file(alice_client: Client, files: None, wrong: str) -> None:
    assert alice_client.get(f"{URL}list.csv?range=30d&{wrong}").status_code == 422

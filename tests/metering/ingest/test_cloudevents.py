"""CloudEvents 1.0 at POST /v1/events: structured, batched, binary; and what the specification does not allow."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from accounts.models import Organization, Scope
from metering.ingest.cloudevents import BATCHED, STRUCTURED
from tests.cast import make_key
from tests.metering.door import Door, select, stored_ids, usage

EXAMPLES = Path(__file__).parents[4] / "shared/data/webhooks_events/cloudevents_examples.json"
DATA = {"model": "gpt-4o", "provider": "openai", "usage": usage()}
TIME = "2026-10-05T17:31:00Z"


def cloudevent(**fields: Any) -> dict[str, Any]:
    """A sound one; `fields` change it, None stays null."""
    return {"specversion": "1.0", "id": "A-1", "source": "/billing", "type": "com.acme.call", "data": DATA} | fields


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in cloudevent().items() if name not in names}


def send(door: Door, event: Any, *, query: str = "") -> httpx.Response:
    return door.send_raw(
        json.dumps(event), query=query, content_type=BATCHED if isinstance(event, list) else STRUCTURED
    )


def send_binary(door: Door, headers: dict[str, str], data: Any = DATA, content_type: str | None = None) -> Any:
    sent = {"authorization": f"Bearer {door.secret}", "content-type": content_type or "application/json"}
    return door.request("POST", "/v1/events", content=json.dumps(data), headers=sent | headers)


BINARY = {"ce-specversion": "1.0", "ce-id": "A-1", "ce-source": "/billing", "ce-type": "com.acme.call"}


# ── Taken ──


def test_a_structured_event_is_known_by_source_and_id(door: Door, acme: Organization, prices: None) -> None:
    event = cloudevent(
        subject="alice@acme.test", time=TIME, comexampleextension="x", another=5, data=DATA | {"id": "req_1"}
    )
    answer = send(door, event).json()
    assert answer["results"] == [
        {"index": 0, "id": "/billing|A-1", "status": "created", "pricing": "priced", "cost_usd": "0.0035"}
    ]
    assert send(door, event).json()["duplicates"] == 1
    assert send(door, event | {"source": "urn:other"}).json()["created"] == 1
    assert send(door, event | {"id": "A-2"}).json()["created"] == 1
    assert send(door, event | {"data": DATA | {"usage": usage(5, 5)}}).json()["conflicts"] == 1
    ((at, user),) = select(
        acme,
        "SELECT to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), l.text FROM metering_event e"
        " JOIN metering_label l ON l.id = e.user_id WHERE event_id = '/billing|A-1'",
    )
    assert (at, user) == ("2026-10-05 17:31:00", "alice@acme.test")


def test_what_data_says_itself_stands(door: Door, acme: Organization) -> None:
    data = DATA | {"user": "bob@acme.test", "occurred_at": "2026-10-06T00:00:00Z"}
    assert send(door, cloudevent(subject="alice@acme.test", time=TIME, data=data)).status_code == 200
    ((day, user),) = select(
        acme,
        "SELECT extract(day FROM occurred_at AT TIME ZONE 'UTC')::int, l.text FROM metering_event e"
        " JOIN metering_label l ON l.id = e.user_id",
    )
    assert (day, user) == (6, "bob@acme.test")


def test_a_batch_has_a_result_for_each(door: Door, acme: Organization) -> None:
    answer = send(door, [cloudevent(), cloudevent(id="A-2", specversion="0.3"), 17, cloudevent(id="A-3", data={})])
    assert answer.status_code == 207
    results = [(one["status"], one["id"], one.get("error", {}).get("param")) for one in answer.json()["results"]]
    assert results == [
        ("created", "/billing|A-1", None),
        ("invalid", None, "specversion"),
        ("invalid", None, None),
        ("invalid", "/billing|A-3", "data.model"),
    ]
    assert stored_ids(acme) == ["/billing|A-1"]


def test_an_empty_batch_is_fine(door: Door) -> None:
    answer = send(door, [])
    assert (answer.status_code, answer.json()["created"]) == (200, 0)


def test_data_in_base64_is_read_where_its_type_is_said(door: Door) -> None:
    encoded = base64.b64encode(json.dumps(DATA).encode()).decode()
    sound = without("data") | {"data_base64": encoded, "datacontenttype": "application/vnd.acme+json; charset=utf-8"}
    assert send(door, sound).json()["created"] == 1
    for broken in ("!!", "bm90IGpzb24=", 5):
        assert send(door, sound | {"data_base64": broken}).json()["error"]["code"] == "invalid_data"
    untyped = {name: value for name, value in sound.items() if name != "datacontenttype"}
    assert send(door, untyped).json()["error"]["code"] == "unsupported_datacontenttype"
    assert send(door, sound | {"data": DATA}).json()["error"]["code"] == "invalid_cloudevent"


def test_binary_mode(door: Door, acme: Organization) -> None:
    headers = BINARY | {"ce-subject": '"J%C3%BCrgen \\"J\\" %41"', "ce-time": TIME, "ce-myextension": "5"}
    assert send_binary(door, headers).json()["results"][0]["id"] == "/billing|A-1"
    assert select(acme, "SELECT l.text FROM metering_event e JOIN metering_label l ON l.id = e.user_id") == [
        ('Jürgen "J" A',)
    ]
    # The same event by another way.
    assert send(door, cloudevent(subject='Jürgen "J" A')).json()["duplicates"] == 1


def test_headers_beside_a_structured_event_are_not_read(door: Door) -> None:
    answer = door.send_raw(json.dumps(cloudevent()), content_type=STRUCTURED + "; charset=UTF-8", ce_id="other")
    assert answer.json()["results"][0]["id"] == "/billing|A-1"


def test_null_is_not_set(door: Door) -> None:
    unset = {"subject": None, "time": None, "dataschema": None, "datacontenttype": None, "data_base64": None}
    assert send(door, cloudevent(**unset)).json()["created"] == 1


def test_a_long_source_still_makes_an_id(door: Door, acme: Organization) -> None:
    event = cloudevent(source="https://acme.test/" + "a" * 300)
    assert send(door, event).json()["created"] == 1
    assert send(door, event).json()["duplicates"] == 1
    assert [len(one) for one in stored_ids(acme)] == [32]


def test_strict_mode_is_about_the_data(door: Door) -> None:
    event = cloudevent(extension="kept out", data=DATA | {"foo": 1})
    refused = send(door, event, query="?strict=true").json()["error"]
    assert (refused["code"], refused["param"]) == ("unknown_field", "data.foo")
    assert send(door, event).json()["results"][0]["warnings"] == ["unknown field foo was left out"]


# ── Refused ──

WRONG: list[tuple[dict[str, Any], str, str | None]] = [
    (without("specversion"), "missing_field", "specversion"),
    (without("id"), "missing_field", "id"),
    (without("source"), "missing_field", "source"),
    (without("type"), "missing_field", "type"),
    (without("data"), "missing_field", "data"),
    (cloudevent(id=""), "missing_field", "id"),
    (cloudevent(source=None), "missing_field", "source"),
    (cloudevent(specversion="1.1"), "unsupported_specversion", "specversion"),
    (cloudevent(specversion=1.0), "invalid_attribute", "specversion"),
    (cloudevent(id=7), "invalid_attribute", "id"),
    (cloudevent(type="a\u0000b"), "invalid_attribute", "type"),
    (cloudevent(source="/with a space"), "invalid_attribute", "source"),
    (cloudevent(source="a|b"), "invalid_attribute", "source"),
    (cloudevent(source="%zz"), "invalid_attribute", "source"),
    (cloudevent(source="/ü"), "invalid_attribute", "source"),
    (cloudevent(dataschema="/relative"), "invalid_attribute", "dataschema"),
    (cloudevent(time="yesterday"), "invalid_attribute", "time"),
    (cloudevent(time="2026-10-05T17:31:00"), "invalid_attribute", "time"),
    (cloudevent(time="2026-13-05T17:31:00Z"), "invalid_attribute", "time"),
    (cloudevent(time="2099-10-05T17:31:00Z"), "time_in_future", "data.occurred_at"),
    (cloudevent(subject=""), "invalid_attribute", "subject"),
    (cloudevent(datacontenttype="json"), "invalid_attribute", "datacontenttype"),
    (cloudevent(datacontenttype="application/xml", data="<x/>"), "unsupported_datacontenttype", "datacontenttype"),
    (cloudevent(dataContentType="application/json"), "invalid_attribute", "dataContentType"),
    (cloudevent(data_schema="x"), "invalid_attribute", "data_schema"),
    (cloudevent(data="text"), "invalid_data", "data"),
    (cloudevent(data=[DATA]), "invalid_data", "data"),
    (cloudevent(data=None), "invalid_data", "data"),
]


@pytest.mark.django_db(transaction=True)
def test_what_the_specification_does_not_allow(door: Door, acme: Organization) -> None:
    for event, code, param in WRONG:
        answer = send(door, event)
        error = answer.json()["error"]
        assert (event, answer.status_code, error["code"], error["param"]) == (event, 422, code, param)
    assert stored_ids(acme) == []


def test_bodies_that_are_no_cloudevents(door: Door) -> None:
    for content_type in (STRUCTURED, BATCHED):
        for body in (b"", b"{", b"17", b"[" * 50_000):
            assert door.send_raw(body, content_type=content_type).status_code == 400
    assert send(door, [cloudevent()] * 10_001).status_code == 413
    assert door.send_raw(json.dumps([cloudevent()]), content_type=STRUCTURED).json()["error"]["code"] == "invalid_body"
    assert door.send_raw(json.dumps(cloudevent()), content_type=BATCHED).json()["error"]["code"] == "invalid_body"


def test_binary_mode_refuses(door: Door) -> None:
    for change, code, param in (
        ({"ce-type": ""}, "missing_field", "type"),
        ({"ce-specversion": "0.3"}, "unsupported_specversion", "specversion"),
        ({"ce-source": "a%20b"}, "invalid_attribute", "source"),
        ({"ce-time": "noon"}, "invalid_attribute", "time"),
        ({"ce-bad_name": "x"}, "invalid_attribute", "bad_name"),
        ({"ce-data": "x"}, "invalid_attribute", "data"),
        ({"ce-datacontenttype": "text/plain"}, "invalid_attribute", "datacontenttype"),
    ):
        answer = send_binary(door, BINARY | change)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
        assert answer.json()["error"]["param"] == param
    assert send_binary(door, BINARY, content_type="text/plain").json()["error"]["param"] == "datacontenttype"
    assert send_binary(door, BINARY, data=5).json()["error"]["code"] == "invalid_data"
    assert (
        door.request(
            "POST", "/v1/events", content=b"{", headers=BINARY | {"authorization": f"Bearer {door.secret}"}
        ).json()["error"]["code"]
        == "invalid_json"
    )


def test_a_key_without_the_scope_sends_no_cloudevents(door: Door, acme: Organization) -> None:
    reader = make_key(acme, [Scope.USAGE_READ])
    assert door.send_raw(json.dumps(cloudevent()), content_type=STRUCTURED, key=reader).status_code == 403


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the specification's examples are not at hand")
def test_the_examples_of_the_specification_are_understood(door: Door) -> None:
    """None of them carries an event object of ours; every one is refused for its data and for nothing else."""
    for example in json.loads(EXAMPLES.read_text()):
        answer = send(door, example)
        if example == []:
            assert answer.status_code == 200
        elif isinstance(example, dict) and ("specversion" not in example or "type" not in example):
            assert answer.json()["error"]["code"] in ("missing_field", "unsupported_datacontenttype")
        else:
            codes = {one["error"]["code"] for one in answer.json()["results"]}
            assert codes <= {"unsupported_datacontenttype", "invalid_data", "missing_field"}
            assert all((one["error"]["param"] or "").startswith("data") for one in answer.json()["results"])

"""What a client may get wrong, beside the same thing done right."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import zlib
from typing import Any

import pytest
import zstandard

from accounts.models import Organization, Project, Scope
from core.tenancy import organization_scope
from metering.ingest import batch
from tests.metering.door import Door, day_total, event, iso, select, stored_ids, usage

NOW = dt.datetime.now(dt.UTC)


def error_of(response: Any) -> dict[str, Any]:
    """The contract's error body, complete and with the request's own id."""
    error = response.json()["error"]
    assert set(error) == {"message", "type", "code", "param", "request_id"}
    assert error["request_id"] == response.headers["x-request-id"]
    return error


# ── The whole body ──


BODIES = [
    (b"", 400, "invalid_json"),
    (b"hello", 400, "invalid_json"),
    (b'{"id": ', 400, "invalid_json"),
    (b'[{"id": "e1"}, nonsense', 400, "invalid_json"),
    (b'{"events": [{"id": "e1"}, }', 400, "invalid_json"),
    (b'{"model": "\xff"}', 400, "invalid_json"),
    (b'{"id": "\\ud800"}', 400, "invalid_json"),
    (b'{"id": "a", "model": "m", "usage": {"prompt_tokens": NaN}}', 400, "invalid_json"),
    (b"[" * 50_000, 400, "invalid_json"),
    (b'{"usage":' * 50_000, 400, "invalid_json"),
    (b"17", 400, "invalid_body"),
    (b'"text"', 400, "invalid_body"),
    (b"null", 400, "invalid_body"),
    (b'{"events": 5}', 422, "invalid_type"),
    (b"[]", 422, "empty_batch"),
    (b'{"events": []}', 422, "empty_batch"),
    (b"[" + b"1," * 3_000_000 + b"1]", 413, "too_many_values"),
]


def test_bodies_that_are_no_events(door: Door) -> None:
    for content, status, code in BODIES:
        response = door.send_raw(content)
        assert (content[:40], response.status_code, error_of(response)["code"]) == (content[:40], status, code)
    assert door.send(event()).status_code == 200


def test_at_most_ten_thousand_events(door: Door, acme: Organization) -> None:
    fits = {"events": [event(f"e{n}", usage={"input": 1}) for n in range(10_000)]}
    too_many = {"events": [*fits["events"], event("one-more")]}
    for refused in (too_many, too_many["events"], [1] * 10_001):
        response = door.send(refused)
        assert (response.status_code, error_of(response)["code"]) == (413, "too_many_events")
    lines = "\n".join(json.dumps(one) for one in too_many["events"])
    assert door.send_raw(lines, content_type="application/x-ndjson").status_code == 413
    assert stored_ids(acme) == []
    response = door.send(fits, query="?results=none")
    assert response.json() == {"created": 10_000, "duplicates": 0, "conflicts": 0, "invalid": 0}


@pytest.mark.parametrize("is_chunked", [False, True])
def test_at_most_sixteen_mebibytes(door: Door, is_chunked: bool) -> None:
    padding = " " * (17 * 2**20)
    content = (json.dumps(event()) + padding).encode()
    chunks = (content[at : at + 2**20] for at in range(0, len(content), 2**20))
    response = door.send_raw(chunks if is_chunked else content)
    assert (response.status_code, error_of(response)["code"]) == (413, "body_too_large")
    assert door.send_raw(json.dumps(event()) + " " * (15 * 2**20)).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_packed_bodies(door: Door, encoding: str) -> None:
    pack = gzip.compress if encoding == "gzip" else zstandard.ZstdCompressor().compress
    noise = "".join(f"{n:x}" for n in range(9_000))
    good = pack(json.dumps([event("packed"), event("other", tags={"t": "x"}), {"noise": noise}]).encode())

    def send(content: bytes) -> tuple[int, str | None]:
        response = door.send_raw(content, content_encoding=encoding)
        return response.status_code, response.json().get("error", {}).get("code")

    assert send(good) == (207, None)
    assert send(good[: len(good) // 2]) == (400, "invalid_encoding")
    assert send(good[:-1]) == (400, "invalid_encoding")
    assert send(b"no " + good) == (400, "invalid_encoding")
    assert send(json.dumps(event()).encode()) == (400, "invalid_encoding")
    bomb = pack(b" " * (200 * 2**20))
    assert len(bomb) < 2**20
    assert send(bomb) == (413, "body_too_large")
    # Members and frames may follow each other; none is left out silently.
    parts = json.dumps([event("first"), event("second")]).encode()
    assert send(pack(parts[:40]) + pack(parts[40:])) == (200, None)
    assert send(pack(parts[:40]) + b"rubbish") == (400, "invalid_encoding")


def test_other_encodings_and_types(door: Door) -> None:
    packed = zlib.compress(json.dumps(event()).encode())
    assert door.send_raw(packed, content_encoding="deflate").status_code == 415
    response = door.send_raw("<event/>", content_type="text/xml")
    assert (response.status_code, error_of(response)["code"]) == (415, "unsupported_type")
    for content_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/x-www-form-urlencoded"):
        assert door.send_raw(json.dumps(event()), content_type=content_type).status_code == 200


def test_lines_fail_one_by_one(door: Door, acme: Organization) -> None:
    lines = [json.dumps(event("a")), "", "no json", '{"model": 5}', '{"id": "\\ud800"}', json.dumps(event("b")), "[]"]
    response = door.send_raw("\n".join(lines) + "\r\n\n", content_type="application/x-ndjson")
    assert response.status_code == 207
    results = response.json()["results"]
    assert [one["status"] for one in results] == ["created", "invalid", "invalid", "invalid", "created", "invalid"]
    assert results[1]["error"]["code"] == "invalid_json"
    assert "Line 3" in results[1]["error"]["message"]
    assert stored_ids(acme) == ["a", "b"]


# ── One event ──

BAD = [
    ({"model": None}, "missing_field", "model"),
    ({"model": 5}, "invalid_field", "model"),
    ({"model": ""}, "invalid_field", "model"),
    ({"model": "m" * 201}, "invalid_field", "model"),
    ({"id": ""}, "invalid_field", "id"),
    ({"id": 17}, "invalid_field", "id"),
    ({"usage": 5}, "invalid_field", "usage"),
    ({"usage": {"prompt_tokens": -1, "completion_tokens": 1}}, "negative_tokens", "usage.prompt_tokens"),
    ({"usage": {"prompt_tokens": 2**63, "completion_tokens": 1}}, "too_large", "usage.prompt_tokens"),
    ({"usage": {"prompt_tokens": 2**31, "completion_tokens": 1}}, "too_large", "usage.prompt_tokens"),
    ({"usage": {"input": 10**60}}, "too_large", "usage.input"),
    ({"usage": {"prompt_tokens": "many", "completion_tokens": 1}}, "invalid_usage", "usage.prompt_tokens"),
    ({"usage": {"prompt_tokens": 1.5, "completion_tokens": 1}}, "invalid_usage", "usage.prompt_tokens"),
    ({"usage": {"cups_of_tea": 5}}, "unrecognized_usage", "usage"),
    ({"occurred_at": "2099-01-01T00:00:00Z"}, "time_in_future", "occurred_at"),
    ({"occurred_at": iso(NOW + dt.timedelta(hours=2))}, "time_in_future", "occurred_at"),
    ({"occurred_at": "1970-01-01T00:00:00Z"}, "time_too_early", "occurred_at"),
    ({"occurred_at": "0001-01-01T00:00:00Z"}, "time_too_early", "occurred_at"),
    ({"occurred_at": "2026-01-01T00:00:00"}, "invalid_field", "occurred_at"),
    ({"occurred_at": "2026-13-01T00:00:00Z"}, "invalid_field", "occurred_at"),
    ({"occurred_at": "yesterday"}, "invalid_field", "occurred_at"),
    ({"occurred_at": 1767225600}, "invalid_field", "occurred_at"),
    ({"status": "great"}, "invalid_status", "status"),
    ({"duration_ms": -1}, "invalid_field", "duration_ms"),
    ({"duration_ms": 2**40}, "invalid_field", "duration_ms"),
    ({"tags": {f"t{n}": "v" for n in range(1_000)}}, "too_many_tags", "tags"),
    ({"tags": {"t" * 65: "v"}}, "invalid_tag", f"tags.{'t' * 64}"),
    ({"tags": {"t": "v" * 201}}, "invalid_tag", "tags.t"),
    ({"tags": {"t": {"nested": 1}}}, "invalid_field", "tags[...]"),
    ({"files": [{"id": f"f{n}"} for n in range(101)]}, "invalid_field", "files"),
    ({"chat": {"title": "no id"}}, "missing_field", "chat.id"),
    ({"project": "of-nobody"}, "unknown_project", "project"),
    ({"model": "gpt\0"}, "nul_character", None),
    ({"tags": {"a\0": "b"}}, "nul_character", None),
    ({"usage": usage() | {"note": "\0"}}, "nul_character", None),
]  # fmt: skip


def test_a_bad_event_fails_alone(door: Door, acme: Organization) -> None:
    for number, (fields, code, param) in enumerate(BAD):
        bad = event("bad", **fields)
        response = door.send({"events": [event(f"{number}-before"), bad, event(f"{number}-behind")]})
        assert response.status_code == 207
        assert [one["status"] for one in response.json()["results"]] == ["created", "invalid", "created"]
        problem = response.json()["results"][1]["error"]
        assert (fields, problem["code"], problem.get("param")) == (fields, code, param)
        alone = door.send(bad)
        assert (alone.status_code, error_of(alone)["code"]) == (422, code)
    assert len(stored_ids(acme)) == day_total(acme)[0] == 2 * len(BAD)


def test_every_good_neighbour_of_the_bad(door: Door, acme: Organization) -> None:
    good: list[dict[str, Any]] = [
        {"model": "m" * 200},
        {"usage": {"prompt_tokens": 2**31 - 1, "completion_tokens": 2**31 - 1}},
        {"usage": {"input": 2**31 - 1, "output": 2**31 - 1}, "model": "unpriced"},
        {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "as_a_number": 10**60, "small": 1e-300}},
        {"occurred_at": iso(NOW + dt.timedelta(minutes=4))},
        {"occurred_at": "2018-01-01T00:00:00Z"},
        {"occurred_at": "2026-01-01T05:45:00+05:45"},
        {"occurred_at": "2026-01-01t00:00:00.123456789z"},
        {"duration_ms": 2**31 - 1, "time_to_first_token_ms": 0.4},
        {"tags": {f"t{n}": n for n in range(32)} | {"t0": True, "t1": None, "t2": 1.5}},
        {"files": [{"id": f"f{n}", "size_bytes": 2**53} for n in range(100)]},
        {"chat": {"id": "c", "title": ""}},
        {"usage": {}, "status": "error"},
    ]
    response = door.send([event(f"e{n:02}", **fields) for n, fields in enumerate(good)])
    assert response.status_code == 200, response.text
    assert len(stored_ids(acme)) == len(good)


def test_numbers_beyond_all_bounds_are_their_events_problem(door: Door) -> None:
    content = b'[{"id": "a", "model": "m", "usage": {"prompt_tokens": 1e400}}, %s]' % json.dumps(event()).encode()
    response = door.send_raw(content)
    assert [one["status"] for one in response.json()["results"]] == ["invalid", "created"]


def test_texts_are_kept_as_they_come(door: Door, acme: Organization) -> None:
    """Right-to-left and control characters are the display's business; nothing is rewritten."""
    texts = [
        "شركة",
        "\u202egpt-4o\u202c",
        "a\u200fb",
        "e\u0301",
        "👩‍💻",
        "x\ty\r\n\u2028z",
        "<b>&amp;'\"--",
        "\x7f\x01",
    ]
    assert (
        door.send([event(f"e{n}", feature=text, tags={"t": text}) for n, text in enumerate(texts)]).status_code == 200
    )
    sql = """SELECT l.text, e.tags ->> 't' FROM metering_event e JOIN metering_label l ON l.id = e.feature_id
        ORDER BY e.event_id"""
    assert select(acme, sql) == [(text, text) for text in texts]


def test_unknown_fields_are_named_or_refused(door: Door, acme: Organization) -> None:
    with_more = event("more", colour="red", mood="good")
    (result,) = door.send(with_more).json()["results"]
    assert result["status"] == "created"
    assert result["warnings"] == ["unknown field colour was left out", "unknown field mood was left out"]
    for query in ("?strict=true", "?strict=1"):
        response = door.send(event("strict", colour="red"), query=query)
        assert (response.status_code, error_of(response)["param"]) == (422, "colour")
    assert door.send(event("strict"), query="?strict=true").status_code == 200
    many = door.send(event("many", **{f"f{n}": n for n in range(500)})).json()["results"][0]["warnings"]
    assert len(many) == batch.MOST_WARNINGS


def test_usage_may_be_a_whole_answer_whose_id_is_the_events(door: Door, acme: Organization) -> None:
    answer = {"id": "chatcmpl-9", "model": "gpt-4o", "choices": [{"message": {"content": "secret"}}], "usage": usage()}
    assert door.send(event(None, usage=answer)).json()["results"][0]["id"] == "chatcmpl-9"
    ((raw,),) = select(acme, "SELECT raw_usage::text FROM metering_event")
    assert json.loads(raw) == usage(), "the answer's text is not kept"
    response = door.send(event(None))
    assert error_of(response)["param"] == "id"


def test_null_usage_is_unknown_and_no_usage_needs_an_error(door: Door, acme: Organization, prices: None) -> None:
    results = door.send([
        event("unknown", usage=None),
        event("nothing-said", usage={"prompt_tokens": None, "completion_tokens": None}),
        event("failed", status="error", error_code="overloaded") | {"usage": None},
        {"id": "no-usage", "model": "gpt-4o", "status": "timeout"},
        event("zero", usage=usage(0, 0)),
    ]).json()["results"]  # fmt: skip
    told = {one["id"]: (one["pricing"], one["cost_usd"]) for one in results}
    assert told == {
        "unknown": ("unpriced", None),
        "nothing-said": ("unpriced", None),
        "failed": ("free", "0"),
        "no-usage": ("free", "0"),
        "zero": ("priced", "0"),
    }
    known = dict(select(acme, "SELECT event_id, is_usage_known FROM metering_event"))
    assert known == {"unknown": False, "nothing-said": False, "failed": True, "no-usage": True, "zero": True}
    assert select(acme, "SELECT requests, unknown_requests, errors FROM metering_usage_day WHERE kind = 0") == [
        (5, 2, 2)
    ]
    response = door.send({"id": "x", "model": "gpt-4o"})
    assert error_of(response)["param"] == "usage"


# ── Answers ──


def test_the_answer_counts_and_tells(door: Door, prices: None) -> None:
    response = door.send(event("e1", duration_ms=12.6), x_request_id="my-request-1")
    assert (response.status_code, response.headers["x-request-id"]) == (200, "my-request-1")
    assert response.headers["content-type"] == "application/json"
    created = {"index": 0, "id": "e1", "status": "created", "pricing": "priced", "cost_usd": "0.0035"}
    assert response.json() == {"created": 1, "duplicates": 0, "conflicts": 0, "invalid": 0, "results": [created]}
    mixed = door.send([event("e1", duration_ms=12.6), event("e1"), event("e2"), {"id": "e3"}])
    assert mixed.status_code == 207
    told = mixed.json()
    assert [told[name] for name in ("created", "duplicates", "conflicts", "invalid")] == [1, 1, 1, 1]
    assert [(one["index"], one["status"]) for one in told["results"]] == [
        (0, "duplicate"), (1, "conflict"), (2, "created"), (3, "invalid")
    ]  # fmt: skip
    brief = door.send([event("e1", duration_ms=12.6), {"id": "e3"}], query="?results=none").json()
    assert [one["index"] for one in brief["results"]] == [1]


def test_a_keys_project_binds(door: Door, acme: Organization, website: Project, new_key: Any) -> None:
    with organization_scope(acme.id):
        other = Project.objects.create(organization=acme, name="Other", slug="other")
    bound = new_key(Scope.USAGE_WRITE, project=website)
    assert door.send(event("own", project="website"), key=bound).status_code == 200
    assert door.send(event("silent"), key=bound).status_code == 200
    response = door.send(event("foreign", project="other"), key=bound)
    assert error_of(response)["code"] == "forbidden_project"
    assert door.send(event("free", project="other")).status_code == 200
    rows = select(acme, "SELECT event_id, project_id, team_id FROM metering_event ORDER BY event_id")
    assert rows == [
        ("free", other.id, 0), ("own", website.id, website.team_id), ("silent", website.id, website.team_id)
    ]  # fmt: skip

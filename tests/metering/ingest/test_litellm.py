"""POST /v1/litellm: bodies in the shape of LiteLLM's StandardLoggingPayload, and the events they become."""

from __future__ import annotations

import json
from typing import Any

import httpx

from accounts.models import Organization, Project, Scope
from core.tenancy import organization_scope
from tests.cast import Key, make_key
from tests.metering.door import Door, select, stored_ids

START = 1_791_000_000.25  # 2026-10-03
SECRET = "the quick brown fox"


def payload(**fields: Any) -> dict[str, Any]:
    """A completed chat as LiteLLM logs it, much of which is nobody's business here; `fields` change it."""
    return {
        "id": "chatcmpl-1",
        "litellm_call_id": "553a887d",
        "trace_id": "553a887d",
        "session_id": "",
        "call_type": "acompletion",
        "cache_hit": None,
        "stream": None,
        "status": "success",
        "custom_llm_provider": "openai",
        "startTime": START,
        "endTime": START + 1.5,
        "completionStartTime": START + 1.5,
        "model": "gpt-4o",
        "model_group": "",
        "metadata": {"usage_object": usage(), "requester_ip_address": "10.0.0.1"},
        "prompt_tokens": 2_000,
        "completion_tokens": 50,
        "total_tokens": 2_050,
        "request_tags": [],
        "end_user": None,
        "messages": [{"role": "user", "content": SECRET}],
        "response": {
            "id": "chatcmpl-1",
            "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": SECRET}}],
            "service_tier": "default",
        },
        "error_str": None,
        "error_information": {"error_code": "", "error_class": "", "llm_provider": "", "error_message": ""},
    } | fields


def usage(**fields: Any) -> dict[str, Any]:
    return {
        "prompt_tokens": 2_000,
        "completion_tokens": 50,
        "total_tokens": 2_050,
        "prompt_tokens_details": {"cached_tokens": 1_500, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 20},
    } | fields


def with_usage(counts: Any, **fields: Any) -> dict[str, Any]:
    return payload(metadata={"usage_object": counts}, **fields)


def failure(code: Any, **fields: Any) -> dict[str, Any]:
    information = {"error_code": code, "error_class": "Trouble", "llm_provider": "openai", "error_message": SECRET}
    return payload(
        id="553a887d", status="failure", response={}, error_str=SECRET, error_information=information,
        prompt_tokens=0, completion_tokens=0, total_tokens=0, metadata={"usage_object": {}},
    ) | fields  # fmt: skip


def send(door: Door, body: Any, *, key: Key | None = None, content_type: str = "application/json") -> httpx.Response:
    secret = key.secret if key else door.secret
    headers = {"authorization": f"Bearer {secret}", "content-type": content_type}
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    return door.request("POST", "/v1/litellm", content=content, headers=headers)


def row(organization: Organization, columns: str) -> tuple[Any, ...]:
    (found,) = select(organization, f"SELECT {columns} FROM metering_event")
    return found


def label(column: str) -> str:
    return f"(SELECT text FROM metering_label WHERE id = {column})"


BUCKETS = "input, cache_read, cache_write_5m, cache_write_1h, output, reasoning"


# ── Calls ──


def test_a_call_arrives_with_what_it_used(door: Door, acme: Organization, prices: None) -> None:
    answer = send(door, [payload()])
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert (result["id"], result["status"], result["pricing"]) == ("chatcmpl-1", "created", "priced")
    assert row(acme, f"{BUCKETS}, duration_ms, time_to_first_token_ms, service_tier") == (
        500, 1_500, 0, 0, 30, 20, 1_500, None, "default",
    )  # fmt: skip
    assert row(
        acme, f"to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'), {label('endpoint_id')}"
    ) == (
        "2026-10-03 04:00:00.250",
        "/v1/chat/completions",
    )
    assert row(acme, f"{label('model_id')}, {label('provider_id')}, {label('integration_id')}") == (
        "gpt-4o", "openai", "litellm",
    )  # fmt: skip
    assert json.loads(row(acme, "detail")[0]) == {"streamed": False, "finish_reason": "stop"}


def test_sending_again_changes_nothing(door: Door, acme: Organization) -> None:
    assert send(door, [payload()]).json()["created"] == 1
    assert send(door, [payload(), payload(id="chatcmpl-2")]).json()["duplicates"] == 1
    assert stored_ids(acme) == ["chatcmpl-1", "chatcmpl-2"]


def test_nothing_that_was_said_is_stored(door: Door, acme: Organization) -> None:
    send(door, [payload(), failure("500")])
    stored = select(acme, "SELECT to_jsonb(e)::text FROM metering_event e")
    assert len(stored) == 2
    assert not any(SECRET in text or "10.0.0.1" in text for (text,) in stored)


def test_cache_writes_of_anthropic_keep_their_lifetimes(door: Door, acme: Organization) -> None:
    details = {
        "cached_tokens": 100,
        "text_tokens": 10,
        "cache_creation_tokens": 30,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    }
    counts = usage(
        prompt_tokens=140, completion_tokens=5, total_tokens=145, prompt_tokens_details=details,
        completion_tokens_details={"reasoning_tokens": 0}, cache_creation_input_tokens=30, cache_read_input_tokens=100,
        server_tool_use={"web_search_requests": 2}, iterations=None, service_tier="standard",
    )  # fmt: skip
    send(door, [with_usage(counts, model="anthropic/claude-sonnet-4-5", custom_llm_provider="anthropic")])
    assert row(acme, f"{BUCKETS}, web_searches, {label('model_id')}") == (
        10, 100, 20, 10, 5, 0, 2, "claude-sonnet-4-5",
    )  # fmt: skip


def test_a_stream_has_a_time_to_its_first_token(door: Door, acme: Organization) -> None:
    send(door, [payload(stream=True, completionStartTime=START + 0.4)])
    assert row(acme, "time_to_first_token_ms, detail ->> 'streamed'") == (400, "true")


def test_images_sold_by_the_piece_and_speech_by_the_second(door: Door, acme: Organization) -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "output_image_count": 2}
    send(door, [with_usage(zeros, call_type="aimage_generation", model="dall-e-3")])
    assert row(acme, f"images, is_usage_known, {label('endpoint_id')}") == (2, True, "/v1/images/generations")
    heard = {"type": "duration", "seconds": 12.0}
    send(door, [with_usage(heard, id="t1", call_type="atranscription", model="whisper-1")])
    assert select(acme, "SELECT media_ms FROM metering_event WHERE event_id = 't1'") == [(12_000,)]


def test_a_usage_that_nobody_counted_is_unknown(door: Door, acme: Organization) -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    for index, counts in enumerate((zeros, {}, None)):
        given = with_usage(counts, id=f"u{index}", **zeros)
        assert send(door, given).json()["results"][0]["pricing"] == "unpriced"
    assert select(acme, "SELECT DISTINCT is_usage_known, cost_nanos FROM metering_event") == [(False, None)]


def test_usage_of_older_versions_is_found_elsewhere(door: Door, acme: Organization) -> None:
    response = payload()["response"] | {"usage": usage()}
    send(door, [payload(metadata=None, response=response)])
    assert row(acme, BUCKETS) == (500, 1_500, 0, 0, 30, 20)
    send(door, [payload(id="chatcmpl-2", metadata={}, response="a text")])
    assert select(acme, "SELECT input, output FROM metering_event WHERE event_id = 'chatcmpl-2'") == [(2_000, 50)]


def test_a_batch_job_is_charged_as_one(door: Door, acme: Organization) -> None:
    send(door, [payload(call_type="aretrieve_batch", id="batch_1")])
    assert row(acme, "service_tier") == ("batch",)


# ── Failures ──


def test_failures_have_their_status_and_cost_nothing(door: Door, acme: Organization) -> None:
    codes = {"429": "rate_limited", "408": "timeout", "504": "timeout", "500": "error", "": "error", 499: "cancelled"}
    for number, code in enumerate(codes):
        assert send(door, [failure(code, id=f"f{number}")]).json()["created"] == 1
    stored = select(acme, f"SELECT {label('status_id')}, cost_nanos, detail ->> 'error_code' FROM metering_event")
    assert sorted(stored) == sorted((status, 0, str(code) or "Trouble") for code, status in codes.items())


def test_each_attempt_of_a_request_counts(door: Door, acme: Organization) -> None:
    """They share the request's id, as may the answer of an embedding, which has none of its own."""
    again = failure("500", startTime=START + 2, endTime=START + 3)
    answered = payload(id="553a887d", call_type="aembedding", startTime=START + 4, endTime=START + 5)
    body = [failure("500"), again, answered]
    assert send(door, body).json()["created"] == 3
    assert send(door, body).json()["duplicates"] == 3


def test_a_failure_before_a_provider_was_chosen(door: Door, acme: Organization) -> None:
    send(door, [failure("408", custom_llm_provider=None)])
    assert row(acme, label("provider_id")) == ("openai",)


# ── No calls ──


def test_answers_from_litellms_cache_are_not_recorded(door: Door, acme: Organization) -> None:
    answer = send(door, [payload(id="chatcmpl-1_cache_hit1.5", cache_hit=True)])
    assert answer.status_code == 200
    assert (answer.json()["created"], answer.json()["ignored"]) == (0, 1)
    (result,) = answer.json()["results"]
    assert result["status"] == "ignored"
    assert "cache" in result["reason"]
    assert stored_ids(acme) == []


def test_what_is_no_call_to_a_model_is_ignored(door: Door, acme: Organization) -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    for call_type in ("acreate_file", "alist_input_items", "call_mcp_tool", "aretrieve_batch"):
        assert send(door, with_usage({}, call_type=call_type, **zeros)).json()["ignored"] == 1
    assert stored_ids(acme) == []


# ── Who ──


def test_people_teams_and_tags(door: Door, acme: Organization, website: Project) -> None:
    who = {
        "usage_object": usage(),
        "user_api_key_user_email": "bob@acme.test",
        "user_api_key_user_id": "u-1",
        "user_api_key_alias": "nightly",
        "user_api_key_team_id": "t-1",
        "user_api_key_team_alias": "Search",
        "user_api_key_project_alias": "website",
        "user_api_key_auth_metadata": {"a": SECRET},
    }
    tags = ["env:prod", "beta", "User-Agent: curl/8", 5, "", "litellm_team:forged", "x" * 65]
    fields = {"request_tags": tags, "end_user": "u_77", "session_id": "s-1", "model_group": "fast"}
    (result,) = send(door, [payload(metadata=who, **fields)]).json()["results"]
    assert result["warnings"] == ["3 of request_tags do not fit and were left out"]
    assert row(acme, f"{label('user_id')}, {label('end_user_id')}, chat, project_id") == (
        "bob@acme.test", "u_77", "s-1", website.id,
    )  # fmt: skip
    assert json.loads(row(acme, "tags")[0]) == {
        "litellm_team": "Search", "litellm_key": "nightly", "litellm_model_group": "fast",
        "env": "prod", "beta": "true", "User-Agent": "curl/8",
    }  # fmt: skip


def test_without_the_proxy_the_end_user_is_a_parameter(door: Door, acme: Organization) -> None:
    send(door, [payload(model_parameters={"user": "u_77", "query": SECRET})])
    assert row(acme, label("end_user_id")) == ("u_77",)


def test_a_project_that_is_none_of_ours_is_a_tag(door: Door, acme: Organization, website: Project) -> None:
    theirs = {"usage_object": usage(), "user_api_key_project_alias": "elsewhere", "user_api_key_user_id": "u-1"}
    send(door, [payload(metadata=theirs)])
    assert row(acme, f"project_id, tags ->> 'litellm_project', {label('user_id')}") == (0, "elsewhere", "u-1")


def test_a_key_of_a_project_writes_to_it_alone(door: Door, acme: Organization, website: Project) -> None:
    with organization_scope(acme.id):
        other = Project.objects.create(organization=acme, name="Other", slug="other")
    bound = make_key(acme, [Scope.USAGE_WRITE], project=other)
    theirs = {"usage_object": usage(), "user_api_key_project_alias": "website"}
    assert send(door, [payload(metadata=theirs)], key=bound).json()["created"] == 1
    assert row(acme, "project_id, tags ->> 'litellm_project'") == (other.id, "website")


# ── Bodies ──


def test_one_payload_and_one_a_line(door: Door, acme: Organization) -> None:
    assert send(door, payload()).json()["created"] == 1
    assert send(door, json.dumps(payload(id="b"), indent=2)).json()["created"] == 1
    # LiteLLM says application/json of lines as well.
    lines = json.dumps(payload(id="c")) + "\n" + json.dumps(payload(id="d"))
    assert send(door, lines).json()["created"] == 2
    answer = send(door, lines + "\nnonsense\n", content_type="application/x-ndjson")
    assert (answer.status_code, answer.json()["duplicates"], answer.json()["invalid"]) == (207, 2, 1)
    assert stored_ids(acme) == ["b", "c", "chatcmpl-1", "d"]


def test_half_a_character_in_a_message_harms_nobody(door: Door) -> None:
    body = json.dumps([payload()]).replace(SECRET, "\\ud83d")
    assert send(door, body).json()["created"] == 1
    line = json.dumps(payload(id="b")).replace(SECRET, "\\\\ud83d \\ud83d \\ud83d\\ude00")
    assert send(door, f"{line}\n{line}").json()["duplicates"] == 1


def test_a_payload_that_is_wrong_spoils_no_other(door: Door, acme: Organization) -> None:
    wrong: list[tuple[Any, str | None]] = [
        (None, None),
        ({}, "id"),
        (payload(startTime="now"), "startTime"),
        (payload(startTime=1e300), "startTime"),
        (payload(startTime=5.0), "occurred_at"),
        (payload(model=None), "model"),
        (with_usage({"prompt_tokens": -5}), "usage.prompt_tokens"),
        (with_usage({"prompt_tokens": 5, "odd\0": 1}), "metadata"),
        (payload(metadata="text"), "metadata"),
    ]
    answer = send(door, [one for one, _ in wrong] + [payload()])
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [one.get("error", {}).get("param") for one in results] == [*(param for _, param in wrong), None]
    assert stored_ids(acme) == ["chatcmpl-1"]


def test_texts_that_are_too_long_are_cut(door: Door, acme: Organization) -> None:
    long = "x" * 500
    who = {"usage_object": usage(), "user_api_key_user_id": "nul\0" + long, "user_api_key_team_id": long}
    fields = {"end_user": long, "session_id": long, "request_tags": [f"a:{long}"], "model": long}
    answer = send(door, [payload(id="resp_" + long, metadata=who, **fields)]).json()
    assert answer["created"] == 1
    assert send(door, [payload(id="resp_" + long, metadata=who, **fields)]).json()["duplicates"] == 1


def test_refusals(door: Door, acme: Organization) -> None:
    for body in (b"", b"[", b"nonsense", b"[1", b"[" * 50_000):
        assert send(door, body).status_code == 400
    assert send(door, []).json()["created"] == 0
    assert send(door, [payload()], content_type="text/plain").status_code == 415
    assert send(door, [{}] * 10_001).status_code == 413
    reader = make_key(acme, [Scope.USAGE_READ])
    assert send(door, [payload()], key=reader).status_code == 403
    assert door.request("POST", "/v1/litellm", content="[]").status_code == 401
    assert stored_ids(acme) == []

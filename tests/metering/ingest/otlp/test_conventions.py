"""What spans of each convention say: whether they are model calls, their tokens, and whose they are."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils.timezone import now

from accounts.models import Organization, Project
from core.tenancy import organization_scope
from metering.events import Usage
from metering.ingest.otlp.calls import operation_of
from metering.ingest.otlp.recording import read
from metering.ingest.otlp.report import Report
from metering.ingest.otlp.wire import read_spans
from tests.metering.door import Door, as_database_owner
from tests.metering.ingest.otlp.spans import (
    CHAT,
    SECOND_NS,
    START_NS,
    counted,
    export,
    pairs,
    send,
    span,
    stored,
    tokens,
)

OLD = {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"}
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "llm.system": "openai"}
TRACELOOP = {"llm.request.type": "chat", "gen_ai.system": "Anthropic", "gen_ai.request.model": "claude"}


@pytest.mark.parametrize(
    "attributes",
    [
        CHAT,
        OLD,
        LLM,
        TRACELOOP,
        {"gen_ai.operation.name": "generate_content", "gen_ai.request.model": "gemini"},
        {"gen_ai.operation.name": "text_completion", "gen_ai.request.model": "babbage"},
        {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e"},
        {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e"},
        {"llm.request.type": "embedding", "gen_ai.request.model": "e"},
        {"llm.request.type": "unknown", "gen_ai.request.model": "m", "gen_ai.system": "x"},
        {"gen_ai.request.model": "m", "llm.usage.prompt_tokens": 3},
        {"gen_ai.operation.name": "translate", "gen_ai.response.model": "m", "gen_ai.usage.input_tokens": 3},
        {"gen_ai.operation.name": "chat"},
    ],
)
def test_model_calls(attributes: dict[str, Any]) -> None:
    assert operation_of(attributes) is not None


SUMMED = tokens(100, 10) | {"gen_ai.response.model": "m", "gen_ai.request.model": "m", "gen_ai.system": "openai"}


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"http.request.method": "POST", "server.address": "api.openai.com"},
        *({"gen_ai.operation.name": name} for name in ("invoke_agent", "create_agent", "execute_tool")),
        {"gen_ai.operation.name": "invoke_workflow"},
        *({"openinference.span.kind": name} for name in ("AGENT", "CHAIN", "TOOL", "RETRIEVER", "GUARDRAIL")),
        {"openinference.span.kind": "RERANKER"},
        *({"traceloop.span.kind": name} for name in ("workflow", "task", "agent", "tool")),
        {"llm.request.type": "rerank"},
        {"gen_ai.operation.name": "run_agent_step"},
    ],
)  # fmt: skip
def test_what_only_sums_up_is_no_call(attributes: dict[str, Any]) -> None:
    summed = SUMMED if attributes and "http.request.method" not in attributes else {}
    assert operation_of(summed | attributes) is None


USAGES: dict[str, tuple[dict[str, Any], Usage | None]] = {
    "current": (CHAT | tokens(100, 30), Usage(input=100, output=30)),
    "current, in detail": (
        CHAT
        | tokens(100, 30)
        | {
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.cache_creation.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 20,
        },
        Usage(input=30, cache_read=60, cache_write_5m=10, output=10, reasoning=20),
    ),
    "older names": (
        OLD | {"gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 30},
        Usage(input=100, output=30),
    ),
    "oldest names": (
        OLD | {"llm.usage.prompt_tokens": 100, "llm.usage.completion_tokens": 30, "llm.usage.total_tokens": 130},
        Usage(input=100, output=30),
    ),
    "Anthropic's library": (
        CHAT
        | tokens(9339, 156)
        | {
            "gen_ai.usage.cache_read.input_tokens": 9116,
            "gen_ai.usage.cache_write.input_tokens": 219,
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 119,
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 100,
            "gen_ai.usage.reasoning.output_tokens": 19,
        },
        Usage(input=4, cache_read=9116, cache_write_5m=119, cache_write_1h=100, output=137, reasoning=19),
    ),
    "Traceloop's Anthropic": (
        TRACELOOP
        | tokens(9339, 156)
        | {
            "gen_ai.usage.total_tokens": 9495,
            "gen_ai.usage.cache_read_input_tokens": 9116,
            "gen_ai.usage.cache_creation_input_tokens": 219,
        },
        Usage(input=4, cache_read=9116, cache_write_5m=219, output=156),
    ),
    "cache beside the input, as the cache is larger": (
        TRACELOOP | tokens(4, 156) | {"gen_ai.usage.cache_read_input_tokens": 9116},
        Usage(input=4, cache_read=9116, output=156),
    ),
    "cache beside the input, as the total says": (
        TRACELOOP | tokens(500, 50) | {"gen_ai.usage.cache_read_input_tokens": 100, "gen_ai.usage.total_tokens": 650},
        Usage(input=500, cache_read=100, output=50),
    ),
    "reasoning beside the output, as the total says": (
        CHAT | tokens(32, 9) | {"gen_ai.usage.reasoning_tokens": 94, "gen_ai.usage.total_tokens": 135},
        Usage(input=32, output=9, reasoning=94),
    ),
    "OpenInference": (
        LLM
        | {
            "llm.token_count.prompt": 164,
            "llm.token_count.completion": 30,
            "llm.token_count.total": 194,
            "llm.token_count.prompt_details.cache_read": 100,
            "llm.token_count.prompt_details.audio": 44,
            "llm.token_count.completion_details.reasoning": 20,
        },
        Usage(input=20, cache_read=100, audio_input=44, output=10, reasoning=20),
    ),
    "OpenInference with the answer": (
        LLM
        | {
            "llm.token_count.prompt": 229,
            "output.value": json.dumps(
                {
                    "id": "msg_1",
                    "model": "claude",
                    "usage": {
                        "input_tokens": 229,
                        "output_tokens": 5,
                        "iterations": [
                            {"type": "compaction", "input_tokens": 100, "output_tokens": 8},
                            {"type": "message", "input_tokens": 229, "output_tokens": 5},
                        ],
                    },
                }
            ),
        },
        Usage(input=329, output=13),
    ),
    "an answer that was cut off": (
        LLM | {"llm.token_count.prompt": 7, "output.value": '{"usage": {"prompt_tok'},
        Usage(input=7),
    ),
    "an answer with other things in it": (
        LLM | {"llm.token_count.prompt": 7, "output.value": '{"usage": {"prompt_tokens": -1}}'},
        Usage(input=7),
    ),
    "embeddings": (
        {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e", "llm.token_count.total": 4},
        Usage(input=4),
    ),
    "only output": (CHAT | {"gen_ai.usage.output_tokens": 180}, Usage(output=180)),
    "numbers as text": (CHAT | tokens(1, 1) | {"gen_ai.usage.input_tokens": "12"}, Usage(input=12, output=1)),
    "numbers with a point": (CHAT | {"gen_ai.usage.input_tokens": 12.0}, Usage(input=12)),
    "nothing": (CHAT, None),
    "zeros": (CHAT | tokens(0, 0), None),
    "only a total": (LLM | {"llm.token_count.total": 95}, None),
}


@pytest.mark.parametrize("name", USAGES)
def test_tokens(name: str) -> None:
    attributes, usage = USAGES[name]
    assert report_of(span(2, attributes)).usage == usage


def report_of(one: dict[str, Any]) -> Report:
    """What a span is read as."""
    reading = read(read_spans(json.dumps(export(one)).encode(), "application/json"), now())
    assert not reading.refused
    (seen,) = reading.seen
    return seen.report


def test_unknown_is_stored_as_unknown(door: Door, acme: Organization) -> None:
    send(door, span(2, CHAT), span(3, CHAT | tokens(0, 0)), span(4, CHAT | tokens(7, 0)))
    assert [(prompt, completion) for _, prompt, completion in counted(acme)] == [(None, None), (None, None), (7, 0)]


def test_everything_a_span_says(door: Door, acme: Organization) -> None:
    with organization_scope(acme.id):
        Project.objects.create(organization=acme, name="Search", slug="search")
    attributes = CHAT | tokens(10, 5) | {
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.finish_reasons": ["stop", "length"],
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": "conv-1",
        "gen_ai.openai.response.service_tier": "flex",
        "gen_ai.agent.name": "planner",
        "server.address": "api.groq.com",
        "http.route": "/v1/chat/completions",
        "user.id": "u-77",
        "metadata": json.dumps({"campaign": "spring", "nested": {"x": 1}}),
        "tokenledger.feature": "search",
        "tokenledger.tool": "lookup",
        "tokenledger.integration": "slack",
        "tokenledger.user": "alice@acme.test",
        "tokenledger.message": "m1",
        "tokenledger.chat_title": "Plans",
        "tokenledger.tags.env": "prod",
        "gen_ai.input.messages": "a secret",
        "gen_ai.prompt.0.content": "a secret",
    }  # fmt: skip
    resource = {"service.name": "bot", "deployment.environment.name": "eu", "tokenledger.project": "search"}
    assert send(door, span(2, attributes, lasts=1.5), resource=resource) == {}
    found = stored(acme)
    raw = found.pop("raw_usage")
    assert raw == {"prompt_tokens": 10, "completion_tokens": 5}
    assert found.pop("occurred_at") == dt.datetime.fromtimestamp(START_NS / 1e9, dt.UTC)
    found.pop("event_id")
    assert found == {
        "model": "gpt-4o-2024-08-06", "provider": "groq", "endpoint": "/v1/chat/completions", "feature": "search",
        "tool": "lookup", "integration": "slack", "status": "ok", "user": "alice@acme.test", "end_user": "u-77",
        "duration_ms": 1500, "time_to_first_token_ms": 250, "service_tier": "flex", "chat": "conv-1", "message": "m1",
        "tags": {"env": "prod", "service": "bot", "environment": "eu", "agent": "planner", "campaign": "spring"},
        "detail": {"chat_title": "Plans", "streamed": True, "finish_reason": "stop"},
        "is_error": False, "is_usage_known": True, "project": "search",
    }  # fmt: skip


def test_what_the_spans_around_say(door: Door, acme: Organization) -> None:
    """The nearest is believed. Traceloop's associations beyond those that have a place here are tags."""
    root = span(1, {"session.id": "far", "enduser.id": "u-1", "tokenledger.feature": "agents"}, lasts=9.0)
    near = span(2, {"gen_ai.operation.name": "invoke_agent", "session.id": "near"}, below=1, lasts=8.0)
    associated = {"traceloop.association.properties.user_id": "u-2", "traceloop.association.properties.plan": "pro"}
    send(door, span(3, CHAT | tokens(1, 1) | associated, below=2), near, root)
    found = stored(acme)
    assert (found["chat"], found["end_user"], found["feature"]) == ("near", "u-2", "agents")
    assert found["tags"] == {"plan": "pro", "service": "checkout-bot"}


@pytest.mark.parametrize(
    ("attributes", "fields", "status", "code"),
    [
        ({"error.type": "NotFoundError"}, {}, "error", "NotFoundError"),
        ({}, {"is_error": True}, "error", None),
        ({"http.response.status_code": 500}, {}, "error", "500"),
        ({"error.type": "RateLimitError"}, {"is_error": True}, "rate_limited", "RateLimitError"),
        ({"http.response.status_code": 429}, {}, "rate_limited", "429"),
        ({"error.type": "openai.APITimeoutError"}, {}, "timeout", "openai.APITimeoutError"),
        ({"error.type": "asyncio.CancelledError"}, {}, "cancelled", "asyncio.CancelledError"),
        ({"http.response.status_code": 200}, {}, "ok", None),
    ],
)
def test_errors(attributes: dict[str, Any], fields: dict[str, Any], status: str, code: str | None) -> None:
    report = report_of(span(2, CHAT | attributes, **fields))
    assert (report.status, report.error_code) == (status, code)


def test_an_error_is_stored_as_one(door: Door, acme: Organization) -> None:
    send(door, span(2, CHAT | {"error.type": "RateLimitError"}, is_error=True))
    found = stored(acme)
    assert (found["status"], found["is_error"]) == ("rate_limited", True)
    assert found["detail"] == {"error_code": "RateLimitError"}


def test_events_of_a_span(door: Door, acme: Organization) -> None:
    """The first piece of a stream, and the exception of a span without error.type; its message is not kept."""
    first = {"name": "First Token Stream Event", "timeUnixNano": str(START_NS + SECOND_NS // 5), "attributes": []}
    failed = {
        "name": "exception",
        "timeUnixNano": str(START_NS),
        "attributes": pairs({"exception.type": "Broken", "exception.message": "a secret"}),
    }
    send(door, span(2, LLM, events=[first, failed], is_error=True))
    found = stored(acme)
    assert found["time_to_first_token_ms"] == 200
    assert found["detail"] == {"error_code": "Broken", "streamed": True}


def test_a_refused_call_names_its_model_in_its_parameters() -> None:
    """OpenInference names the model by the answer, and there was none. The other parameters are not kept."""
    refused = {
        "openinference.span.kind": "LLM",
        "llm.invocation_parameters": '{"model": "gpt-9", "stream": true, "response_format": {"type": "text"}}',
    }
    report = report_of(span(2, refused, is_error=True))
    assert (report.model, report.streamed, report.status) == ("gpt-9", True, "error")
    assert report_of(span(2, refused | {"llm.invocation_parameters": "{"})).model is None


def test_a_call_of_an_unnamed_model_is_kept(door: Door, acme: Organization) -> None:
    send(door, span(2, {"gen_ai.operation.name": "chat"} | tokens(1, 2)))
    assert (stored(acme)["model"], counted(acme)[0][1:]) == ("unknown", (1, 2))


def test_long_and_odd_texts_are_cut_and_cleaned(door: Door, acme: Organization) -> None:
    odd = {
        "session.id": "s" * 300,
        "user.id": "u\0ser",
        "tokenledger.tags." + "t" * 99: "v" * 999,
        "tokenledger.tool": "",
    }
    many = {f"tokenledger.tags.t{n:02}": "x" for n in range(50)}
    assert send(door, span(2, CHAT | odd | many)) == {}
    found = stored(acme)
    assert (found["chat"], found["end_user"], found["tool"]) == ("s" * 200, "user", None)
    assert len(found["tags"]) == 32


def test_contents_are_nowhere_in_the_database(door: Door, acme: Organization) -> None:
    content = "the quick brown secret"
    answer = {"id": "x", "choices": [{"message": {"content": content}}], "usage": {"prompt_tokens": 3}}
    attributes = CHAT | {
        "gen_ai.input.messages": content, "gen_ai.output.messages": content, "gen_ai.prompt.0.content": content,
        "llm.input_messages.0.message.content": content, "input.value": content, "traceloop.entity.input": content,
        "output.value": json.dumps(answer),
    }  # fmt: skip
    send(door, span(2, attributes, events=[{"name": content, "timeUnixNano": "1", "attributes": []}]))
    assert counted(acme)[0][1] == 3
    with as_database_owner() as owner:
        for table in ("metering_event", "metering_tracedcall", "metering_label"):
            (found,) = owner.execute(f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%secret%'").fetchall()  # type: ignore[arg-type]
            assert found == (0,), table

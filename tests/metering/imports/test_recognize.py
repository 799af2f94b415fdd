"""What columns are taken for, and how a person overrules it."""

from typing import Any

import pytest

from metering.events import Usage
from metering.imports.mapping import ColumnMap, MappingError, Writer, check
from metering.imports.recognize import check_start, overrule, propose
from metering.normalize import normalize


def fields(*columns: str, **sample: object) -> dict[str, str]:
    return dict(propose(columns, [sample] if sample else []).mapping.columns)


def test_azures_trace() -> None:
    assert fields("TIMESTAMP", "ContextTokens", "GeneratedTokens") == {
        "TIMESTAMP": "occurred_at",
        "ContextTokens": "usage.prompt_tokens",
        "GeneratedTokens": "usage.completion_tokens",
    }


def test_agent_sessions() -> None:
    columns = (
        "session_id",
        "agent_id",
        "t_s",
        "stream",
        "model",
        "input_tokens",
        "output_tokens",
        "stop_reason",
        "ttft_s",
    )
    assert fields(*columns) == {
        "session_id": "chat.id",
        "t_s": "occurred_at",
        "stream": "streamed",
        "model": "model",
        "input_tokens": "usage.prompt_tokens",
        "output_tokens": "usage.completion_tokens",
        "stop_reason": "finish_reason",
        "ttft_s": "time_to_first_token_s",
    }


def test_anthropics_cache_tokens_stand_beside_the_input() -> None:
    found = fields("created_at", "model", "input_tokens", "output_tokens", "cache_read_input_tokens")
    assert found["input_tokens"] == "usage.input_tokens"
    assert found["cache_read_input_tokens"] == "usage.cache_read_input_tokens"


def test_our_own_documents_are_taken_as_they_are() -> None:
    columns = ("id", "occurred_at", "model", "usage", "chat", "tags.env", "prompt_tokens")
    found = fields(*columns, usage={"input": 1}, chat={"id": "c"})
    assert found == {name: name for name in columns[:-1]}


def test_our_own_export_can_be_read_back() -> None:
    found = fields("timestamp", "model", "prompt_tokens", "completion_tokens", "total_tokens", "requests")
    assert found["requests"] == "requests"
    assert found["timestamp"] == "occurred_at"


def test_our_buckets() -> None:
    found = fields("time", "model", "input", "cache_read", "output")
    assert found["cache_read"] == "usage.cache_read"


def test_openais_export_sums_up_calls() -> None:
    columns = (
        "start_time", "end_time", "start_time_iso", "end_time_iso", "project_id", "num_model_requests", "user_id",
        "api_key_id", "model", "batch", "input_tokens", "output_tokens", "input_cached_tokens",
    )  # fmt: skip
    proposal = propose(columns)
    assert proposal.name == "OpenAI usage export"
    mapped = dict(proposal.mapping.columns)
    assert mapped["num_model_requests"] == "requests"
    assert mapped["project_id"] == "tags.openai_project"
    assert proposal.notes
    check(proposal.mapping, columns)


def test_litellms_spend_logs() -> None:
    columns = (
        "request_id",
        "call_type",
        "spend",
        "startTime",
        "endTime",
        "model",
        "prompt_tokens",
        "completion_tokens",
        "metadata",
        "user",
    )
    proposal = propose(columns)
    assert proposal.name == "LiteLLM spend logs"
    assert (
        "metadata.additional_usage_values.cache_read_input_tokens",
        "usage.cache_read_input_tokens",
    ) in proposal.mapping.columns
    check(proposal.mapping, columns)


def test_langfuses_observations_are_generations_only() -> None:
    columns = ("id", "type", "traceId", "name", "startTime", "endTime", "model", "usageDetails", "level", "sessionId")
    proposal = propose(columns)
    assert proposal.name == "Langfuse observations"
    assert proposal.mapping.only == (("type", "GENERATION"),)
    check(proposal.mapping, columns)


# ── Overruling ──


def test_a_persons_column_replaces_ours() -> None:
    proposed = propose(("ts", "model", "input_tokens", "output_tokens", "deployment")).mapping
    chosen = overrule(proposed, [("deployment", "model"), ("output_tokens", "")], [("usage.completion_tokens", "0")])
    assert ("deployment", "model") in chosen.columns
    assert "model" not in {column for column, _ in chosen.columns}
    assert "output_tokens" not in {column for column, _ in chosen.columns}
    assert chosen.constants == (("usage.completion_tokens", "0"),)


def test_naming_our_buckets_drops_a_providers_counts() -> None:
    proposed = propose(("ts", "model", "input_tokens", "output_tokens")).mapping
    chosen = overrule(proposed, [("input_tokens", "usage.input"), ("output_tokens", "usage.output")])
    check(chosen, ("ts", "model", "input_tokens", "output_tokens"))


def test_offsets_need_a_start() -> None:
    mapping = ColumnMap(columns=(("t_s", "occurred_at"),))
    with pytest.raises(MappingError, match="Give the start"):
        check_start(mapping, [{"t_s": "0.0"}, {"t_s": "134.2"}])
    check_start(mapping, [{"t_s": "1795262400"}])
    check_start(mapping, [{"t_s": "2026-11-21"}])


# ── What becomes of real rows ──


def counted(row: dict[str, Any]) -> tuple[dict[str, Any], Usage]:
    mapping = propose(list(row), [row]).mapping
    check(mapping, list(row))
    writer = Writer(mapping)
    assert writer.is_wanted(row)
    document, _ = writer.document(row)
    usage = normalize(document["usage"], provider=document.get("provider")).usage
    assert usage is not None
    return document, usage


def test_a_row_of_litellm() -> None:
    document, usage = counted(
        {
            "request_id": "chatcmpl-1",
            "call_type": "acompletion",
            "spend": "0.0012",
            "startTime": "2026-11-01 10:00:00.250",
            "endTime": "2026-11-01 10:00:02.250",
            "completionStartTime": "2026-11-01 10:00:00.750",
            "model": "claude-sonnet-4-5",
            "custom_llm_provider": "anthropic",
            "prompt_tokens": "1000",
            "completion_tokens": "50",
            "total_tokens": "1050",
            "metadata": '{"additional_usage_values":'
            ' {"cache_read_input_tokens": 600, "cache_creation_input_tokens": 300}}',
            "status": "success",
            "user": "",
            "end_user": "u7",
        }
    )
    assert (usage.input, usage.cache_read, usage.cache_write_5m, usage.output) == (100, 600, 300, 50)
    assert (document["duration_ms"], document["time_to_first_token_ms"]) == (2000, 500)
    assert (document["id"], document["status"], document["end_user"]) == ("chatcmpl-1", "ok", "u7")


def test_a_row_of_langfuse() -> None:
    document, usage = counted(
        {
            "id": "o1",
            "type": "GENERATION",
            "traceId": "t1",
            "name": "answer",
            "startTime": "2026-11-01T10:00:00.000Z",
            "endTime": "2026-11-01T10:00:01.500Z",
            "model": "gpt-4o",
            "usageDetails": {
                "input": 40,
                "output": 7,
                "input_cached_tokens": 60,
                "output_reasoning_tokens": 3,
                "total": 110,
            },
            "level": "DEFAULT",
            "sessionId": None,
        }
    )
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning, usage.total_tokens) == (40, 60, 7, 3, 110)
    assert (document["chat"], document["feature"], document["duration_ms"]) == ({"id": "t1"}, "answer", 1500)


def test_a_row_of_openais_export() -> None:
    document, usage = counted(
        {
            "start_time": "1793527200",
            "end_time": "1793527260",
            "num_model_requests": "7",
            "model": "gpt-4o-2024-08-06",
            "batch": "True",
            "input_tokens": "1000",
            "output_tokens": "100",
            "input_cached_tokens": "300",
            "input_audio_tokens": "",
            "project_id": "proj_1",
        }
    )
    assert (usage.input, usage.cache_read, usage.output) == (700, 300, 100)
    assert (document["service_tier"], document["provider"], document["tags"]) == (
        "batch",
        "openai",
        {"openai_project": "proj_1"},
    )

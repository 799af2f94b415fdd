"""What columns are taken for, and how a person overrules it."""

import pytest

from metering.imports.mapping import ColumnMap, MappingError, check
from metering.imports.recognize import check_start, overrule, propose


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

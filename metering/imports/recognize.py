"""What a file's columns probably mean. A proposal: it is shown before anything is read, and can be overruled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from metering.events import BUCKETS
from metering.imports.fields import OCCURRED_MS, SMALLEST_EPOCH, unknown_field
from metering.imports.mapping import ColumnMap, MappingError

Pairs = tuple[tuple[str, str], ...]


class Proposal(msgspec.Struct, frozen=True):
    """`name` of the tool whose export it is, or "" for columns recognized one by one."""

    name: str
    mapping: ColumnMap
    notes: tuple[str, ...] = ()


class Export(msgspec.Struct, frozen=True):
    """The export of a tool: by which columns it is known, and what they mean."""

    name: str
    marks: tuple[tuple[str, ...], ...]  # each a set of columns that suffices
    columns: Pairs
    constants: Pairs = ()
    only: Pairs = ()
    notes: tuple[str, ...] = ()


# platform.openai.com/usage, "Export": a row is a minute or a day of a model, not a call.
_OPENAI = Export(
    "OpenAI usage export",
    (("num_model_requests", "input_tokens", "output_tokens"),),
    (
        ("start_time_iso", "occurred_at"), ("start_time", "occurred_at"), ("model", "model"),
        ("num_model_requests", "requests"), ("input_tokens", "usage.input_tokens"),
        ("output_tokens", "usage.output_tokens"),
        ("input_cached_tokens", "usage.input_tokens_details.cached_tokens"),
        ("input_audio_tokens", "usage.input_tokens_details.audio_tokens"),
        ("output_audio_tokens", "usage.output_tokens_details.audio_tokens"),
        ("batch", "is_batch"), ("service_tier", "service_tier"), ("user_id", "user"),
        ("project_id", "tags.openai_project"), ("api_key_id", "tags.openai_api_key"),
    ),
    constants=(("provider", "openai"),),
    notes=(
        "Each row sums up many calls: they are imported as calls with an even share of its tokens, marked estimated.",
    ),
)  # fmt: skip
_LITELLM = Export(
    "LiteLLM spend logs",
    (("request_id", "startTime", "prompt_tokens"), ("request_id", "startTime", "spend")),
    (
        ("request_id", "id"), ("startTime", "occurred_at"), ("endTime", "ended_at"),
        ("completionStartTime", "first_token_at"), ("model", "model"), ("model_group", "model"),
        ("custom_llm_provider", "provider"), ("prompt_tokens", "usage.prompt_tokens"),
        ("completion_tokens", "usage.completion_tokens"), ("total_tokens", "usage.total_tokens"),
        ("metadata.additional_usage_values.cache_read_input_tokens", "usage.cache_read_input_tokens"),
        ("metadata.additional_usage_values.cache_creation_input_tokens", "usage.cache_creation_input_tokens"),
        ("status", "status"), ("user", "user"), ("end_user", "end_user"), ("session_id", "chat.id"),
        ("call_type", "tags.call_type"), ("team_id", "tags.litellm_team"), ("cache_hit", "tags.cache_hit"),
    ),
)  # fmt: skip
_LANGFUSE_USAGE = (
    ("input", "input"), ("output", "output"), ("input_cached_tokens", "cache_read"), ("input_cache_read", "cache_read"),
    ("cache_read_input_tokens", "cache_read"), ("cache_creation_input_tokens", "cache_write_5m"),
    ("input_cache_creation", "cache_write_5m"), ("output_reasoning_tokens", "reasoning"),
    ("output_reasoning", "reasoning"), ("input_audio_tokens", "audio_input"), ("output_audio_tokens", "audio_output"),
)  # fmt: skip
_LANGFUSE = Export(
    "Langfuse observations",
    (
        ("traceId", "usageDetails"), ("traceId", "promptTokens"), ("traceId", "inputUsage"),
        ("trace_id", "usage_details"),
    ),
    (
        ("id", "id"), ("startTime", "occurred_at"), ("start_time", "occurred_at"), ("endTime", "ended_at"),
        ("end_time", "ended_at"), ("completionStartTime", "first_token_at"),
        ("completion_start_time", "first_token_at"), ("model", "model"), ("providedModelName", "model"),
        ("provided_model_name", "model"),
        *((f"{column}.{key}", f"usage.{bucket}") for column in ("usageDetails", "usage_details")
          for key, bucket in _LANGFUSE_USAGE),
        ("promptTokens", "usage.input"), ("inputUsage", "usage.input"), ("completionTokens", "usage.output"),
        ("outputUsage", "usage.output"), ("level", "status"), ("userId", "user"), ("user_id", "user"),
        ("sessionId", "chat.id"), ("session_id", "chat.id"), ("traceId", "chat.id"), ("trace_id", "chat.id"),
        ("name", "feature"), ("environment", "tags.environment"),
    ),
    only=(("type", "GENERATION"),),
)  # fmt: skip
EXPORTS = (_OPENAI, _LITELLM, _LANGFUSE)

# Names seen in the wild, folded; the first of a field's that the file has is proposed.
_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "eventid", "requestid", "responseid", "callid", "generationid", "completionid"),
    "occurred_at": (
        "occurredat", "timestamp", "createdat", "created", "starttime", "startedat", "requesttime", "datetime", "time",
        "date", "ts",
    ),
    "occurred_at_ms": ("occurredatms", "timestampms", "createdatms", "createdms", "timems"),
    "ended_at": ("endtime", "endedat", "finishedat"),
    "model": ("model", "modelname", "modelid", "deployment", "deploymentname", "engine"),
    "provider": ("provider", "vendor", "customllmprovider"),
    "endpoint": ("endpoint",),
    "usage.completion_tokens_details.reasoning_tokens": ("reasoningtokens",),
    "user": ("user", "useremail", "userid", "email", "member", "username"),
    "project": ("project",),
    "chat.id": ("chatid", "conversationid", "sessionid", "threadid"),
    "chat.title": ("chattitle", "conversationtitle"),
    "message.id": ("messageid",),
    "feature": ("feature",),
    "tool": ("tool",),
    "integration": ("integration",),
    "end_user": ("enduser", "enduserid", "customer"),
    "status": ("status",),
    "error_code": ("errorcode",),
    "duration_ms": ("durationms", "latencyms", "responsetimems"),
    "duration_s": ("durations", "durationseconds", "latencys", "latencyseconds", "apitimes"),
    "time_to_first_token_ms": ("timetofirsttokenms", "ttftms"),
    "time_to_first_token_s": ("timetofirsttokens", "ttfts"),
    "streamed": ("streamed", "stream", "isstream"),
    "finish_reason": ("finishreason", "stopreason"),
    "service_tier": ("servicetier",),
    "requests": ("requests", "numrequests", "requestcount", "nummodelrequests"),
}  # fmt: skip
_PROMPT = (
    "prompttokens", "inputtokens", "contexttokens", "tokensin", "prompttokencount", "inputtokencount", "inputlength",
)  # fmt: skip
_COMPLETION = (
    "completiontokens", "outputtokens", "generatedtokens", "responsetokens", "tokensout", "candidatestokencount",
    "outputtokencount", "outputlength",
)  # fmt: skip
_CACHED = ("cachedtokens", "cachedinputtokens", "inputcachedtokens", "cachedprompttokens")
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")


def propose(columns: Sequence[str], samples: Sequence[Mapping[str, Any]] = ()) -> Proposal:
    """A mapping for a file of these columns; `samples` are its first rows."""
    present = set(columns)
    for export in EXPORTS:
        if any(present.issuperset(mark) for mark in export.marks):
            return _of_export(export, present)
    return Proposal("", ColumnMap(columns=_one_by_one(columns, samples)))


def _of_export(export: Export, present: set[str]) -> Proposal:
    columns = tuple((column, field) for column, field in export.columns if _has(present, column))
    only = tuple((column, value) for column, value in export.only if column in present)
    mapping = ColumnMap(columns=columns, constants=export.constants, only=only)
    return Proposal(export.name, mapping, export.notes)


def _has(present: set[str], column: str) -> bool:
    return column in present or column.partition(".")[0] in present


def _one_by_one(columns: Sequence[str], samples: Sequence[Mapping[str, Any]]) -> Pairs:
    exact = [(column, column) for column in columns if unknown_field(column) is None and _is_usable(column, samples)]
    found = dict(exact)
    if "usage" in found:
        # The object says it all; what was flattened beside it is the same again.
        found = {column: field for column, field in found.items() if not field.startswith("usage.")}
    folded = {re.sub(r"[^a-z0-9]", "", column.lower()): column for column in reversed(columns) if column not in found}
    taken = set(found.values())
    for field, names in (*_NAMES.items(), *_usage_names(columns, taken)):
        column = next((folded[name] for name in names if name in folded), None)
        if column is not None and field not in taken and field.partition(".")[0] not in taken:
            found[column] = field
            taken.add(field)
    return tuple((column, found[column]) for column in columns if column in found)


def _is_usable(column: str, samples: Sequence[Mapping[str, Any]]) -> bool:
    """A column `usage` holds objects, or it is something else; likewise `input` is a count only under `usage.`."""
    if column not in ("usage", "chat", "message", "files", "tags"):
        return True
    values = [row[column] for row in samples if row.get(column) not in (None, "")]
    return all(isinstance(value, dict | list) or str(value).lstrip()[:1] in ("{", "[") for value in values)


def _usage_names(columns: Sequence[str], taken: set[str]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Token columns. Where cached tokens stand beside Anthropic's `input_tokens`, they are not part of it."""
    if any(field == "usage" or field.startswith("usage.") for field in taken):
        return []
    buckets = [(f"usage.{bucket}", (bucket.replace("_", ""),)) for bucket in BUCKETS if bucket in columns]
    if len(buckets) > 1:
        return buckets
    beside = [(f"usage.{name}", (name.replace("_", ""),)) for name in _BESIDE if name in columns]
    if beside and "input_tokens" in columns:
        return [("usage.input_tokens", ("inputtokens",)), ("usage.output_tokens", ("outputtokens",)), *beside]
    return [
        ("usage.prompt_tokens", _PROMPT),
        ("usage.completion_tokens", _COMPLETION),
        ("usage.total_tokens", ("totaltokens",)),
        ("usage.prompt_tokens_details.cached_tokens", _CACHED),
        *beside,
    ]


# ── Overruling ──


def overrule(
    proposed: ColumnMap,
    columns: Iterable[tuple[str, str]] = (),
    constants: Iterable[tuple[str, str]] = (),
    only: Iterable[tuple[str, str]] = (),
) -> ColumnMap:
    """The proposal with a person's words before it: their column for a field replaces ours; a column mapped to
    nothing is left out."""
    named = tuple(columns)
    named_columns = {column for column, _ in named}
    named_fields = {field for _, field in named}
    kept = [
        (column, field)
        for column, field in proposed.columns
        if column not in named_columns and not _replaces(named_fields, field)
    ]
    own_constants = tuple(constants)
    settled = named_fields | {field for field, _ in own_constants}
    return msgspec.structs.replace(
        proposed,
        columns=(*((column, field) for column, field in named if field), *kept),
        constants=(
            *own_constants,
            *((field, text) for field, text in proposed.constants if field not in settled),
        ),
        only=(*only, *(pair for pair in proposed.only if pair[0] not in dict(only))),
    )


def _replaces(named: set[str], field: str) -> bool:
    """A person who maps a provider's counts does not want our guess at other ones beside them."""
    if field in named:
        return True
    if field == "usage":
        return any(name.startswith("usage.") for name in named)
    if field.startswith("usage."):
        if "usage" in named:
            return True
        own = {f"usage.{bucket}" for bucket in BUCKETS}
        parts = {name for name in named if name.startswith("usage.")}
        return bool(parts) and (field in own) != bool(parts & own)
    return False


def check_start(mapping: ColumnMap, samples: Sequence[Mapping[str, Any]]) -> None:
    """Raises MappingError where times are seconds from a start that nobody gave."""
    if mapping.start is not None:
        return
    for column, field in mapping.columns:
        if field not in ("occurred_at", OCCURRED_MS):
            continue
        values = [row[column] for row in samples if row.get(column) not in (None, "")]
        if values and all(_is_offset(value) for value in values):
            raise MappingError(f"{column} counts from a start. Give the start, such as 2026-11-01T00:00:00Z.", column)


def _is_offset(value: Any) -> bool:
    try:
        return abs(float(value)) < SMALLEST_EPOCH
    except (TypeError, ValueError):
        return False

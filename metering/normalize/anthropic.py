"""Anthropic's Messages API, and Claude on Bedrock, Vertex and compatible servers.

Shape (`Usage` and `MessageDeltaUsage` in Anthropic's API reference): `input_tokens`, `output_tokens`,
`cache_read_input_tokens`, `cache_creation_input_tokens`, `cache_creation`
{`ephemeral_5m_input_tokens`, `ephemeral_1h_input_tokens`}, `output_tokens_details` {`thinking_tokens`},
`server_tool_use` {`web_search_requests`}, `service_tier`, `iterations`.

Cache tokens stand beside `input_tokens`, never inside it. Thinking is inside `output_tokens`.
The counts of a `compaction` iteration are billed but left out of the top-level ones ("Compaction",
usage), so they are added. An `advisor_message` iteration is another model's work at its own price
("Advisor tool"), so it is named in a note and not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from metering.events import Normalized, Usage
from metering.normalize.counts import OUT_OF_RANGE, count, optional, section, sections, within, word
from metering.normalize.openai import ANTHROPIC_MARKS

Notes = tuple[str, ...]


def matches(raw: Mapping[str, Any]) -> bool:
    if "prompt_tokens" in raw or "completion_tokens" in raw or "input_tokens_details" in raw:
        return False
    return "input_tokens" in raw or "output_tokens" in raw or not ANTHROPIC_MARKS.isdisjoint(raw)


def normalize(raw: Mapping[str, Any], _endpoint: str | None = None) -> Normalized:
    get = raw.get
    fresh = get("input_tokens")
    output = get("output_tokens")
    cached = get("cache_read_input_tokens", 0)
    written = get("cache_creation_input_tokens", 0)
    notes: Notes = ()
    if not (
        type(fresh) is type(output) is type(cached) is type(written) is int
        and not (fresh | output | cached | written) & OUT_OF_RANGE
    ):
        fresh = count(fresh, "usage.input_tokens")
        output = count(output, "usage.output_tokens")
        cached = optional(cached, "usage.cache_read_input_tokens")
        written = optional(written, "usage.cache_creation_input_tokens")
        if fresh is None and output is None and not (cached or written or get("cache_creation") or get("iterations")):
            return Normalized(usage=None)
        if fresh is None:
            notes = ("usage.input_tokens is absent; it is counted as 0",)
        fresh = fresh or 0
        output = output or 0

    split = get("cache_creation")
    hour = 0
    if split:
        written, hour, more = _lifetimes(raw, split, written)
        notes += more

    thinking = 0
    details = get("output_tokens_details")
    if details:
        thinking, more = _thinking(details, output)
        notes += more

    searches = 0
    tools = get("server_tool_use")
    if tools:
        searches = section(tools, "usage.server_tool_use").get("web_search_requests", 0)
        if type(searches) is not int or searches & OUT_OF_RANGE:
            searches = optional(searches, "usage.server_tool_use.web_search_requests")

    if "total_tokens" in raw:
        notes += _check_total(raw, fresh + cached + written + output, fresh + output)
    tier = get("service_tier")
    normalized = Normalized(
        usage=Usage(
            input=fresh,
            cache_read=cached,
            cache_write_5m=written - hour,
            cache_write_1h=hour,
            output=output - thinking,
            reasoning=thinking,
            web_searches=searches,
        ),
        service_tier=tier if tier is None else word(tier),
        notes=notes,
    )
    iterations = get("iterations")
    return _with_iterations(normalized, iterations) if iterations else normalized


def _lifetimes(raw: Mapping[str, Any], split: Any, written: int) -> tuple[int, int, Notes]:
    """(written, of it for an hour, notes): writes without a lifetime get the default; a larger split is believed."""
    if type(split) is not dict:
        split = section(split, "usage.cache_creation")
    short = split.get("ephemeral_5m_input_tokens", 0)
    hour = split.get("ephemeral_1h_input_tokens", 0)
    if not (type(short) is type(hour) is int and not (short | hour) & OUT_OF_RANGE):
        short = optional(short, "usage.cache_creation.ephemeral_5m_input_tokens")
        hour = optional(hour, "usage.cache_creation.ephemeral_1h_input_tokens")
    if short + hour == written or raw.get("cache_creation_input_tokens") is None:
        return short + hour, hour, ()
    note = f"usage.cache_creation_input_tokens is {written}, usage.cache_creation sums to {short + hour}"
    if written > short + hour:
        return written, hour, (f"{note}; the rest is counted as 5-minute writes",)
    return short + hour, hour, (f"{note}; the split is kept",)


def _thinking(details: Any, output: int) -> tuple[int, Notes]:
    thinking = section(details, "usage.output_tokens_details").get("thinking_tokens", 0)
    if type(thinking) is not int or thinking & OUT_OF_RANGE:
        thinking = optional(thinking, "usage.output_tokens_details.thinking_tokens")
    if thinking > output:
        return output, (f"{thinking} thinking tokens exceed usage.output_tokens {output}; only as many are counted",)
    return thinking, ()


def _check_total(raw: Mapping[str, Any], parts: int, without_cache: int) -> Notes:
    """Anthropic sends no total; servers that imitate it do, with or without the cached part."""
    total = count(raw["total_tokens"], "usage.total_tokens")
    if total is None or total in (parts, without_cache):
        return ()
    return (f"usage.total_tokens is {total}, its parts sum to {parts}; the parts are kept",)


def _with_iterations(normalized: Normalized, iterations: object) -> Normalized:
    usage = normalized.usage or Usage()
    notes = list(normalized.notes)
    for index, raw in enumerate(sections(iterations, "usage.iterations")):
        kind = raw.get("type")
        path = f"usage.iterations[{index}]"
        if kind == "compaction":
            usage = _add(usage, raw, path)
            notes.append(f"{path}: compaction is billed beside the top-level counts; its tokens are added")
        elif kind is not None and kind != "message":
            fresh = optional(raw.get("input_tokens"), f"{path}.input_tokens")
            output = optional(raw.get("output_tokens"), f"{path}.output_tokens")
            who = f"{word(kind) or 'unnamed'} by {word(raw.get('model')) or 'another model'}"
            notes.append(f"{path}: {who}, {fresh} input and {output} output tokens, is billed on its own; not counted")
    return Normalized(usage=usage, service_tier=normalized.service_tier, notes=tuple(notes))


def _add(usage: Usage, raw: Mapping[str, Any], path: str) -> Usage:
    written = optional(raw.get("cache_creation_input_tokens"), f"{path}.cache_creation_input_tokens")
    written, hour, _ = _lifetimes(raw, section(raw.get("cache_creation"), f"{path}.cache_creation"), written)
    fresh = optional(raw.get("input_tokens"), f"{path}.input_tokens")
    cached = optional(raw.get("cache_read_input_tokens"), f"{path}.cache_read_input_tokens")
    output = optional(raw.get("output_tokens"), f"{path}.output_tokens")
    return msgspec.structs.replace(
        usage,
        input=within(usage.input + fresh, path),
        cache_read=within(usage.cache_read + cached, path),
        cache_write_5m=within(usage.cache_write_5m + written - hour, path),
        cache_write_1h=within(usage.cache_write_1h + hour, path),
        output=within(usage.output + output, path),
    )

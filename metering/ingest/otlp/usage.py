"""The tokens a span tells of, in our buckets.

All conventions count cached tokens inside the input; providers and some instrumentations do not. So what is told is
put into the shape of OpenAI's usage object (parts inside) or Anthropic's (cache beside), and normalized as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import msgspec

from metering.events import Usage
from metering.ingest.document import RefusedError, has_nul
from metering.ingest.otlp import attributes as a
from metering.normalize import Extract, UsageError, extract, normalize
from metering.normalize.counts import count

# Spans that a provider's own client library makes, by the beginning of their scope.
OWN_SDKS = ("com.anthropic.sdk.",)


class Source(IntEnum):
    """Where a report has its tokens from; of several reports of a call the highest is believed."""

    NOWHERE = 0
    ATTRIBUTES = 1
    SDK = 2
    ANSWER = 3


class Counted(msgspec.Struct, frozen=True):
    """`raw` is a provider's usage object: its own, or one made of a span's attributes. `told` counts its details."""

    usage: Usage | None = None
    raw: dict[str, Any] | None = None
    service_tier: str | None = None
    source: Source = Source.NOWHERE
    told: int = 0


_NOTHING = Counted()


def answer_in(attributes: a.Attributes) -> Extract:
    """What the provider's answer says of itself, where OpenInference put the whole of it."""
    return extract(a.in_json(attributes, a.OUTPUT_VALUE))


def count_tokens(
    attributes: a.Attributes, scope: str, answer: Extract, *, provider: str | None, is_embedding: bool
) -> Counted:
    """Raises RefusedError for numbers that are none."""
    if answer.raw_usage is not None and not has_nul(answer.raw_usage):
        counted = _of_answer(answer.raw_usage, provider)
        if counted.usage is not None:
            return counted
    try:
        told = {name: _count(attributes, names) for name, names in _COUNTS.items()}
        raw = _shape({name: number for name, number in told.items() if number is not None}, is_embedding=is_embedding)
        if raw is None:
            return _NOTHING
        usage = normalize(raw, provider="anthropic" if "input_tokens" in raw else "openai").usage
    except UsageError as error:
        raise RefusedError(error.code, error.message, error.param) from error
    source = Source.SDK if scope.startswith(OWN_SDKS) else Source.ATTRIBUTES
    return Counted(usage, raw, None, source, sum(number is not None for number in told.values()))


def _of_answer(raw: Mapping[str, Any], provider: str | None) -> Counted:
    try:
        # "openai" is also said of any server that the client library talks to: its object shows whose it is.
        normalized = normalize(raw, provider=None if provider == "openai" else provider)
    except UsageError:  # not a provider's object after all, or not one that can be counted: the attributes are asked
        return _NOTHING
    usage = normalized.usage
    if usage is None or not usage.total_tokens:
        return _NOTHING
    return Counted(usage, dict(raw), normalized.service_tier, Source.ANSWER, len(raw))


_COUNTS = {
    "input": a.INPUT,
    "output": a.OUTPUT,
    "total": a.TOTAL,
    "read": a.CACHE_READ,
    "written": a.CACHE_WRITE,
    "written_5m": a.CACHE_WRITE_5M,
    "written_1h": a.CACHE_WRITE_1H,
    "reasoning": a.REASONING,
    "audio_input": a.AUDIO_INPUT,
    "audio_output": a.AUDIO_OUTPUT,
}


def _count(attributes: a.Attributes, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
            value = int(value)  # some senders have all their attributes as strings
        number = count(value, name)
        if number is not None:
            return number
    return None


def _shape(told: dict[str, int], *, is_embedding: bool) -> dict[str, Any] | None:
    """None where nothing is told: no call has nothing going in and nothing coming out, so two zeros are nothing."""
    if is_embedding and "input" not in told and "total" in told:
        told["input"] = told["total"]
    prompt, completion = told.get("input", 0), told.get("output", 0)
    if not prompt and not completion:
        return None
    read, written = told.get("read", 0), told.get("written", 0)
    cached = read + written
    is_beside = cached > prompt or (cached > 0 and told.get("total") == prompt + completion + cached)
    if is_beside or "written_5m" in told or "written_1h" in told:
        return _like_anthropic(told, prompt if is_beside else prompt - cached)
    return _like_openai(told)


def _like_anthropic(told: Mapping[str, int], uncached: int) -> dict[str, Any]:
    raw: dict[str, Any] = {"input_tokens": uncached}
    raw |= _named(told, read="cache_read_input_tokens", written="cache_creation_input_tokens", output="output_tokens")
    split = _named(told, written_5m="ephemeral_5m_input_tokens", written_1h="ephemeral_1h_input_tokens")
    if split:
        raw["cache_creation"] = split
    if "reasoning" in told:
        raw["output_tokens_details"] = {"thinking_tokens": told["reasoning"]}
    return raw


def _like_openai(told: Mapping[str, int]) -> dict[str, Any]:
    raw: dict[str, Any] = _named(told, input="prompt_tokens", output="completion_tokens", total="total_tokens")
    prompt = _named(told, read="cached_tokens", written="cache_write_tokens", audio_input="audio_tokens")
    completion = _named(told, reasoning="reasoning_tokens", audio_output="audio_tokens")
    if prompt:
        raw["prompt_tokens_details"] = prompt
    if completion:
        raw["completion_tokens_details"] = completion
    return raw


def _named(told: Mapping[str, int], **names: str) -> dict[str, Any]:
    return {theirs: told[ours] for ours, theirs in names.items() if ours in told}

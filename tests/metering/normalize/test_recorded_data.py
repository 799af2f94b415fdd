"""Recorded provider answers, where a checkout has them beside the repository; skipped where not.

Every object must normalize to the provider's total. Counts that another library derived from the
same objects must agree but for the differences listed here, which are the ones that
docs/algorithms/normalization.md explains: not one more, not one less.
"""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metering.events import Usage
from metering.normalize import Extract, UsageError, extract, fold_stream, normalize

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
CORPUS = DATA / "provider_usage_corpus" / "usages.json"
RESPONSES = DATA / "provider_responses"

# Class of difference (the words of the document's table) -> index in the corpus.
EXPLAINED = {
    "compaction iteration": {130},
    "num_cached_tokens": {148, 166, 167, 170, 183, 194, 204, 248, 257, 362, 412, 413, 448, 449, 478, 483},
    "cached audio": {385},
    "thinking only in the total": {507, 508},
}


# Errors, token counting, lists of models, session set-up, and answers that say nothing about usage.
NO_USAGE = 26


def _corpus_provider(body: dict[str, Any]) -> tuple[str, str]:
    """(our provider, the reading to compare with); the corpus names neither, its shapes and paths do."""
    path = body.get("file", "")
    usage = body.get("usage", {})
    model = body.get("model") or ""
    if "usageMetadata" in body:
        return "google", "google:default"
    if "meta" in body:
        return "cohere", "cohere:embeddings"
    if "billed_units" in usage:
        return "cohere", "cohere:default"
    if "inputTokens" in usage:
        return "bedrock", "aws:default"
    if "input_tokens_details" in usage:
        return "openai", "openai:responses"
    if "input_tokens" in usage:
        return "anthropic", "anthropic:default"
    if "openrouter" in path:
        return "openrouter", "openrouter:chat"
    if model.startswith("gemini"):
        return "google", "google:chat"
    if "queue_time" in usage:
        return "groq", "groq:default"
    if "mistral" in path or "num_cached_tokens" in usage:
        return "mistral", "mistral:default"
    return "openai", "openai:chat" if "completion_tokens" in usage else "openai:embeddings"


def _differs(usage: Usage, theirs: dict[str, int]) -> bool:
    visual = theirs.get("input_image_tokens", 0) + theirs.get("input_video_tokens", 0)
    cached_visual = theirs.get("cache_image_read_tokens", 0) + theirs.get("cache_video_read_tokens", 0)
    ours = {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "output_reasoning_tokens": usage.reasoning,
        "input_audio_tokens": usage.audio_input,
        "output_audio_tokens": usage.audio_output,
        "output_image_tokens": usage.image_output,
        "web_searches": usage.web_searches,
    }
    return usage.image_input != visual - cached_visual or any(theirs.get(name, 0) != n for name, n in ours.items())


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of recorded usage objects is not beside the repository")
def test_the_corpus_agrees_but_for_what_is_explained() -> None:
    corpus = json.loads(CORPUS.read_text())
    different = set()
    for index, entry in enumerate(corpus):
        body = entry["body"]
        provider, reading = _corpus_provider(body)
        raw = body.get("usageMetadata") or body.get("usage") or body["meta"]
        normalized = normalize(raw, provider=provider)
        assert normalized.usage is not None
        (theirs,) = (
            each["usage"]
            for each in entry["extracted"]
            if any(f"{by['provider_id']}:{by['api_flavor']}" == reading for by in each["extractors"])
        )
        if _differs(normalized.usage, theirs):
            different.add(index)
        total = raw.get("total_tokens", raw.get("totalTokens", raw.get("totalTokenCount")))
        assert total in (None, normalized.usage.total_tokens), index
        if index not in EXPLAINED["thinking only in the total"]:
            assert normalize(raw) == normalized, index
    assert len(corpus) == 809
    assert different == set().union(*EXPLAINED.values())


def _recorded() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(RESPONSES.glob("*.json")):
        yield path.stem, json.loads(path.read_text())


def _frames(body: bytes) -> Iterator[dict[str, Any]]:
    """AWS event stream framing; InvokeModel wraps its chunk in base64 once more."""
    while body:
        length, headers = struct.unpack(">II", body[:8])
        frame = json.loads(body[12 + headers : length - 4] or b"{}")
        yield json.loads(base64.b64decode(frame["bytes"])) if "bytes" in frame else frame
        body = body[length:]


def _chunks(recorded: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if recorded["format"] == "aws-eventstream":
        yield from _frames(base64.b64decode(recorded["body_b64"]))
        return
    for line in recorded["body_text"].splitlines():
        text = line.removeprefix("data:").strip() if recorded["format"] == "sse" else line.strip()
        if text.startswith("{") and not (recorded["format"] == "sse" and line == text):
            yield json.loads(text)


def _read(recorded: dict[str, Any]) -> Extract:
    body = recorded.get("body")
    if isinstance(body, dict):
        return extract(body)
    return Extract(raw_usage=fold_stream(body if isinstance(body, list) else _chunks(recorded)))


@pytest.mark.skipif(not RESPONSES.is_dir(), reason="recorded provider responses are not beside the repository")
def test_every_recorded_object_is_counted_to_its_total() -> None:
    seen: Counter[str] = Counter()
    for name, recorded in _recorded():
        provider = recorded["provider"].split("_")[0]
        for found in recorded["usage_found"]:
            raw = found["usage"]
            if raw is None or not isinstance(raw, dict):
                seen["null" if raw is None else "bare count"] += 1
                continue
            if "guardrail" in found["at"]:
                with pytest.raises(UsageError, match="no provider's shape"):
                    normalize(raw, provider=provider)
                seen["guardrail"] += 1
                continue
            usage = normalize(raw, provider=provider).usage
            if usage is None:
                assert raw == {"trafficType": "ON_DEMAND"}, name
                seen["unknown"] += 1
                continue
            total = raw.get("total_tokens", raw.get("totalTokens", raw.get("totalTokenCount")))
            assert total in (None, usage.total_tokens), name
            seen["counted"] += 1
    assert seen == {"null": 257, "bare count": 7, "guardrail": 10, "unknown": 1, "counted": 159}


@pytest.mark.skipif(not RESPONSES.is_dir(), reason="recorded provider responses are not beside the repository")
def test_the_usage_of_every_recorded_response_is_found() -> None:
    without = set()
    for name, recorded in _recorded():
        said = [
            found["usage"] for found in recorded["usage_found"] if found["usage"] and "guardrail" not in found["at"]
        ]
        raw = _read(recorded).raw_usage
        if raw is None:
            assert not said, name
            without.add(name)
            continue
        provider = recorded["provider"].split("_")[0]
        usage = normalize(raw, provider=provider).usage
        objects = [each for each in said if isinstance(each, dict)]
        if objects and set(objects[-1]) == {"output_tokens"}:
            assert usage is not None, name
            assert usage.completion_tokens == objects[-1]["output_tokens"], name
        elif objects:
            one = objects[0] if recorded["format"] == "json" else objects[-1]
            assert usage == normalize(one, provider=provider).usage, name
    assert len(without) == NO_USAGE, sorted(without)

"""What three instrumentation libraries really exported, where a checkout has it beside the repository; else skipped.

Each call must be one event with the tokens of the provider's own usage object, but for what the spans do not tell:
exactly the differences listed here, by the classes of docs/algorithms/opentelemetry.md.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.utils.timezone import now

from accounts.models import Organization
from metering.events import Usage
from metering.ingest.otlp.recording import Reading, read
from metering.ingest.otlp.settling import TracedCall, settle
from metering.ingest.otlp.wire import JSON, METRICS, PROTOBUF, check, read_spans
from metering.normalize import normalize
from tests.metering.door import Door, day_total
from tests.metering.ingest.otlp.spans import post

DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "otlp_genai"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="recorded spans are not beside the repository")

# Spans, spans of model calls, calls, calls reported twice, calls of unknown usage, tokens.
COUNTS = {
    "openinference": (198, 112, 86, 26, 10, 228_262),
    "otel_official": (109, 49, 49, 0, 13, 51_901),
    "traceloop": (196, 110, 84, 26, 14, 162_116),
}
# The sums are the provider's; cached, reasoning or audio tokens inside them are not told apart.
_DETAILS = (
    "azure_openai_chat_json_200_03 cerebras_json_200_05 deepseek_json_200_01 groq_json_200_03 "
    "openai_chat_json_200_03 openai_chat_json_200_09 openrouter_json_200_05 openrouter_json_200_13"
)
_DETAILS_OF_BOTH = (
    "deepseek_sse_200_11 groq_sse_200_09 mistral_json_200_05 openai_chat_json_200_05 openai_chat_json_200_07"
)
_SILENT = (
    "deepseek_json_200_03 deepseek_json_200_05 deepseek_sse_200_07 deepseek_sse_200_09 groq_sse_200_11 "
    "openrouter_json_200_15"
)
_SEARCHED = "openrouter_json_200_07 openrouter_json_200_19 openrouter_sse_200_25 openrouter_sse_200_29"
EXPLAINED: dict[str, dict[str, str]] = {
    "details not told": {"otel_official": f"{_DETAILS} {_DETAILS_OF_BOTH}", "traceloop": _DETAILS_OF_BOTH},
    "no tokens told": {"otel_official": f"{_SILENT} mistral_sse_200_07", "traceloop": _SILENT},
    "web searches not told": {
        "otel_official": _SEARCHED,
        "traceloop": f"{_SEARCHED} anthropic_messages_json_200_29 anthropic_messages_json_200_31"
        " anthropic_messages_sse_200_51",
    },
    # Charged, but outside of the answer's own counts.
    "compaction not told": {
        "openinference": "anthropic_messages_sse_200_39",
        "traceloop": "anthropic_messages_json_200_23 anthropic_messages_sse_200_39",
    },
    # The manifest has the last of several usage objects; the call's is the sum over the models of a compound system.
    "manifest: one model of several": dict.fromkeys(COUNTS, "groq_json_200_05"),
    # The prompt was counted in the first event of the stream, the manifest has the last.
    "manifest: end of a stream": dict.fromkeys(
        ("openinference", "traceloop"), "anthropic_messages_sse_200_45 anthropic_messages_sse_200_47"
    ),
}


def _bodies(source: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted((DATA / source / "pb").glob("*.pb")):
        if path.stem != "metrics":
            yield path.stem, path.read_bytes()


def _manifest(source: str) -> dict[str, dict[str, Any]]:
    return {entry["file"]: entry for entry in json.loads((DATA / source / "manifest.json").read_text())}


def _calls(source: str) -> tuple[list[TracedCall], dict[tuple[str, str], str]]:
    """The calls, and which file each span is of."""
    seen, files = [], {}
    for stem, body in _bodies(source):
        spans = read_spans(body, PROTOBUF)
        files |= {(span.trace_id, span.span_id): stem for span in spans}
        seen += _read(spans).seen
    return settle([], seen), files


def _read(spans: list[Any]) -> Reading:
    reading = read(spans, now())
    assert not reading.refused
    return reading


def _fixture_usage(entry: dict[str, Any]) -> Usage | None:
    """Streams tell their usage in pieces, a later one over an earlier one."""
    merged: dict[str, Any] = {}
    for raw in entry["fixture_usage"] or ():
        if isinstance(raw, dict):
            merged |= raw
    return normalize(merged or None).usage


@pytest.mark.parametrize("source", COUNTS)
def test_every_call_is_counted_once_and_as_the_provider_did_but_for_what_is_explained(source: str) -> None:
    manifest = _manifest(source)
    calls, files = _calls(source)
    different = set()
    fixtures = Counter[str]()
    for call in calls:
        stems = {files[sighting.address] for sighting in call.sightings}
        (fixture,) = {manifest[stem]["fixture"] for stem in stems}
        fixtures[fixture] += 1
        usage = call.report.usage
        expected = _fixture_usage(manifest[min(stems)])
        if usage != expected:
            different.add(Path(fixture).stem)
        spoken_of = manifest[min(stems)]["error"] in (None, "TypeError")  # the recording's own mistakes
        assert (call.report.status == "ok") == (spoken_of and manifest[min(stems)]["status"] != 2), stems
    assert set(fixtures.values()) == {1}
    assert different == {stem for sets in EXPLAINED.values() for stem in sets.get(source, "").split()}
    for stem in EXPLAINED["details not told"].get(source, "").split():
        (call,) = (call for call in calls if files[call.sightings[0].address].startswith(stem))
        entry = manifest[files[call.sightings[0].address]]
        expected = _fixture_usage(entry)
        assert call.report.usage is not None
        assert expected is not None
        assert call.report.usage.prompt_tokens == expected.prompt_tokens
        assert call.report.usage.completion_tokens == expected.completion_tokens
    twice = sum(len(call.sightings) > 1 for call in calls)
    unknown = sum(call.report.usage is None for call in calls)
    tokens = sum(call.report.usage.total_tokens for call in calls if call.report.usage)
    sightings = sum(len(call.sightings) for call in calls)
    assert (len(manifest), sightings, len(calls), twice, unknown, tokens) == COUNTS[source]


@pytest.mark.parametrize("source", COUNTS)
def test_json_says_what_protobuf_says(source: str) -> None:
    lines = [json.loads(line) for line in (DATA / source / "traces.ndjson").read_text().splitlines()]
    by_json = {line["file"].removesuffix(".pb"): read_spans(msgspec.json.encode(line["otlp"]), JSON) for line in lines}
    assert by_json == {stem: read_spans(body, PROTOBUF) for stem, body in _bodies(source)}


@pytest.mark.django_db(transaction=True)
def test_file_by_file_through_the_door(door: Door, acme: Organization) -> None:
    """Each span a request, forwards and once more backwards; the roll-ups have each call once."""
    source = "traceloop"  # where the most calls come twice
    bodies = list(_bodies(source))
    for _, body in [*bodies, *reversed(bodies)]:
        response = post(door, body, content_type=PROTOBUF)
        assert (response.status_code, response.content) == (200, b"")
    _, _, calls, _, _, tokens = COUNTS[source]
    counted = [call.report.usage for call in _calls(source)[0] if call.report.usage]
    plain = sum(usage.input + usage.output for usage in counted)
    assert sum(usage.total_tokens for usage in counted) == tokens
    assert day_total(acme) == (calls, plain)


@pytest.mark.parametrize("source", ["otel_official", "traceloop"])
def test_metrics_are_what_they_say(source: str) -> None:
    check((DATA / source / "pb" / "metrics.pb").read_bytes(), PROTOBUF, METRICS)

"""Which spans are model calls, and what each says of its call. Spans that sum up others are none."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from metering.events import MAX_COUNT
from metering.ingest.document import EARLIEST, FUTURE_TOLERANCE, MOST_TAGS, RefusedError
from metering.ingest.otlp import attributes as a
from metering.ingest.otlp.report import Rank, Report
from metering.ingest.otlp.span import Span
from metering.ingest.otlp.usage import answer_in, count_tokens
from metering.normalize import Extract

EMBEDDINGS = "embeddings"
_CHAT = "chat"
_OPERATIONS = {
    "chat": _CHAT,
    "text_completion": "text_completion",
    "completion": "text_completion",
    "generate_content": "generate_content",
    "responses": "responses",
    "message": _CHAT,
    "messages": _CHAT,
    "embeddings": EMBEDDINGS,
    "embedding": EMBEDDINGS,
    "image_generation": "image_generation",
    "speech": "speech",
    "transcription": "transcription",
}
_OPENINFERENCE = {"LLM": _CHAT, "EMBEDDING": EMBEDDINGS}
# Operations nobody has heard of yet are calls if they were answered by a model, unless they speak of what makes calls.
_STEPS = re.compile(r"agent|tool|workflow|task|chain|plan|step|session|retriev|rerank|memory|guardrail|evaluat|handoff")
# "unknown" is what a library says that does not know better; it decides nothing.
_UNDECIDED = ("", "unknown")

# Whom a client that says "openai" really talks to: compatible servers have their own models and prices.
_HOSTS = {
    "openrouter.ai": "openrouter",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "mistral.ai": "mistral",
    "together.xyz": "together",
    "together.ai": "together",
    "cerebras.ai": "cerebras",
    "x.ai": "x-ai",
    "perplexity.ai": "perplexity",
    "fireworks.ai": "fireworks",
    "moonshot.ai": "moonshotai",
    "generativelanguage.googleapis.com": "google",
    "openai.azure.com": "azure",
}
# Ids that frameworks make up for an answer, and ids too short to be nobody else's (Ollama draws from a thousand).
_FRAMEWORK_IDS = ("run-", "lc_run-", "run_")
_SHORTEST_ID = 16


def operation_of(attributes: a.Attributes) -> str | None:
    """What kind of model call a span reports; None when it reports none."""
    kind = a.text(attributes, a.OPENINFERENCE_KIND)
    if kind is not None and kind.lower() not in _UNDECIDED:
        return _OPENINFERENCE.get(kind.upper())
    # Workflows, tasks, agents and tools; Traceloop's model calls have no kind.
    if (a.text(attributes, a.TRACELOOP_KIND) or "").lower() not in _UNDECIDED:
        return None
    for names in (a.OPERATION, a.REQUEST_TYPE):
        said = (a.text(attributes, names) or "").lower()
        if said not in _UNDECIDED:
            return _OPERATIONS.get(said) or (said if _is_answered(attributes) and not _STEPS.search(said) else None)
    if a.text(attributes, a.REQUEST_MODEL + a.RESPONSE_MODEL) is None:
        return None
    # Before operations had names a span was a model call by naming a model and whose it is, or its tokens.
    is_call = a.text(attributes, a.PROVIDER + a.INPUT + a.OUTPUT) is not None
    return _CHAT if is_call else None


def _is_answered(attributes: a.Attributes) -> bool:
    return a.text(attributes, a.RESPONSE_MODEL) is not None and a.text(attributes, a.INPUT + a.OUTPUT) is not None


def is_about_ai(attributes: a.Attributes) -> bool:
    """Whether a span that is no model call stands for a step of its own: what is called below is another call."""
    return a.text(attributes, a.OPENINFERENCE_KIND + a.TRACELOOP_KIND + a.OPERATION) is not None


def response_id(span: Span, answer: Extract) -> str | None:
    """The provider's name for its answer, where that is sure to be nobody else's."""
    said = a.text(span.attributes, a.RESPONSE_ID) or a.as_text(answer.response_id)
    if said is None or len(said) < _SHORTEST_ID or said.startswith(_FRAMEWORK_IDS):
        return None
    return said


def asked_for(span: Span) -> str | None:
    """The model that was asked for, by which two spans beside each other are known to be of one call."""
    said = span.attributes
    return a.text(said, a.REQUEST_MODEL) or a.as_text(a.in_json(said, a.INVOCATION).get("model"))


def check(span: Span, received_at: dt.datetime) -> None:
    """Raises RefusedError when a span cannot be told from others or placed in time."""
    for name, value, length in (("trace_id", span.trace_id, 32), ("span_id", span.span_id, 16)):
        if len(value) != length or not value.strip("0") or value.strip("0123456789abcdef"):
            raise RefusedError(f"invalid_{name}", f"{name} has {length // 2} bytes, not all of them zero.", name)
    at = span.started_ns
    if at > (received_at + FUTURE_TOLERANCE).timestamp() * 1e9:
        raise RefusedError("time_in_future", "A span began more than 5 minutes in the future.", "start_time_unix_nano")
    if at < EARLIEST.timestamp() * 1e9:
        raise RefusedError("time_too_early", f"A span began before {EARLIEST:%Y}.", "start_time_unix_nano")


def report_of(span: Span, operation: str, around: Sequence[Mapping[str, Any]]) -> tuple[Report, str | None]:
    """What a span of a model call says, and the provider's id of the answer.

    `around` are the attributes of the spans above it, nearest first. Raises RefusedError for counts that are none.
    """
    said = span.attributes
    answer = answer_in(said)
    provider = _provider(said)
    counted = count_tokens(said, span.scope, answer, provider=provider, is_embedding=operation == EMBEDDINGS)
    chain = [said, *around, span.resource]
    started_us, ended_us = span.started_ns // 1000, max(span.started_ns, span.ended_ns) // 1000
    error = a.text(said, a.ERROR_TYPE)
    status = _status(span, error)
    report = Report(
        rank=Rank(counted.source, counted.told, -started_us, ended_us - started_us),
        started_us=started_us,
        ended_us=ended_us,
        operation=operation,
        status=status,
        model=a.text(said, a.RESPONSE_MODEL) or a.as_text(answer.model) or asked_for(span),
        usage=counted.usage,
        raw_usage=counted.raw,
        provider=provider,
        endpoint=a.text(said, a.ENDPOINT),
        project=_nearest(chain, a.PROJECT),
        user=_nearest(chain, a.USER),
        end_user=_nearest(chain, a.END_USER),
        chat=_nearest(chain, a.CHAT),
        chat_title=_nearest(chain, a.CHAT_TITLE),
        message=_nearest(chain, a.MESSAGE),
        feature=_nearest(chain, a.FEATURE),
        tool=_nearest(chain, a.TOOL),
        integration=_nearest(chain, a.INTEGRATION),
        service_tier=_tier(a.text(said, a.SERVICE_TIER) or counted.service_tier or a.as_text(answer.service_tier)),
        time_to_first_token_ms=_time_to_first_token(span),
        streamed=_streamed(span),
        finish_reason=a.text(said, a.FINISH_REASON) or a.as_text(answer.finish_reason),
        error_code=(error or _http_status(said)) if status != "ok" else None,
        tags=_tags(chain),
    )
    return report, response_id(span, answer)


def _nearest(chain: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> str | None:
    return next((found for each in chain if (found := a.text(each, names))), None)


def _tags(chain: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in chain:
        found = a.tags(each) | _metadata(each) | found
    return dict(sorted(found.items())[:MOST_TAGS])


def _metadata(attributes: a.Attributes) -> dict[str, str]:
    """OpenInference's metadata, a JSON object; what is nested in it is left out."""
    said = a.in_json(attributes, a.METADATA)
    texts = {name: a.as_text(each) for name, each in said.items() if isinstance(each, str | int | float)}
    return {name.replace("\0", "")[:64]: text for name, text in texts.items() if name and text}


def _provider(attributes: a.Attributes) -> str | None:
    said = (a.text(attributes, a.PROVIDER) or "").lower()
    server = a.text(attributes, a.SERVER) or ""
    host = urlsplit(server).hostname or "" if "://" in server else server.lower()
    if said in ("", "openai"):
        for suffix, provider in _HOSTS.items():
            if host == suffix or host.endswith(f".{suffix}"):
                return provider
    return said or None


def _tier(said: str | None) -> str | None:
    """What was asked for as "auto" was served as something, and nobody said as what."""
    return None if said == "auto" else said


def _http_status(attributes: a.Attributes) -> str | None:
    return a.text(attributes, a.HTTP_STATUS)


def _status(span: Span, error: str | None) -> str:
    code = _http_status(span.attributes)
    is_refused = code is not None and code.isdecimal() and int(code) >= 400
    if not (span.is_error or error is not None or is_refused):
        return "ok"
    told = (error or "").lower()
    if "429" in (code, told) or "ratelimit" in told.replace("_", ""):
        return "rate_limited"
    if "timeout" in told or "408" in (code, told):
        return "timeout"
    return "cancelled" if "cancel" in told else "error"


def _streamed(span: Span) -> bool | None:
    said = a.text(span.attributes, a.STREAMED)
    if said is None:
        said = a.as_text(a.in_json(span.attributes, a.INVOCATION).get("stream"))
    if said is not None:
        return said == "true"
    return True if span.first_token_ns else None


def _time_to_first_token(span: Span) -> int | None:
    """Milliseconds."""
    for name in a.TIME_TO_FIRST_TOKEN:
        seconds = span.attributes.get(name)
        if isinstance(seconds, int | float) and 0 <= seconds <= MAX_COUNT / 1000:
            return round(seconds * 1000)
    if span.first_token_ns and span.first_token_ns >= span.started_ns:
        return min(round((span.first_token_ns - span.started_ns) / 1e6), MAX_COUNT)
    return None

"""POST /v1/litellm: what LiteLLM's generic HTTP callback sends (its StandardLoggingPayload), as it is sent.

Only the fields named here are ever decoded. Messages, answers, parameters, addresses and error texts are not: they
cannot be stored by mistake. LiteLLM has everybody's usage in OpenAI's shape, with cached tokens inside the prompt.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, structs
from starlette.requests import Request
from starlette.responses import Response

from accounts.models import Scope
from core.errors import ApiError
from metering.door import admission, granted, recorder
from metering.events import Usage, UsageEvent
from metering.ingest.api import answer, content_type_of
from metering.ingest.batch import Parsed, json_body, not_json, problem_of, split_lines, split_list
from metering.ingest.document import (
    LONGEST_NAME,
    LONGEST_TAG,
    LONGEST_TAG_NAME,
    MOST_TAGS,
    Chat,
    EventDocument,
    RefusedError,
    fitting_id,
    has_nul,
    status_of_http,
    to_event,
)
from metering.ingest.litellm_payload import (
    BATCH_CALLS,
    ENDPOINTS,
    RAW,
    Answer,
    ErrorInformation,
    Metadata,
    Payload,
    answer_in,
    decode_payload,
    mending,
)
from metering.pipeline import Sender
from metering.store.base import Problem

# LiteLLM calls everything application/json, lines too.
_TYPES = ("application/json", "application/x-ndjson", "application/jsonl")
INTEGRATION = "litellm"

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


async def callback(request: Request) -> Response:
    grant = await granted(request, Scope.USAGE_WRITE)
    received_at = dt.datetime.now(dt.UTC)
    ledger = recorder(request)
    content_type = content_type_of(request)
    if content_type not in _TYPES:
        raise ApiError(415, "unsupported_type", f"Content-Type is one of {', '.join(_TYPES)}.")
    directory = await ledger.keyring.directory(grant.organization_id)
    # A key of one project writes to that one, whatever projects LiteLLM has.
    projects: Container[str] = () if grant.project_id else directory.projects
    async with ledger.intake.take(request) as body:
        parsed = parse(body, projects, received_at)
        sound = [one.event for one in parsed if one.event is not None]
        rated = await ledger.record(grant.organization_id, Sender.of(grant), sound, received_at)
        return answer(
            parsed,
            rated,
            with_results=request.query_params.get("results") != "none",
            request_id=request.state.id,
            on_wrong=partial(ledger.refused.note, grant.organization_id, grant.key_id),
            limits_exceeded=await admission(request).exceeded(grant.organization_id),
        )


def parse(body: bytes, projects: Container[str], received_at: dt.datetime) -> list[Parsed]:
    """A list of payloads, one, or one a line. Raises ApiError 400 where the body is none of these, 413 for too many."""
    with json_body(body):
        if body.lstrip()[:1] == b"[":
            items = mending(split_list, body)
            return [_parse_one(bytes(item), projects, received_at) for item in items]
        lines = list(split_lines(body))
        if _is_one_document(body, len(lines)):
            return [_parse_one(body, projects, received_at)]
    parsed = []
    for number, line in lines:
        try:
            parsed.append(_parse_one(line, projects, received_at))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            parsed.append(Parsed(problem=not_json(number, error)))
    return parsed


def _is_one_document(body: bytes, lines: int) -> bool:
    """Raises msgspec.DecodeError for a single line that is no JSON."""
    try:
        mending(RAW.decode, body)
    except msgspec.DecodeError:
        if lines <= 1:
            raise
        return False
    return True


def _parse_one(item: bytes, projects: Container[str], received_at: dt.datetime) -> Parsed:
    try:
        payload = decode_payload(item)
    except msgspec.ValidationError as error:
        return Parsed(problem=problem_of(error))
    found = Answer() if payload.status == "failure" else answer_in(payload.response)
    usage = _usage_in(payload, found)
    event_id = _event_id(payload)
    reason = _reason_to_ignore(payload, usage)
    if reason is not None:
        return Parsed(event_id=event_id, ignored=reason)
    if has_nul(usage):
        return Parsed(event_id=event_id, problem=Problem("nul_character", "The usage object holds U+0000.", "metadata"))
    tags, warnings = _tags(payload, projects)
    try:
        document = _document(payload, found, usage, event_id, tags, projects)
        event, notes = to_event(document, received_at)
    except RefusedError as error:
        return Parsed(event_id=event_id, problem=error.problem)
    return Parsed(event=_with_units(event, usage), event_id=event_id, warnings=warnings + notes)


def _document(
    payload: Payload,
    found: Answer,
    usage: dict[str, Any] | None,
    event_id: str,
    tags: dict[str, Any],
    projects: Container[str],
) -> EventDocument:
    """The payload as an event of ours. Raises RefusedError where it names no model or no possible time."""
    metadata = payload.metadata or Metadata()
    error = payload.error_information or ErrorInformation()
    is_error = payload.status == "failure"
    provider = _word(payload.custom_llm_provider) or _word(error.llm_provider)
    model = _model(payload, provider)
    if model is None:
        raise RefusedError("missing_field", "model is required.", "model")
    project = _project(metadata)
    session = _word(payload.session_id)
    is_batch = payload.name in BATCH_CALLS
    choices = found.choices or []
    code = _word(str(error.error_code)) if isinstance(error.error_code, int | str) else None
    return EventDocument(
        model=model,
        id=event_id,
        occurred_at=_moment(payload.started_at),
        provider=provider,
        endpoint=ENDPOINTS.get(payload.name),
        usage=UNSET if usage is None and is_error else usage,
        user=_word(metadata.user_api_key_user_email) or _word(metadata.user_api_key_user_id),
        project=project if project in projects else None,
        chat=Chat(session) if session else None,
        integration=INTEGRATION,
        end_user=_end_user(payload, metadata),
        status=_status(code) if is_error else "ok",
        error_code=(code or _word(error.error_class)) if is_error else None,
        duration_ms=_milliseconds(payload.started_at, payload.ended_at),
        time_to_first_token_ms=_time_to_first_token(payload),
        streamed=bool(payload.stream),
        finish_reason=_word(choices[0].finish_reason) if choices else None,
        service_tier="batch" if is_batch else _word(found.service_tier),
        tags=tags or None,
    )


# ── One by one ──


def _event_id(payload: Payload) -> str:
    """The provider's id of its answer. A failure has only the request's, which a second attempt may have as well."""
    own_id = payload.id.replace("\0", "")
    if payload.status == "failure":
        own_id = f"{own_id}@{payload.started_at:.6f}"
    return fitting_id(own_id)


def _reason_to_ignore(payload: Payload, usage: Mapping[str, Any] | None) -> str | None:
    """Why a payload is no call to a model, if so."""
    if payload.cache_hit is True:
        return "answered from LiteLLM's cache: no model was called and nothing is to be paid"
    if usage is None and payload.name not in ENDPOINTS:
        return f"{payload.call_type[:LONGEST_NAME]} without a usage is no call to a model"
    return None


def _usage_in(payload: Payload, found: Answer) -> dict[str, Any] | None:
    """LiteLLM's usage object, or None where it counted nothing: it writes 0 for what the provider did not say."""
    own = payload.metadata.usage_object if payload.metadata else None
    given = own or found.usage or {name: getattr(payload, name) for name in _COUNTS}
    return given if any(_is_said(value) for value in given.values()) else None


def _is_said(value: Any) -> bool:
    """Whether a count, or one inside of a section, is other than 0."""
    if isinstance(value, dict):
        return any(_is_said(inner) for inner in value.values())
    return isinstance(value, int | float) and value != 0


def _with_units(event: UsageEvent, usage: Mapping[str, Any] | None) -> UsageEvent:
    """The event with what LiteLLM counts beside the tokens: web searches, and images that are sold by the piece."""
    if usage is None:
        return event
    counts = event.usage or Usage()
    searches = max(
        _unit(usage.get("server_tool_use"), "web_search_requests"),
        _unit(usage.get("prompt_tokens_details"), "web_search_requests"),
    )
    images = 0 if counts.total_tokens else _unit(usage, "output_image_count")
    if not searches and not images:
        return event
    return structs.replace(event, usage=structs.replace(counts, web_searches=searches, images=images))


def _unit(section: Any, name: str) -> int:
    found = section.get(name) if isinstance(section, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 2**31 else 0


def _model(payload: Payload, provider: str | None) -> str | None:
    """The provider's name of the model, without the provider that LiteLLM may put before it."""
    model = _word(payload.model) or _word(payload.model_group)
    return model.removeprefix(f"{provider}/") or None if model else None


def _project(metadata: Metadata) -> str | None:
    return _word(metadata.user_api_key_project_alias) or _word(metadata.user_api_key_project_id)


def _end_user(payload: Payload, metadata: Metadata) -> str | None:
    """Without the proxy LiteLLM has it among the parameters only."""
    given = _word(payload.end_user) or _word(metadata.user_api_key_end_user_id)
    return given or (_word(payload.model_parameters.user) if payload.model_parameters else None)


def _status(code: str | None) -> str:
    return status_of_http(int(code)) if code and code.isascii() and code.isdigit() and len(code) == 3 else "error"


def _moment(seconds: float) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise RefusedError("invalid_time", "startTime is no time in seconds since 1970.", "startTime") from error


def _milliseconds(start: float, end: float | None) -> float | None:
    """From one time to another, None where that is no duration."""
    duration = None if end is None else (end - start) * 1000
    return duration if duration is not None and 0 <= duration < 2**31 else None


def _time_to_first_token(payload: Payload) -> float | None:
    """Known for streams alone: of anything else LiteLLM gives the end."""
    return _milliseconds(payload.started_at, payload.first_token_at) if payload.stream else None


def _tags(payload: Payload, projects: Container[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(tags, warnings). `name:value` is one tag, a word alone is true. What LiteLLM knows has its name before."""
    metadata = payload.metadata or Metadata()
    project = _project(metadata)
    own = {
        "litellm_team": _word(metadata.user_api_key_team_alias) or _word(metadata.user_api_key_team_id),
        "litellm_key": _word(metadata.user_api_key_alias),
        "litellm_organization": _word(metadata.user_api_key_org_alias) or _word(metadata.user_api_key_org_id),
        "litellm_project": None if project in projects else project,
        "litellm_model_group": _word(payload.model_group),
    }
    tags: dict[str, Any] = {name: text[:LONGEST_TAG] for name, text in own.items() if text}
    given = payload.request_tags if isinstance(payload.request_tags, list) else []
    left_out = 0
    for tag in given:
        name, _, value = tag.partition(":") if isinstance(tag, str) else ("", "", "")
        name, value = _clean(name), _clean(value) or "true"
        if not name or len(name) > LONGEST_TAG_NAME or (name not in tags and len(tags) >= MOST_TAGS):
            left_out += 1
        elif name not in own:
            tags[name] = value[:LONGEST_TAG]
    return tags, (f"{left_out} of request_tags do not fit and were left out",) if left_out else ()


def _word(value: Any) -> str | None:
    """A filled text, as long as a name may be; LiteLLM's users cannot mend what is longer."""
    return (_clean(value)[:LONGEST_NAME] or None) if isinstance(value, str) else None


def _clean(text: str) -> str:
    return text.replace("\0", "").strip()

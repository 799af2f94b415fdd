"""POST /v1/events: a request to events, and what became of them to an answer."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from accounts.models import Scope
from core.errors import ApiError, error_body
from core.money import usd_text
from metering.door import admission, granted, json_response, recorder
from metering.ingest import cloudevents
from metering.ingest.batch import Parsed, parse_json, parse_ndjson
from metering.pipeline import Rated, Sender
from metering.pricing.rate import Pricing
from metering.store.base import Outcome, Problem
from metering.telemetry import count_unreadable

_PARSERS = {
    "application/json": parse_json,
    "application/x-ndjson": parse_ndjson,
    "application/jsonl": parse_ndjson,
    cloudevents.STRUCTURED: cloudevents.parse_structured,
    cloudevents.BATCHED: cloudevents.parse_batch,
    # What curl says of any -d body when nobody tells it otherwise.
    "application/x-www-form-urlencoded": parse_json,
}
PRICING: dict[int, str] = {Pricing.PRICED: "priced", Pricing.FREE: "free", Pricing.UNPRICED: "unpriced"}


async def events(request: Request) -> Response:
    grant = await granted(request, Scope.USAGE_WRITE)
    received_at = dt.datetime.now(dt.UTC)
    query = request.query_params if request.scope["query_string"] else {}
    ledger = recorder(request)
    async with ledger.intake.take(request) as body:
        parsed = read(request, body, query, received_at)
        sound = [one.event for one in parsed if one.event is not None]
        rated = await ledger.record(grant.organization_id, Sender.of(grant), sound, received_at)
        return answer(
            parsed,
            rated,
            with_results=query.get("results") != "none",
            request_id=request.state.id,
            on_wrong=partial(ledger.refused.note, grant.organization_id, grant.key_id),
            limits_exceeded=await admission(request).exceeded(grant.organization_id, grant.project_id),
        )


def read(request: Request, body: bytes, query: Mapping[str, str], received_at: dt.datetime) -> list[Parsed]:
    """The events of a request, each understood or with its problem. Raises ApiError where the whole is wrong."""
    content_type = content_type_of(request)
    is_strict = query.get("strict", "").lower() in ("1", "true")
    if cloudevents.is_binary(request.headers, content_type):
        return cloudevents.parse_binary(request.headers, body, is_strict=is_strict, received_at=received_at)
    parser = _PARSERS.get(content_type)
    if parser is None:
        raise ApiError(
            415, "unsupported_type", f"Content-Type is one of {', '.join(_PARSERS)}; this is {content_type[:100]!r}."
        )
    parsed = parser(body, is_strict=is_strict, received_at=received_at)
    # A batch of CloudEvents may be empty, says their specification.
    if not parsed and content_type != cloudevents.BATCHED:
        raise ApiError(422, "empty_batch", "There is no event in the body.")
    return parsed


def content_type_of(request: Request) -> str:
    """The media type of a request's body, without parameters."""
    return request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


class Result(msgspec.Struct, omit_defaults=True):
    """What became of one event, as the answer tells it. Absent is left out; a null cost is unknown."""

    index: int
    id: str | None
    status: Outcome
    pricing: str | UnsetType = UNSET
    cost_usd: str | UnsetType | None = UNSET
    error: Problem | UnsetType = UNSET
    warnings: tuple[str, ...] = ()
    reason: str | UnsetType = UNSET


def answer(
    parsed: Sequence[Parsed],
    rated: Sequence[Rated],
    *,
    with_results: bool,
    request_id: str,
    on_wrong: Callable[[str, str], None],
    limits_exceeded: Sequence[str] = (),
) -> Response:
    """200 when all are fine, 207 when some are not, 422 when none is. What has happened is not refused for a limit.

    `on_wrong` is told the code and the message of each that is invalid or contradicts what is stored.
    """
    outcomes = iter(rated)
    results = [
        _result(index, one, next(outcomes) if one.event is not None else None) for index, one in enumerate(parsed)
    ]
    counts = Counter(one.status for one in results)
    count_unreadable(len(parsed) - len(rated) - counts[Outcome.IGNORED])
    for one in results:
        if one.status in (Outcome.INVALID, Outcome.CONFLICT) and isinstance(one.error, Problem):
            on_wrong(one.error.code, one.error.message)
    wrong = counts[Outcome.INVALID] + counts[Outcome.CONFLICT]
    body: dict[str, Any] = {
        "created": counts[Outcome.CREATED],
        "duplicates": counts[Outcome.DUPLICATE],
        "conflicts": counts[Outcome.CONFLICT],
        "invalid": counts[Outcome.INVALID],
    }
    if counts[Outcome.IGNORED]:
        body["ignored"] = counts[Outcome.IGNORED]
    if limits_exceeded:
        body["limits_exceeded"] = limits_exceeded
    if with_results:
        body["results"] = results
    elif wrong:
        body["results"] = [one for one in results if one.status in (Outcome.INVALID, Outcome.CONFLICT)]
    is_all_wrong = 0 < wrong == len(parsed)
    if is_all_wrong:
        first = results[0].error
        assert isinstance(first, Problem)  # noqa: S101 (nothing is wrong without a reason)
        message = f"None of the events was stored. First: {first.message}"
        body |= error_body(422, first.code, message, first.param, request_id)
    return json_response(body, 422 if is_all_wrong else 207 if wrong else 200)


def _result(index: int, parsed: Parsed, rated: Rated | None) -> Result:
    if parsed.ignored is not None:
        return Result(index, parsed.event_id, Outcome.IGNORED, warnings=parsed.warnings, reason=parsed.ignored)
    if rated is None:
        return Result(index, parsed.event_id, Outcome.INVALID, error=parsed.problem or UNSET, warnings=parsed.warnings)
    row, appended = rated.row, rated.appended
    if row is None or appended is None:
        return Result(index, parsed.event_id, Outcome.INVALID, error=rated.problem or UNSET, warnings=parsed.warnings)
    if appended.outcome is Outcome.CREATED:
        cost = usd_text(row.cost_nanos)
        return Result(index, parsed.event_id, Outcome.CREATED, PRICING[row.pricing], cost, UNSET, parsed.warnings)
    problem = appended.problem or UNSET
    return Result(index, parsed.event_id, appended.outcome, error=problem, warnings=parsed.warnings)

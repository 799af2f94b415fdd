"""POST /v1/events: a request to events, and what became of them to an answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from core.errors import ApiError, error_body
from core.money import usd_text
from metering.ingest.batch import Parsed, parse_json, parse_ndjson
from metering.pipeline import Rated
from metering.pricing.rate import Pricing
from metering.store.base import Outcome, Problem

_PARSERS = {
    "application/json": parse_json,
    "application/x-ndjson": parse_ndjson,
    "application/jsonl": parse_ndjson,
    # What curl says of any -d body when nobody tells it otherwise.
    "application/x-www-form-urlencoded": parse_json,
}
_PRICING = {Pricing.PRICED: "priced", Pricing.FREE: "free", Pricing.UNPRICED: "unpriced"}


def read(request: Request, body: bytes, received_at: dt.datetime) -> list[Parsed]:
    """The events of a request, each understood or with its problem. Raises ApiError where the whole is wrong."""
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    parser = _PARSERS.get(content_type)
    if parser is None:
        raise ApiError(
            415, "unsupported_type", f"Content-Type is one of {', '.join(_PARSERS)}; this is {content_type[:100]!r}."
        )
    is_strict = request.query_params.get("strict", "").lower() in ("1", "true")
    parsed = parser(body, is_strict=is_strict, received_at=received_at)
    if not parsed:
        raise ApiError(422, "empty_batch", "There is no event in the body.")
    return parsed


def answer(parsed: Sequence[Parsed], rated: Sequence[Rated], *, with_results: bool, request_id: str) -> Response:
    """200 when all are fine, 207 when some are not, 422 when none is."""
    counts = dict.fromkeys(Outcome, 0)
    results: list[dict[str, Any]] = []
    outcomes = iter(rated)
    for index, one in enumerate(parsed):
        result = _result(index, one, next(outcomes) if one.event is not None else None)
        status = result["status"]
        counts[status] += 1
        if with_results or status in (Outcome.INVALID, Outcome.CONFLICT):
            results.append(result)
    wrong = counts[Outcome.INVALID] + counts[Outcome.CONFLICT]
    body: dict[str, Any] = {
        "created": counts[Outcome.CREATED],
        "duplicates": counts[Outcome.DUPLICATE],
        "conflicts": counts[Outcome.CONFLICT],
        "invalid": counts[Outcome.INVALID],
    }
    if with_results or results:
        body["results"] = results
    if wrong == len(parsed):
        first: Problem = _problem_of(results[0])
        message = f"None of the events was stored. First: {first.message}"
        body |= error_body(422, first.code, message, first.param, request_id)
    return json_response(body, 422 if wrong == len(parsed) else 207 if wrong else 200)


def _result(index: int, parsed: Parsed, rated: Rated | None) -> dict[str, Any]:
    problem = parsed.problem
    result: dict[str, Any] = {"index": index, "id": parsed.event_id, "status": Outcome.INVALID}
    if rated is not None:
        result["status"] = rated.outcome
        problem = rated.problem or (rated.appended.problem if rated.appended else None)
        if rated.row is not None and rated.outcome is Outcome.CREATED:
            result["pricing"] = _PRICING[Pricing(rated.row.pricing)]
            result["cost_usd"] = usd_text(rated.row.cost_nanos)
    if problem is not None:
        result["error"] = problem
    if parsed.warnings:
        result["warnings"] = parsed.warnings
    return result


def _problem_of(result: Mapping[str, Any]) -> Problem:
    problem: Problem = result["error"]
    return problem


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")

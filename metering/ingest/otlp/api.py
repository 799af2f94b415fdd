"""POST /v1/traces, /v1/metrics and /v1/logs: OTLP/HTTP, whose rules of answering these are.

What was refused of a request that can be read is counted in `partial_success`, and is not to be sent again; a status
of 4xx or 5xx speaks of the whole. Errors come as OTLP wants them to callers in protobuf (google.rpc.Status), and in
this API's own shape to callers in JSON, who are more often people trying something out than exporters.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import wraps

from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from accounts.models import Scope
from core.errors import ApiError
from metering.door import granted, recorder
from metering.ingest.otlp import wire
from metering.ingest.otlp.recording import Reading, read, record
from metering.pipeline import Sender

Endpoint = Callable[[Request], Awaitable[Response]]
_MOST_NOTES = 5


def _refusing(endpoint: Endpoint) -> Endpoint:
    """Errors in protobuf for those who speak it."""

    @wraps(endpoint)
    async def refusing(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ApiError as error:
            if not request.headers.get("content-type", "").startswith(wire.PROTOBUF):
                raise
            return wire.refusal(error)

    return refusing


@_refusing
async def traces(request: Request) -> Response:
    grant = await granted(request, Scope.USAGE_WRITE)
    received_at = dt.datetime.now(dt.UTC)
    encoding = wire.content_type(request)
    ledger = recorder(request)
    async with ledger.intake.take(request) as body:
        # In a thread: ten thousand spans take a second, in which others are to be answered.
        reading = await asyncio.to_thread(_reading, body, encoding, received_at)
        notes = await record(ledger, grant.organization_id, Sender.of(grant), reading.seen, received_at)
    rejected = reading.refused.total()
    return wire.answer(encoding, rejected=rejected, message=_message(reading.refused + notes))


def _reading(body: bytes, encoding: str, received_at: dt.datetime) -> Reading:
    return read(wire.read_spans(body, encoding), received_at)


async def _ignore(request: Request, message: type[Message]) -> Response:
    """Taken and not looked at: exporters send all signals to one address, and would log errors for ever."""
    await granted(request, Scope.USAGE_WRITE)
    encoding = wire.content_type(request)
    async with recorder(request).intake.take(request) as body:
        wire.check(body, encoding, message)
    return wire.answer(encoding)


@_refusing
async def metrics(request: Request) -> Response:
    return await _ignore(request, wire.METRICS)


@_refusing
async def logs(request: Request) -> Response:
    return await _ignore(request, wire.LOGS)


def _message(notes: Counter[str]) -> str:
    """What a sender should know, the most frequent first."""
    said = [f"{count} × {note}" for note, count in notes.most_common(_MOST_NOTES)]
    more = len(notes) - len(said)
    return " ".join([*said, f"And {more} more."] if more > 0 else said)

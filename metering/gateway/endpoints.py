"""The gateway's addresses: check, hold, forward, settle.

key → call → rates → hold → upstream ─┬─ refused by us:  nothing is forwarded
                                      ├─ whole answer:   to the client, then to the ledger
                                      └─ stream:         to the client chunk by chunk, then to the ledger
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache, partial

from prometheus_client import Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from accounts.models import Scope
from core.errors import ApiError
from metering import telemetry
from metering.door import granted, recorder
from metering.gateway import outcome
from metering.gateway.answers import StreamedAnswer, WholeAnswer, leave, passed_headers
from metering.gateway.calls import ENDPOINTS, Call, Endpoint, read_call
from metering.gateway.gateway import Gateway, Passage
from metering.gateway.listing import list_models, show_model
from metering.gateway.streams import StreamReader
from metering.gateway.upstream import BROKEN, Answered, NoUpstreamError, ask, drain
from metering.gateway.upstream import passed_headers as upstream_headers
from metering.gateway.upstreams import read_upstreams, routes_for
from metering.pipeline import Sender

MIB = 1024 * 1024
# Recordings to transcribe are the largest that providers take.
MOST_BYTES = 32 * MIB
MOST_ANSWER_BYTES = 128 * MIB


async def forward(endpoint: Endpoint, request: Request) -> Response:
    began = time.perf_counter()
    at = dt.datetime.now(dt.UTC)
    grant = await granted(request, Scope.GATEWAY)
    gateway: Gateway = request.app.state.gateway
    ledger = recorder(request)
    sender = Sender.of(grant)
    answer: Response | None = None
    async with ledger.intake.take(request, MOST_BYTES) as body:
        call = read_call(endpoint, request.headers, body)
    routes = routes_for(
        await ledger.keyring.about(grant.organization_id, read_upstreams), endpoint.protocol, call.model
    )
    if not routes:
        message = f"No upstream of this organization serves the model {call.model!r} on {endpoint.path}."
        raise ApiError(404, "model_not_found", message, param="model")
    passage = await gateway.admit(grant, sender, call, routes[0], at)
    leaving = asyncio.create_task(leave(request.receive)) if call.is_streamed else None
    try:
        headers = upstream_headers(request.headers, call.content_type)
        _seconds(telemetry.GATEWAY_ADDED_SECONDS, endpoint.path).observe(time.perf_counter() - began)
        with ledger.intake.keep(len(call.body)):
            answered = await _unless_left(ask(gateway.session, routes, call, headers), leaving)
        passage.forget_request()
        answer = await _answer(passage, call, answered, leaving)
    except NoUpstreamError as error:
        telemetry.GATEWAY_UPSTREAM_ERRORS.labels("timeout" if error.is_timeout else "unreachable").inc()
        passage.refused(error.route, error.status, error.code, error.attempts)
        error.headers = passage.headers
        raise
    except ClientDisconnect:
        passage.cancelled()
        raise
    except BaseException:
        # Whoever stops us here (a shutdown) leaves a call whose end nobody saw.
        passage.lost()
        raise
    finally:
        if leaving is not None and not isinstance(answer, StreamedAnswer):
            leaving.cancel()
    _seconds(telemetry.GATEWAY_UPSTREAM_SECONDS, endpoint.path).observe(answered.waited)
    return answer


async def _unless_left(asking: Coroutine[None, None, Answered], leaving: asyncio.Task[None] | None) -> Answered:
    """The upstream's answer. When the client of a stream goes before it, nobody asks on: ClientDisconnect."""
    if leaving is None:
        return await asking
    task = asyncio.create_task(asking)
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()


async def _answer(passage: Passage, call: Call, answered: Answered, leaving: asyncio.Task[None] | None) -> Response:
    response, route = answered.response, answered.route
    headers = passed_headers(response.raw_headers, passage.headers)
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    if response.status < 400 and is_stream and leaving is not None:
        reader = StreamReader(strips_usage=call.strips_usage)
        then = partial(passage.streamed, route, reader, answered.attempts)
        return StreamedAnswer(response, reader, call.endpoint.protocol, headers, leaving, then)
    try:
        body = await drain(response, MOST_ANSWER_BYTES)
    except BROKEN as error:
        response.close()
        telemetry.GATEWAY_UPSTREAM_ERRORS.labels("broken_off").inc()
        passage.refused(route, 502, "upstream_disconnected", answered.attempts)
        message = "The upstream broke off before its answer was complete."
        raise ApiError(502, "upstream_disconnected", message, headers=passage.headers) from error
    if response.status >= 400:
        telemetry.GATEWAY_UPSTREAM_ERRORS.labels("refused" if response.status < 500 else "failed").inc()
        code = outcome.error_code_of(body)
        return WholeAnswer(
            body, response.status, headers,
            lambda: passage.refused(route, response.status, code, answered.attempts),
        )  # fmt: skip
    return WholeAnswer(body, response.status, headers, lambda: passage.answered(route, body, answered.attempts))


@cache
def _seconds(histogram: Histogram, path: str) -> Histogram:
    return histogram.labels(path)


ROUTES: dict[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
    ("POST", path): partial(forward, endpoint) for path, endpoint in ENDPOINTS.items()
} | {
    ("GET", "/v1/models"): list_models,
    # Names may have slashes in them.
    ("GET", "/v1/models/{model:path}"): show_model,
}

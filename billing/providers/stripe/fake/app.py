"""The server: which address is answered by what, and what holds for every call of the API."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from billing.providers.stripe.fake import (
    calls,
    catalog,
    checkout,
    clocks,
    customers,
    events,
    hosted,
    invoices,
    payments,
    portal,
    settling,
    subscriptions,
)
from billing.providers.stripe.fake.calls import API_VERSION, Call, Handler
from billing.providers.stripe.fake.errors import CardError, IdempotencyError, InvalidRequestError, StripeError
from billing.providers.stripe.fake.params import Params, nested
from billing.providers.stripe.fake.state import State

logger = structlog.get_logger(__name__)
_MOST_BYTES = 1024 * 1024


def _event(call: Call) -> dict[str, object]:
    call.params.close()
    return call.get("event")


def _events(call: Call) -> dict[str, object]:
    wanted = call.params.text("type")
    call.params.skip("created")
    return calls.page(call, "event", lambda event: not wanted or event["type"] == wanted)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", "/v1/customers"): customers.create,
    ("GET", "/v1/customers"): customers.search,
    ("GET", "/v1/customers/{id}"): customers.retrieve,
    ("POST", "/v1/customers/{id}"): customers.update,
    ("DELETE", "/v1/customers/{id}"): customers.delete,
    ("GET", "/v1/customers/{id}/payment_methods"): customers.methods,
    ("POST", "/v1/payment_methods"): customers.create_method,
    ("GET", "/v1/payment_methods"): customers.methods,
    ("GET", "/v1/payment_methods/{id}"): customers.retrieve_method,
    ("POST", "/v1/payment_methods/{id}/attach"): customers.attach,
    ("POST", "/v1/payment_methods/{id}/detach"): customers.detach,
    ("POST", "/v1/payment_intents"): payments.create,
    ("GET", "/v1/payment_intents/{id}"): payments.retrieve,
    ("POST", "/v1/payment_intents/{id}/confirm"): payments.confirm,
    ("POST", "/v1/payment_intents/{id}/cancel"): payments.cancel,
    ("GET", "/v1/charges"): payments.charges,
    ("GET", "/v1/charges/{id}"): payments.retrieve_charge,
    ("POST", "/v1/refunds"): payments.refund,
    ("GET", "/v1/refunds"): payments.refunds,
    ("GET", "/v1/refunds/{id}"): payments.retrieve_refund,
    ("GET", "/v1/disputes"): payments.disputes,
    ("GET", "/v1/disputes/{id}"): payments.retrieve_dispute,
    ("POST", "/v1/disputes/{id}"): payments.answer_dispute,
    ("POST", "/v1/disputes/{id}/close"): payments.close_dispute,
    ("POST", "/v1/invoices"): invoices.create,
    ("GET", "/v1/invoices"): invoices.invoices,
    ("GET", "/v1/invoices/{id}"): invoices.retrieve,
    ("POST", "/v1/invoices/{id}"): invoices.update,
    ("DELETE", "/v1/invoices/{id}"): invoices.delete,
    ("GET", "/v1/invoices/{id}/lines"): invoices.lines,
    ("POST", "/v1/invoices/{id}/add_lines"): invoices.add_lines,
    ("POST", "/v1/invoices/{id}/finalize"): settling.finalize,
    ("POST", "/v1/invoices/{id}/pay"): settling.pay,
    ("POST", "/v1/invoices/{id}/void"): settling.void,
    ("POST", "/v1/invoices/{id}/mark_uncollectible"): settling.mark_uncollectible,
    ("POST", "/v1/invoices/{id}/send"): settling.send,
    ("POST", "/v1/invoiceitems"): invoices.add_item,
    ("POST", "/v1/credit_notes"): settling.credit,
    ("GET", "/v1/credit_notes"): settling.credits_of,
    ("GET", "/v1/credit_notes/{id}"): settling.retrieve_credit,
    ("POST", "/v1/products"): catalog.create_product,
    ("GET", "/v1/products/{id}"): catalog.retrieve_product,
    ("POST", "/v1/prices"): catalog.create_price,
    ("GET", "/v1/prices"): catalog.prices,
    ("POST", "/v1/subscriptions"): subscriptions.create,
    ("GET", "/v1/subscriptions"): subscriptions.subscriptions,
    ("GET", "/v1/subscriptions/{id}"): subscriptions.retrieve,
    ("POST", "/v1/subscriptions/{id}"): subscriptions.update,
    ("DELETE", "/v1/subscriptions/{id}"): subscriptions.cancel,
    ("POST", "/v1/billing/meters"): catalog.create_meter,
    ("GET", "/v1/billing/meters"): catalog.meters,
    ("GET", "/v1/billing/meters/{id}/event_summaries"): catalog.summaries,
    ("POST", "/v1/billing/meter_events"): catalog.add_meter_event,
    ("POST", "/v1/checkout/sessions"): checkout.create,
    ("GET", "/v1/checkout/sessions"): checkout.sessions,
    ("GET", "/v1/checkout/sessions/{id}"): checkout.retrieve,
    ("POST", "/v1/checkout/sessions/{id}/expire"): checkout.expire,
    ("GET", "/v1/setup_intents/{id}"): checkout.retrieve_setup_intent,
    ("POST", "/v1/billing_portal/sessions"): portal.create,
    ("POST", "/v1/billing_portal/configurations"): portal.create_configuration,
    ("GET", "/v1/billing_portal/configurations"): portal.configurations,
    ("POST", "/v1/webhook_endpoints"): events.create_endpoint,
    ("DELETE", "/v1/webhook_endpoints/{id}"): events.delete_endpoint,
    ("GET", "/v1/events"): _events,
    ("GET", "/v1/events/{id}"): _event,
    ("POST", "/v1/test_helpers/test_clocks"): clocks.create,
    ("GET", "/v1/test_helpers/test_clocks/{id}"): clocks.retrieve,
    ("POST", "/v1/test_helpers/test_clocks/{id}/advance"): clocks.advance,
}


async def answer(request: Request) -> Response:
    """Any call of the API: authenticated, replayed by its idempotency key, or handled in one transaction."""
    state: State = request.app.state.fake
    request_id = state.new_id("req")
    body = await request.body()
    try:
        handler = _handler(request)
        _check(request, body)
        form = nested((body.decode() or "") if request.method == "POST" else request.url.query)
        status, text, is_replayed = _handled(request, state, handler, form, request_id)
    except StripeError as error:
        status, text, is_replayed = error.status, json.dumps({"error": error.body}), False
    headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION}
    if key := request.headers.get("idempotency-key"):
        headers["Idempotency-Key"] = key
    if is_replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(text, status, headers, "application/json")


def _handler(request: Request) -> Handler:
    path = request.scope["tokenledger.path"]
    handler = HANDLERS.get((request.method, path))
    if handler is None:
        raise InvalidRequestError(f"Unrecognized request URL ({request.method}: {request.url.path}).", status=404)
    return handler


def _check(request: Request, body: bytes) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise InvalidRequestError("You did not provide an API key.", status=401)
    if not key.startswith(("sk_test_", "rk_test_")):
        raise InvalidRequestError("Invalid API Key provided: this server takes keys of test mode only.", status=401)
    if len(body) > _MOST_BYTES:
        raise InvalidRequestError("The request is too large.", status=413)


def _handled(
    request: Request, state: State, handler: Handler, form: dict[str, object], request_id: str
) -> tuple[int, str, bool]:
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    print_ = hashlib.sha256(json.dumps([request.url.path, form], sort_keys=True).encode()).hexdigest()
    if key and (before := state.remembered(key)):
        if before[0] != print_:
            raise IdempotencyError(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
        return before[1], before[2], True
    state.begin()
    try:
        status, text = _run(request, state, handler, form, request_id, key)
        if key:
            state.remember(key, print_, status, text)
    except BaseException:
        state.rollback()
        raise
    state.commit()
    return status, text, False


def _run(
    request: Request, state: State, handler: Handler, form: dict[str, object], request_id: str, key: str | None
) -> tuple[int, str]:
    base_url = str(request.base_url).rstrip("/")
    call = Call(state, Params(form), request.path_params.get("id", ""), base_url, request_id, key, request.url.path)
    try:
        made = handler(call)
    except CardError as refused:
        # What the bank refused has happened: intent, charge and events stay, and so does the answer.
        return refused.status, json.dumps({"error": calls.public(refused.body)})
    expand = form.get("expand", [])
    whole = calls.expanded(state, json.loads(json.dumps(made)), expand if isinstance(expand, list) else [])
    return 200, json.dumps(calls.public(whole))


def _route(method: str, path: str) -> Route:
    async def endpoint(request: Request) -> Response:
        request.scope["tokenledger.path"] = path
        return await answer(request)

    return Route(path, endpoint, methods=[method])


async def _unknown(request: Request) -> Response:
    message = f"Unrecognized request URL ({request.method}: {request.url.path})."
    return JSONResponse({"error": {"type": "invalid_request_error", "message": message}}, 404)


def build(path: Path | None = None, webhook: tuple[str, str] | None = None) -> Starlette:
    """The application; `webhook` is an endpoint's address and secret that listens to everything from the beginning."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        state = app.state.fake = State(path)
        if webhook is not None:
            for known in list(state.newest("webhook_endpoint", lambda endpoint: endpoint["url"] == webhook[0])):
                state.forget(known["id"])
            events.add_endpoint(state, webhook[0], ["*"], webhook[1])
        tasks = [asyncio.create_task(events.deliver_forever(state)), asyncio.create_task(_renew_forever(state))]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        state.close()

    pages = [
        Route("/c/pay/{id}", hosted.pay, methods=["GET", "POST"]),
        Route("/authenticate/{id}", hosted.authenticate, methods=["GET", "POST"]),
        Route("/i/{id}", hosted.invoice, methods=["GET", "POST"]),
        Route("/p/session/{id}", hosted.customer_portal, methods=["GET", "POST"]),
    ]
    routes = [_route(method, path) for method, path in HANDLERS]
    unknown = Route("/{path:path}", _unknown, methods=["GET", "POST", "DELETE", "PUT", "PATCH"])
    return Starlette(routes=[*routes, *pages, unknown], lifespan=lifespan)


async def _renew_forever(state: State) -> None:
    """Subscriptions of customers without a test clock renew as the machine's time passes."""
    while True:
        due = subscriptions.next_due(state, None)
        if due is not None and due[0] <= state.now():
            _act(state, due[1])
        else:
            await asyncio.sleep(1)


def _act(state: State, subscription: str) -> None:
    state.begin()
    try:
        subscriptions.act(Call(state, Params({}), "", "", state.new_id("req")), subscription)
    except BaseException:
        state.rollback()
        raise
    state.commit()

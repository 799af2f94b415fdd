"""The addresses of the hosted pages: they read a form, let the customer's part happen, and lead back."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from billing.providers.stripe.fake import checkout, pages, payments, portal, subscriptions
from billing.providers.stripe.fake.calls import Call
from billing.providers.stripe.fake.errors import CardError, StripeError
from billing.providers.stripe.fake.params import Params
from billing.providers.stripe.fake.state import Document, State


def _call(request: Request, id: str) -> Call:  # noqa: A002
    state: State = request.app.state.fake
    return Call(state, Params({}), id, str(request.base_url).rstrip("/"), state.new_id("req"))


async def _form(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def _done(call: Call, act: Callable[[], Document]) -> tuple[Document | None, str]:
    """What the act made, or the bank's words: a refusal is stored as everything else, a mistake is not."""
    call.state.begin()
    try:
        made = act()
    except CardError as refused:
        call.state.commit()
        return None, str(refused)
    except StripeError as wrong:
        call.state.rollback()
        return None, str(wrong)
    except BaseException:
        call.state.rollback()
        raise
    call.state.commit()
    return made, ""


async def pay(request: Request) -> Response:
    call = _call(request, request.path_params["id"])
    session = call.state.find(call.id)
    if session is None or session["object"] != "checkout.session":
        return _lost()
    if session["status"] != "open" or session["expires_at"] <= call.now():
        return HTMLResponse(pages.frame("This page has ended", "<p>It was used already, or its time is over.</p>"), 410)
    error = ""
    if request.method == "POST":
        form = await _form(request)
        made, error = _done(call, lambda: checkout.complete(call, session, checkout.typed_card(call, form)))
        if made is not None:
            return _after(call, session, made)
    is_payment = session["mode"] == "payment"
    rows = [(entry["name"], pages.amount(entry["amount"], entry["currency"])) for entry in session["_entries"]]
    title = f"Pay {pages.amount(session['amount_total'], session['currency'])}" if is_payment else "Save a card"
    return HTMLResponse(
        pages.card_form(title, rows, "Pay" if is_payment else "Save card", error, session["cancel_url"]),
        402 if error else 200,
    )


def _after(call: Call, session: Document, made: Document) -> Response:
    if made["object"] == "payment_intent":
        call.state.put(made | {"_session": session["id"]})
        return RedirectResponse(made["next_action"]["redirect_to_url"]["url"], 303)
    return RedirectResponse(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]), 303)


async def authenticate(request: Request) -> Response:
    call = _call(request, request.path_params["id"])
    intent = call.state.find(call.id)
    if intent is None or intent["object"] != "payment_intent" or intent["status"] != "requires_action":
        return _lost()
    if request.method == "GET":
        return HTMLResponse(pages.question(f"Pay {pages.amount(intent['amount'], intent['currency'])}"))
    session = call.state.find(intent.get("_session", "")) if intent.get("_session") else None
    if (await _form(request)).get("answer") != "yes":
        _done(call, lambda: _failed(call, intent))
        return RedirectResponse((session or {}).get("url") or str(request.base_url), 303)
    made, error = _done(call, lambda: _confirmed(call, intent, session))
    if made is None or session is None:
        return HTMLResponse(pages.frame("Payment", f"<p>{error or 'Paid. You can close this page.'}</p>"))
    return _after(call, session, session)


def _failed(call: Call, intent: Document) -> Document:
    intent |= {
        "status": "requires_payment_method",
        "next_action": None,
        "last_payment_error": {
            "type": "card_error",
            "code": "payment_intent_authentication_failure",
            "message": "We are unable to authenticate your payment method.",
        },
    }
    call.state.put(intent)
    call.emit("payment_intent.payment_failed", intent)
    return intent


def _confirmed(call: Call, intent: Document, session: Document | None) -> Document:
    payments.confirm_with(call, intent, is_off_session=False, is_authenticated=True)
    if session is not None:
        session |= {"status": "complete", "payment_status": "paid", "payment_intent": intent["id"]}
        session["customer"] = intent["customer"]
        call.state.put(session)
        call.emit("checkout.session.completed", session)
    return intent


async def invoice(request: Request) -> Response:
    call = _call(request, request.path_params["id"])
    found = call.state.find(call.id)
    if found is None or found["object"] != "invoice":
        return _lost()
    error = ""
    if request.method == "POST" and found["status"] == "open":
        form = await _form(request)
        _, error = _done(call, lambda: checkout.pay_invoice(call, checkout.typed_card(call, form)))
        found = call.get("invoice")
    rows = [
        (line["description"] or "", pages.amount(line["amount"], line["currency"])) for line in found["lines"]["data"]
    ]
    rows.append(("Total", pages.amount(found["total"], found["currency"])))
    title = f"Invoice {found['number']}"
    if found["status"] != "open":
        return HTMLResponse(pages.frame(title, f"<p>This invoice is {found['status']}.</p>"))
    return HTMLResponse(pages.card_form(title, rows, "Pay", error), 402 if error else 200)


async def customer_portal(request: Request) -> Response:
    call = _call(request, request.path_params["id"])
    session = call.state.find(call.id)
    if session is None or session["object"] != "billing_portal.session":
        return _lost()
    error = ""
    if request.method == "POST":
        form = await _form(request)
        _, error = _done(call, lambda: _changed(call, session, form))
        if not error:
            return RedirectResponse(str(request.url), 303)
    customer = call.get("customer", session["customer"])
    methods = list(call.state.newest("payment_method", lambda m: m["customer"] == customer["id"]))
    invoices = list(call.state.newest("invoice", lambda i: i["customer"] == customer["id"]))
    plans = subscriptions.live(call.state, customer["id"])
    body = pages.portal(
        customer, methods, plans, invoices, session["return_url"], error, may_cancel=portal.may_cancel(call, session)
    )
    return HTMLResponse(body, 402 if error else 200)


def _changed(call: Call, session: Document, form: dict[str, str]) -> Document:
    portal.act(call, session, form, checkout.typed_card(call, form) if form.get("do") == "add" else None)
    return session


def _lost() -> Response:
    return HTMLResponse(pages.frame("Nothing here", "<p>This address leads nowhere.</p>"), 404)

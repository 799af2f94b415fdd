"""Credits that are bought: charged to the default card, or paid on Stripe's page; and what goes back of it."""

from __future__ import annotations

import datetime as dt

import stripe
import structlog
from django.urls import reverse

from billing.credits import purchases
from billing.invoices.telling import money
from billing.models import StripeCustomer, StripeDispute, TopUp, TopUpStatus
from billing.providers.stripe.connection import BY, connected
from billing.providers.stripe.customers import customer_of
from billing.providers.stripe.recording import NO_REASON
from core.errors import ApiError
from core.facts import Fact, tell
from core.money import nanos_from_minor_units
from core.tenancy import organization_scope

logger = structlog.get_logger(__name__)

NANOS_PER_CENT = 10_000_000


def pay(top_up: TopUp, at: dt.datetime) -> None:
    """Charge the card, and the credits are there; refused, it has failed and is told. Without a card it stays due.

    What Stripe does not take as it is asked for is refused, too. Raises stripe.StripeError when Stripe cannot be asked.
    """
    organization = top_up.organization
    with organization_scope(organization.pk):
        customer = StripeCustomer.objects.exclude(method_id="").first()
        is_due = TopUp.objects.filter(pk=top_up.pk, status=TopUpStatus.DUE, charges_card=True).exists()
    if customer is None or not is_due:
        return
    cents = _cents(top_up)
    try:
        intent = connected().v1.payment_intents.create(
            {
                "amount": cents,
                "currency": "usd",
                "customer": customer.stripe_id,
                "payment_method": customer.method_id,
                "off_session": True,
                "confirm": True,
                "description": "Credits" if top_up.ordered_by_label else "Credits (auto top-up)",
                "metadata": {"top_up": str(top_up.pk)},
            },
            {"idempotency_key": _key("top-up", top_up)},
        )
    except stripe.CardError as error:
        _refused(top_up, cents, error.code or "", error.user_message or NO_REASON, at)
        return
    except stripe.InvalidRequestError as error:
        # It stays the same however often it is asked: a card or customer that is gone, an amount it does not take.
        logger.exception("stripe does not take a purchase", top_up=top_up.pk, organization_id=organization.pk)
        _refused(top_up, cents, error.code or "", error.user_message or NO_REASON, at)
        return
    if intent.status == "succeeded":
        _complete(top_up, intent.id, at)


def checkout_page(top_up: TopUp, *, back: str, done: str) -> str:
    """The address of Stripe's page that takes the money: one page a purchase, however often it is asked for."""
    metadata = {"top_up": str(top_up.pk)}
    session = connected().v1.checkout.sessions.create(
        {
            "mode": "payment",
            "customer": customer_of(top_up.organization).stripe_id,
            "line_items": [
                {
                    "price_data": {
                        "currency": "usd",
                        "product_data": {"name": "Credits"},
                        "unit_amount": _cents(top_up),
                    },
                    "quantity": 1,
                }
            ],
            "metadata": metadata,
            "payment_intent_data": {"description": "Credits", "metadata": metadata},
            "success_url": f"{done}?session={{CHECKOUT_SESSION_ID}}",
            "cancel_url": back,
        },
        {"idempotency_key": _key("checkout", top_up)},
    )
    return str(session.url)


def follow(intent: stripe.PaymentIntent, at: dt.datetime) -> TopUp | None:
    """What a payment intent says of a top-up. None for one of something else. Needs `unscoped`."""
    top_up = _named_by(intent)
    if top_up is not None and intent.status == "succeeded":
        _complete(top_up, intent.id, at)
    return top_up


def follow_checkout(session_id: str, at: dt.datetime) -> TopUp | None:
    """What a Checkout session says of a top-up: paid, or nobody came. None for one of something else.

    Needs `unscoped`.
    """
    api = connected()
    session = api.v1.checkout.sessions.retrieve(session_id, {"expand": ["payment_intent"]})
    top_up = _named_by(session)
    if top_up is None:
        return None
    intent = session.payment_intent
    if isinstance(intent, stripe.PaymentIntent) and intent.status == "succeeded":
        _complete(top_up, intent.id, at)
    elif session.status == "expired":
        purchases.withdraw(top_up, by=BY, at=at)
    return top_up


def of_payment(payment_id: str) -> TopUp | None:
    """The purchase that a payment of Stripe's has paid. Sees every organization's: needs `unscoped`."""
    found: TopUp | None = TopUp.objects.filter(payment_id=payment_id).first() if payment_id else None
    return found


def record_returns(top_up: TopUp, at: dt.datetime) -> None:
    """Money of its payment that went back, refunded or lost in a dispute: the credits that it bought go too."""
    refunds = connected().v1.refunds.list({"payment_intent": top_up.payment_id, "limit": 100})
    for refund in refunds.auto_paging_iter():
        if refund.status == "succeeded":
            _take_back(top_up, refund.amount, refund.id, at)
    with organization_scope(top_up.organization_id):
        lost = list(StripeDispute.objects.filter(payment_id=top_up.payment_id, status="lost").order_by("opened_at"))
    for dispute in lost:
        _take_back(top_up, dispute.amount, dispute.stripe_id, at)


def _take_back(top_up: TopUp, cents: int, source: str, at: dt.datetime) -> None:
    entry = purchases.return_payment(top_up, nanos_from_minor_units(cents), source, by=BY, at=at)
    if entry is None:
        logger.warning("refunded credits are used", organization_id=top_up.organization_id, refund=source, cents=cents)


def _named_by(thing: stripe.PaymentIntent | stripe.checkout.Session) -> TopUp | None:
    metadata = thing.metadata
    number = metadata["top_up"] if metadata is not None and "top_up" in metadata else ""
    customer = thing.customer if isinstance(thing.customer, str) else ""
    owner = StripeCustomer.objects.filter(stripe_id=customer).first()
    if not number.isdigit() or owner is None:
        return None
    top_up: TopUp | None = (
        TopUp.objects.select_related("organization").filter(pk=int(number), organization=owner.organization_id).first()
    )
    return top_up


def _complete(top_up: TopUp, payment_id: str, at: dt.datetime) -> None:
    try:
        purchases.complete(top_up, by=BY, payment_id=payment_id, at=at)
    except ApiError as surplus:
        if surplus.code != "already_paid":
            raise
        # It was paid by another way at the same time: what nobody owes goes back to the card.
        logger.warning("card payment given back", payment=payment_id, top_up=top_up.pk)
        connected().v1.refunds.create({"payment_intent": payment_id}, {"idempotency_key": f"surplus-{payment_id}"})
        return
    # A refund or dispute may be told before the payment that it is of.
    with organization_scope(top_up.organization_id):
        paid = TopUp.objects.get(pk=top_up.pk)
    record_returns(paid, at)


def _cents(top_up: TopUp) -> int:
    """A part of a cent is charged as a whole one."""
    return int(-(-top_up.amount_nanos // NANOS_PER_CENT))


def _key(what: str, top_up: TopUp) -> str:
    return f"tokenledger-{what}-{top_up.pk}-{top_up.due_at.timestamp():.0f}"


def _refused(top_up: TopUp, cents: int, code: str, message: str, at: dt.datetime) -> None:
    organization = top_up.organization
    with organization_scope(organization.pk):
        purchases.fail(top_up, at, reason=message)
        tell(
            Fact(
                "payment.failed",
                organization.pk,
                key=f"top-up:{top_up.pk}",
                happened_at=at,
                data={
                    "page": reverse("billing:credits", args=[organization.slug]),
                    "number": None,
                    "currency": "USD",
                    "amount": money(cents),
                    "attempt": 1,
                    "code": code,
                    "reason": message,
                    "next_retry_at": None,
                    "suspends_at": None,
                    "pay_url": "",
                },
            )
        )

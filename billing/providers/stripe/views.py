"""To Stripe's pages and back, and the address at which Stripe tells what happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import stripe
import structlog
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Organization
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from billing.models import TopUp, TopUpStatus
from billing.providers.stripe import customers, inbox, top_ups
from billing.providers.stripe.connection import is_connected
from billing.providers.stripe.portal import portal_page
from billing.providers.stripe.tasks import process_event
from core.errors import ApiError
from core.tenancy import unscoped
from metering.tasks import enqueue

logger = structlog.get_logger(__name__)


@require_POST
@require(Right.MANAGE_PAYMENT)
def card(request: OrganizationRequest) -> HttpResponseRedirect:
    """To the page that keeps a card."""
    slug = request.organization.slug
    done = request.build_absolute_uri(reverse("stripe:card-return", args=[slug]))
    with asking_stripe():
        address = customers.card_page(request.organization, back=request.build_absolute_uri(_home(slug)), done=done)
    return leave(address)


@require_GET
@require(Right.MANAGE_PAYMENT)
def card_return(request: OrganizationRequest) -> HttpResponseRedirect:
    """Back from that page: the card is there at once, whether or not Stripe has told of it yet."""
    if _adopt(request.GET.get("session", "")) == request.organization:
        messages.success(request, "The card was added. Invoices are paid with it from now on.")
    else:
        messages.error(request, "No card was added.")
    return redirect(_home(request.organization.slug))


@require_POST
@require(Right.MANAGE_PAYMENT)
def portal(request: OrganizationRequest) -> HttpResponseRedirect:
    """To the customer portal."""
    back = request.build_absolute_uri(_home(request.organization.slug))
    with asking_stripe():
        address = portal_page(request.organization, back=back, may_cancel=may(request.role, Right.MANAGE_PLAN))
    return leave(address)


@require_POST
@require(Right.MANAGE_PAYMENT)
def credits_pay(request: OrganizationRequest, top_up: int) -> HttpResponseRedirect:
    """To the page that takes the money of a purchase that is due."""
    due = TopUp.objects.filter(pk=top_up, status=TopUpStatus.DUE, charges_card=False).first()
    if due is None:
        raise Http404("no such purchase is due")
    return leave(checkout_address(request, due))


@require_GET
@require(Right.MANAGE_PAYMENT)
def credits_return(request: OrganizationRequest) -> HttpResponseRedirect:
    """Back from that page: the credits are there at once, whether or not Stripe has told of the money yet."""
    slug = request.organization.slug
    top_up = _follow(request.GET.get("session", ""))
    if top_up is None or top_up.organization_id != request.organization.pk:
        raise Http404("no such session")
    if TopUp.objects.get(pk=top_up.pk).status == TopUpStatus.PAID:
        messages.success(request, "Paid. The credits are there.")
    else:
        messages.info(request, "The payment is not there yet. The credits come with it.")
    return redirect("billing:credits", slug)


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Store what Stripe tells and answer at once; a worker does the rest."""
    if not is_connected():
        raise Http404("no key of Stripe's is set")
    try:
        stored = inbox.receive(request.body, request.headers.get("Stripe-Signature", ""))
    except ValueError as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain")
    if stored is not None:
        enqueue(process_event, stored.pk)
    return HttpResponse(status=200)


def _adopt(session: str) -> Organization | None:
    """Whose card was added; None for a session that is not done, or none at all."""
    with asking_stripe():
        try:
            return customers.adopt_card(session) if session.startswith("cs_") else None
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise
            return None


def _follow(session: str) -> TopUp | None:
    """The purchase a session is of; None for one of something else, or none at all."""
    with asking_stripe():
        try:
            with unscoped("whose session it is"):
                return top_ups.follow_checkout(session, now()) if session.startswith("cs_") else None
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise
            return None


@contextmanager
def asking_stripe() -> Iterator[None]:
    try:
        yield
    except stripe.StripeError as error:
        logger.exception("stripe did not answer as expected")
        raise ApiError(503, "payments_unavailable", "Stripe does not answer. Try again in a minute.") from error


def checkout_address(request: OrganizationRequest, top_up: TopUp) -> str:
    """Where the purchase is paid. Raises ApiError 503 when Stripe does not answer."""
    slug = request.organization.slug
    back, done = (
        request.build_absolute_uri(reverse(name, args=[slug])) for name in ("billing:credits", "stripe:credits-return")
    )
    with asking_stripe():
        return top_ups.checkout_page(top_up, back=back, done=done)


def _home(slug: str) -> str:
    return reverse("billing:plan", args=[slug])


def leave(address: str) -> HttpResponseRedirect:
    response = HttpResponseRedirect(address)
    response.status_code = 303
    return response

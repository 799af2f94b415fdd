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
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Organization
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from billing.providers.stripe import customers, inbox
from billing.providers.stripe.connection import is_connected
from billing.providers.stripe.tasks import process_event
from core.errors import ApiError
from metering.tasks import enqueue

logger = structlog.get_logger(__name__)


@require_POST
@require(Right.MANAGE_PAYMENT)
def card(request: OrganizationRequest) -> HttpResponseRedirect:
    """To the page that keeps a card."""
    slug = request.organization.slug
    done = request.build_absolute_uri(reverse("stripe:card-return", args=[slug]))
    with _asking_stripe():
        address = customers.card_page(request.organization, back=request.build_absolute_uri(_home(slug)), done=done)
    return _leave(address)


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
    with _asking_stripe():
        address = customers.portal_page(request.organization, back=back)
    return _leave(address)


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
    with _asking_stripe():
        try:
            return customers.adopt_card(session) if session.startswith("cs_") else None
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise
            return None


@contextmanager
def _asking_stripe() -> Iterator[None]:
    try:
        yield
    except stripe.StripeError as error:
        logger.exception("stripe did not answer as expected")
        raise ApiError(503, "payments_unavailable", "Stripe does not answer. Try again in a minute.") from error


def _home(slug: str) -> str:
    return reverse("billing:plan", args=[slug])


def _leave(address: str) -> HttpResponseRedirect:
    response = HttpResponseRedirect(address)
    response.status_code = 303
    return response

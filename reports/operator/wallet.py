"""Credits of one organization: what there is, and what the operator gives, corrects and writes down as paid back.

Each act is looked at before it is done: the form, then what it comes to, then the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.audit import Actor
from accounts.forms.organization import refusals_in
from accounts.models import Organization
from accounts.views.pages import form_page
from billing.credits import ledger, purchases, wallets
from billing.credits.forms import AdjustForm, CreditActForm, GrantForm
from core.figures import money
from core.tenancy import organization_scope
from reports.operator.access import OperatorRequest, operator_only
from reports.operator.organizations import named

PAGE = "operator:organization"
_ACTS = ["GET", "HEAD", "POST"]
_CONFIRMED = "confirmed"

AnyForm = TypeVar("AnyForm", bound=CreditActForm)


@require_http_methods(_ACTS)
@operator_only
def grant(request: OperatorRequest, slug: str) -> HttpResponse:
    organization = named(slug)

    def words(form: GrantForm) -> str:
        day = form.cleaned_data["last_day"]
        until = f"They expire when {day:%-d %B %Y} is over." if day else "They do not expire."
        return (
            f"{organization.name} gets {money(form.cleaned_data['amount'])} of promotional credits. {until} They are "
            "taken off its next invoices before tax, or pay calls where calls are paid with credits."
        )

    def act(form: GrantForm, by: Actor) -> None:
        given = form.cleaned_data
        expires_at = form.expires_at(organization.zone)
        wallets.grant(organization, given["amount"], form.source, by=by, expires_at=expires_at, note=given["note"])

    return _asked(
        request,
        organization,
        GrantForm,
        f"Grant credits to {organization.name}",
        "Grant credits",
        "Promotional, without money.",
        words,
        act,
    )


@require_http_methods(_ACTS)
@operator_only
def adjust(request: OperatorRequest, slug: str) -> HttpResponse:
    organization = named(slug)

    def words(form: AdjustForm) -> str:
        nanos = form.cleaned_data["amount"]
        if nanos > 0:
            return f"{money(nanos)} are added to the credits of {organization.name}. They do not expire."
        return f"{money(-nanos)} are taken from the credits of {organization.name}, those first that expire first."

    def act(form: AdjustForm, by: Actor) -> None:
        given = form.cleaned_data
        wallets.adjust(organization, given["amount"], form.source, by=by, note=given["note"])

    return _asked(
        request,
        organization,
        AdjustForm,
        f"Adjust the credits of {organization.name}",
        "Adjust credits",
        "Puts a balance right.",
        words,
        act,
    )


@require_http_methods(_ACTS)
@operator_only
def refund(request: OperatorRequest, slug: str) -> HttpResponse:
    organization = named(slug)
    with organization_scope(organization.pk):
        left = money(sum(lot.left_nanos for lot in ledger.bought()))
        at_stripe = _refunded_at_stripe()

    def words(form: CreditActForm) -> str:
        return (
            f"{money(form.cleaned_data['amount'])} of what {organization.name} bought and has not used are taken from "
            f"its credits. No money is sent: send it back by hand. {at_stripe}"
        ).strip()

    def act(form: CreditActForm, by: Actor) -> None:
        given = form.cleaned_data
        wallets.refund(organization, given["amount"], form.source, by=by, note=given["note"])

    lead = (
        f"{left} that were bought are left. This writes the ledger; the money is to be sent back by hand. {at_stripe}"
    )
    return _asked(
        request,
        organization,
        CreditActForm,
        f"Refund credits of {organization.name}",
        "Refund credits",
        lead,
        words,
        act,
    )


def _refunded_at_stripe() -> str:
    """Which payments are refunded there, and not here. Needs the organization's scope."""
    found = [f"{money(left)} of {top_up.payment_id}" for top_up, left in purchases.left_of_cards()]
    if not found:
        return ""
    return (
        f"Paid by card: {', '.join(found)}. Refund those at Stripe instead: their credits are taken by "
        "themselves then, and would be taken twice."
    )


def _asked(
    request: OperatorRequest,
    organization: Organization,
    kind: type[AnyForm],
    title: str,
    submit: str,
    lead: str,
    words: Callable[[AnyForm], str],
    act: Callable[[AnyForm, Actor], None],
) -> HttpResponse:
    back = reverse(PAGE, args=[organization.slug])
    form: Any = kind(request.POST) if request.method == "POST" else kind.blank()
    if request.method == "POST" and form.is_valid():
        if _CONFIRMED not in request.POST:
            context = {
                "page": {"title": f"{title}?"},
                "form": form,
                "text": words(form),
                "submit": submit,
                "back": back,
            }
            return render(request, "operator/credit_confirm.html", context)
        with refusals_in(form):
            act(form, Actor.of_person(request.user, request))
            messages.success(request, "Done. It is in the organization’s ledger and audit log.")
            return redirect(back)
    return form_page(request, form, title, submit="Continue", lead=lead, back=back)

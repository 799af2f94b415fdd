"""/o/<organization>/billing/credits/: what there is, every entry of the ledger, and buying more."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms.organization import refusals_in
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, form_page, to
from billing.contracts import Contract
from billing.credits import purchases, settlement, topping_up, wallets
from billing.credits.forms import BuyForm, HandPaymentForm, RulesForm
from billing.credits.listing import COLUMNS, cells_of, entries_of, grants, promotional_nanos, row_of
from billing.models import CreditKind, StripeCustomer, TopUp, TopUpStatus, Wallet
from billing.providers.stripe.connection import is_connected
from billing.providers.stripe.views import checkout_address, leave
from core.csvcells import csv_text
from core.figures import money
from core.money import NANOS_PER_USD

PAGE = "billing:credits"
A_PAGE = 50
_FORM = ["GET", "HEAD", "POST"]
_CONFIRMED = "confirmed"
_WITHOUT_USE = "On this plan credits that are bought pay nothing: nothing is bought automatically."

sees_credits = require(Right.SEE_MONEY)
buys_credits = require(Right.MANAGE_PAYMENT)


@require_safe
@sees_credits
def index(request: OrganizationRequest) -> HttpResponse:
    """`?kind=` is one kind of entry."""
    organization = request.organization
    at, kind = now(), _kind(request)
    standing, left = settlement.standing(organization, at), grants()
    given, expires_at = promotional_nanos(left, at)
    page = Paginator(entries_of(kind), A_PAGE).get_page(request.GET.get("page"))
    path = to(request, PAGE)
    context = {
        "page": {"title": "Credits"},
        "credits": standing,
        "whole": standing.available * settings.CREDITS_PER_USD // NANOS_PER_USD,
        "promotional": given,
        "expires_at": expires_at,
        "grants": left,
        "wallet": Wallet.objects.filter(organization=organization).first(),
        "pays_calls": topping_up.pays_calls(Contract.load(organization), at),
        "pauses_until": topping_up.pauses_until(at),
        "most_a_day": topping_up.MOST_A_DAY,
        "rows": [row_of(entry) for entry in page],
        "newer": _address(path, kind, page.previous_page_number()) if page.has_previous() else None,
        "older": _address(path, kind, page.next_page_number()) if page.has_next() else None,
        "kind": kind,
        "kinds": [
            {"label": one.label if one else "All", "url": _address(path, one), "is_current": one == kind}
            for one in (None, *CreditKind)
        ],
        "csv_url": _address(to(request, "billing:credits-csv"), kind),
        "may_pay": may(request.role, Right.MANAGE_PAYMENT),
        **_purchase(),
    }
    return render(request, "billing/credits.html", context)


@require_safe
@sees_credits
def export(request: OrganizationRequest) -> HttpResponse:
    """The whole ledger, or one kind of entry."""
    zone = request.organization.zone
    rows = [cells_of(entry, zone) for entry in entries_of(_kind(request))]
    response = HttpResponse(csv_text([COLUMNS, *rows]), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-credits.csv"'
    return response


@require_http_methods(_FORM)
@buys_credits
def buy(request: OrganizationRequest) -> HttpResponse:
    """Charged to the card on file; without one paid at Stripe, or by hand where no cards are taken."""
    has_card = is_connected() and _card() is not None
    form = BuyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            ordered = purchases.order(
                request.organization, form.cleaned_data["amount"], by=request.actor, charges_card=has_card
            )
            if is_connected() and not has_card:
                return leave(checkout_address(request, ordered))
            words = "The card is being charged." if has_card else "Ordered. The credits are there once it is paid."
            messages.success(request, words)
            return redirect(to(request, PAGE))
    return form_page(
        request, form, "Buy credits", submit=_buy_words(has_card), lead=_how_paid(has_card), back=to(request, PAGE)
    )


@require_http_methods(_FORM)
@buys_credits
def rules(request: OrganizationRequest) -> HttpResponse:
    organization = request.organization
    wallet = Wallet.objects.filter(organization=organization).first() or Wallet(organization=organization)
    has_use = topping_up.pays_calls(Contract.load(organization), now())
    form = RulesForm(request.POST) if request.method == "POST" else RulesForm.of(wallet)
    if not has_use and wallet.top_up_nanos is None:
        form.without_top_up()
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            if _CONFIRMED not in request.POST and (at_once := _bought_at_once(wallet, form)):
                return _asked_before(request, form, at_once)
            wallets.set_rules(organization, **form.rules(), by=request.actor)
            messages.success(request, "Saved.")
            return redirect(to(request, PAGE))
    lead = _how_bought(has_card=_card() is not None) if has_use else _WITHOUT_USE
    return form_page(request, form, "Low credits", submit="Save", lead=lead, back=to(request, PAGE))


def _bought_at_once(wallet: Wallet, form: RulesForm) -> int:
    """Nano-dollars that the rule buys as soon as it is saved; 0 where the rule stays as it is. Raises ApiError 422."""
    rules = form.rules()
    below, amount = rules["top_up_below_nanos"], rules["top_up_nanos"]
    topping_up.check_rule(below, amount)
    if (below, amount) == (wallet.top_up_below_nanos, wallet.top_up_nanos):
        return 0
    wanted = Wallet(organization=wallet.organization, top_up_below_nanos=below, top_up_nanos=amount)
    return topping_up.at_once(wanted, now())


def _asked_before(request: OrganizationRequest, form: RulesForm, at_once: int) -> HttpResponse:
    words = "are charged to the card" if is_connected() and _card() else "are ordered"
    context = {
        "page": {"title": f"Buy credits for {money(at_once)} now?"},
        "form": form,
        "text": f"There is less than {money(form.cleaned_data['below'])}: {money(at_once)} {words} at once, and again "
        f"whenever there is less, at most {topping_up.MOST_A_DAY} times in 24 hours.",
        "submit": "Save and buy",
        "back": to(request, PAGE),
    }
    return render(request, "billing/credit_rules_confirm.html", context)


@require_safe
@sees_credits
def purchase_state(request: OrganizationRequest, top_up: int) -> HttpResponse:
    """A fragment that asks for itself while the card is being charged; then the page is read again."""
    found = TopUp.objects.filter(pk=top_up).first()
    if found is None:
        raise Http404("no such purchase")
    if found.status != TopUpStatus.DUE:
        return HttpResponse(headers={"HX-Refresh": "true"})
    context = {"may_pay": may(request.role, Right.MANAGE_PAYMENT), **_purchase()}
    return render(request, "billing/_credit_purchase.html", context)


@require_http_methods(_FORM)
@buys_credits
def record_paid(request: OrganizationRequest, top_up: int) -> HttpResponse:
    """By hand, where no cards are taken: Stripe tells by itself what it was paid."""
    due = _due(top_up)
    if is_connected():
        raise Http404("purchases are paid at Stripe")
    form = HandPaymentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            purchases.complete(due, by=request.actor, note=form.cleaned_data["reference"])
            messages.success(request, "Recorded. The credits are there.")
            return redirect(to(request, PAGE))
    amount = money(due.amount_nanos)
    return form_page(
        request,
        form,
        f"Credits for {amount} were paid",
        submit="Record payment",
        lead="Record it when the money is there: the credits can be used at once.",
        back=to(request, PAGE),
    )


@require_http_methods(_FORM)
@buys_credits
def withdraw(request: OrganizationRequest, top_up: int) -> HttpResponse:
    due = _due(top_up)
    return confirm_page(
        request,
        f"Withdraw the purchase of {money(due.amount_nanos)}?",
        "Nothing is charged for it. What is paid all the same becomes credits.",
        submit="Withdraw",
        back=to(request, PAGE),
        act=lambda: (purchases.withdraw(due, by=request.actor), None)[1],
        done="Withdrawn.",
    )


# ── Reading ──


def _kind(request: HttpRequest) -> CreditKind | None:
    asked = request.GET.get("kind", "")
    return CreditKind(asked) if asked in CreditKind.values else None


def _card() -> StripeCustomer | None:
    card: StripeCustomer | None = StripeCustomer.objects.exclude(method_id="").first()
    return card


def _due(top_up: int) -> TopUp:
    found: TopUp | None = TopUp.objects.filter(pk=top_up, status=TopUpStatus.DUE).first()
    if found is None:
        raise Http404("no such purchase is due")
    return found


def _purchase() -> dict[str, Any]:
    """The purchase that is due, or the last one where it was refused."""
    last = TopUp.objects.order_by("-pk").first()
    is_due = last is not None and last.status == TopUpStatus.DUE
    return {
        "due": last if is_due else None,
        "refused": last if last is not None and last.status == TopUpStatus.FAILED else None,
        "takes_cards": is_connected(),
        "card": _card(),
    }


def _how_paid(has_card: bool) -> str:
    card = _card()
    if has_card and card is not None:
        return f"{card.card_brand.capitalize()} ending {card.card_last4} is charged. What is bought does not expire."
    if is_connected():
        return "Paid by card on Stripe’s page. What is bought does not expire."
    return "No cards are taken here: pay as agreed with the operator, and record it when the money is there."


def _buy_words(has_card: bool) -> str:
    if has_card:
        return "Buy with the card"
    return "Continue to Stripe" if is_connected() else "Order"


def _how_bought(*, has_card: bool) -> str:
    often = (
        f"The amount is bought as often as it takes to reach the threshold, as one purchase, at most "
        f"{topping_up.MOST_A_DAY} times in 24 hours."
    )
    if not is_connected():
        return f"{often} No cards are taken here: it waits until its payment is recorded by hand."
    how = "The card is charged." if has_card else "There is no card to charge yet: add one under Billing."
    return f"{often} {how}"


def _address(path: str, kind: CreditKind | None, page: int | None = None) -> str:
    state = urlencode({name: value for name, value in {"kind": kind, "page": page}.items() if value})
    return f"{path}?{state}" if state else path

"""/o/<organization>/billing/invoices/: what was charged, what came for it, and the proof of both."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.countries import COUNTRIES
from accounts.forms.organization import refusals_in
from accounts.models import User
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from accounts.views.home import memberships_of
from accounts.views.pages import form_page, to
from billing.documents.document import BilledDocument
from billing.invoices.carrying import remainder
from billing.invoices.drafting import Draft, drafts
from billing.invoices.forms import PaymentForm
from billing.invoices.lines import NoSellerError
from billing.invoices.listing import listed
from billing.invoices.papers import download, stated
from billing.invoices.payments import Standing, due_amount, record_payment, standing_of
from billing.invoices.proof import differences_of
from billing.models import DunningFact, Invoice, InvoiceKind, StripeDispute
from billing.views.dunning import failed_payments, pay_url_of
from core import figures as words
from core.csvcells import csv_text
from core.periods import local_day
from core.tenancy import organization_scope

A_PAGE = 50
_COUNTRY_NAMES = dict(COUNTRIES)
# Reading more events again takes longer than a page may; the proof of the month does it behind the scenes.
MOST_PROVED = 300_000
_COLUMNS = (
    "number", "kind", "status", "issued_on", "due_on", "period_start", "period_end", "currency", "net", "tax",
    "total", "paid", "due", "corrects",
)  # fmt: skip

# Stripe's words.
_SETTLED_DISPUTES = ("won", "lost", "warning_closed", "prevented")
_STATUS_WORDS = {
    None: "All",
    Standing.OPEN: "Open",
    Standing.OVERDUE: "Overdue",
    Standing.PAID: "Paid",
    Standing.VOID: "Void",
    Standing.ISSUED: "Credit notes",
}

sees_invoices = require(Right.SEE_MONEY)
records_payments = require(Right.MANAGE_PAYMENT)


@require_safe
@sees_invoices
def index(request: OrganizationRequest) -> HttpResponse:
    """`?status=` and `?q=`, a part of the number."""
    today = _today(request)
    standing, asked = _standing(request), _asked(request)
    page = Paginator(_chosen(today, standing, asked), A_PAGE).get_page(request.GET.get("page"))
    failed = {one["number"]: one for one in failed_payments(request.membership)}
    path = to(request, "billing:invoices")
    context = {
        "page": {"title": "Invoices"},
        "rows": [_row(invoice, today) | {"failed": failed.get(invoice.number)} for invoice in page],
        "pages": page,
        "newer": _address(path, standing, asked, page.previous_page_number()) if page.has_previous() else None,
        "older": _address(path, standing, asked, page.next_page_number()) if page.has_next() else None,
        "q": asked,
        "standing": standing,
        "statuses": [
            {
                "label": _STATUS_WORDS[one],
                "url": _address(path, one, asked),
                "is_current": one == standing,
            }
            for one in _STATUS_WORDS
        ],
        "csv_url": _address(to(request, "billing:invoices-csv"), standing, asked),
        "notice": _carried_over(),
        **_so_far(request),
    }
    return render(request, "billing/invoices.html", context)


@require_safe
@sees_invoices
def export(request: OrganizationRequest) -> HttpResponse:
    today = _today(request)
    rows = [_cells(invoice, today) for invoice in _chosen(today, _standing(request), _asked(request))]
    response = HttpResponse(csv_text([_COLUMNS, *rows]), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-invoices.csv"'
    return response


@require_safe
@sees_invoices
def detail(request: OrganizationRequest, number: str) -> HttpResponse:
    today = _today(request)
    invoice = _invoice(request, number)
    document = stated(invoice)
    context = {
        "page": {"title": invoice.number},
        "invoice": invoice,
        **_row(invoice, today),
        **_paper(document),
        "last_payment": document.payments[-1] if document.payments else None,
        "note": next(iter(invoice.credit_notes.all()), None),
        **_collecting(request, invoice),
        "may_record": _is_payable(invoice) and may(request.role, Right.MANAGE_PAYMENT),
        "is_provable": invoice.kind == InvoiceKind.INVOICE,
    }
    return render(request, "billing/invoice.html", context)


@require_safe
@sees_invoices
def draft(request: OrganizationRequest) -> HttpResponse:
    """The running period so far; `?period=` another one that is not closed yet, by its first day."""
    found = _drafts(request)
    if found is None:
        return render(request, "billing/no_draft.html", {"page": {"title": "So far"}, "why": "seller"})
    if not found:
        return render(request, "billing/no_draft.html", {"page": {"title": "So far"}, "why": "plan"})
    by_day = {f"{one.period.starts_on}": one for one in found}
    chosen = by_day.get(request.GET.get("period", ""), found[-1])
    path = to(request, "billing:invoice-draft")
    context = {
        "page": {"title": f"{chosen.period.starts_on:%B %Y} so far"},
        "draft": chosen,
        "total": _usd(chosen.document.gross),
        "others": [
            {
                "label": f"{one.period.starts_on:%B %Y}",
                "url": f"{path}?period={day}",
                "is_current": one is chosen,
            }
            for day, one in by_day.items()
        ],
        **_paper(chosen.document),
    }
    return render(request, "billing/draft.html", context)


@require_safe
@sees_invoices
def paper(request: OrganizationRequest, number: str) -> HttpResponse:
    invoice = _invoice(request, number)
    response = HttpResponse(download(invoice, by=request.actor), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{invoice.number}.pdf"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@records_payments
def pay(request: OrganizationRequest, number: str) -> HttpResponse:
    """Write down money that came, or went back."""
    invoice = _invoice(request, number)
    if not _is_payable(invoice):
        raise Http404("nothing is paid for this one")
    back = to(request, "billing:invoice", number)
    form = PaymentForm(request.POST) if request.method == "POST" else None
    if form is not None and form.is_valid():
        with refusals_in(form):
            record_payment(
                invoice,
                form.minor_units,
                received_on=form.cleaned_data["received_on"],
                method=form.cleaned_data["method"],
                source=form.source,
                by=request.actor,
                note=form.cleaned_data["note"],
            )
            messages.success(request, f"The payment of {number} is recorded.")
            return redirect(back)
    form = form or PaymentForm.blank(due_amount(invoice), _today(request))
    lead = f"{words.money(_usd(due_amount(invoice)), 2)} is due"
    return form_page(request, form, f"Record a payment of {number}", submit="Record payment", back=back, lead=lead)


@require_POST
@sees_invoices
def prove(request: OrganizationRequest, number: str) -> HttpResponse:
    """Read its events again, and say whether they are what it states."""
    invoice = _invoice(request, number)
    if invoice.kind != InvoiceKind.INVOICE:
        raise Http404("a credit note repeats the invoice it takes back")
    proof = stated(invoice).proof
    if proof is not None and proof.events > MOST_PROVED:
        messages.info(request, "This invoice has too many events for a page. Prove its month instead.")
        return redirect(f"{to(request, 'metering:integrity')}?month={invoice.period_start:%Y-%m}")
    found = differences_of(invoice, request.organization.zone)
    if found:
        said = "; ".join(f"{one.where}, {one.field}: {one.found} instead of {one.expected}" for one in found[:5])
        messages.error(request, f"{number} differs from its events. {said}")
    else:
        events = words.count(proof.events) if proof else "no"
        messages.success(request, f"{number} is proved: {events} events read again, difference 0.")
    return redirect(f"{to(request, 'billing:invoice', number)}#proof")


@require_safe
@login_required
def find(request: HttpRequest, number: str) -> HttpResponse:
    """The address on the paper: to the invoice, in whichever of a person's organizations it is."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 (logged in)
    slugs = {one.organization_id: one.organization.slug for one in memberships_of(user)}
    with organization_scope(*slugs):
        invoice = Invoice.objects.filter(number=number).first()
    if invoice is None:
        raise Http404("no such invoice of theirs")
    return redirect(f"{reverse('billing:invoice', args=[slugs[invoice.organization_id], number])}#proof")


# ── Reading ──


def _today(request: OrganizationRequest) -> dt.date:
    return local_day(now(), request.organization.zone)


def _invoice(request: OrganizationRequest, number: str) -> Invoice:
    invoice = listed(_today(request)).filter(number=number).first()
    if invoice is None:
        raise Http404("no such invoice")
    return invoice


def _chosen(today: dt.date, standing: Standing | None, asked: str) -> QuerySet[Invoice]:
    rows = listed(today, standing)
    return (rows.filter(number__icontains=asked) if asked else rows).order_by("-issued_on", "-id")


def _standing(request: HttpRequest) -> Standing | None:
    asked = request.GET.get("status", "")
    return Standing(asked) if asked in set(Standing) else None


def _asked(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:30]


def _drafts(request: OrganizationRequest) -> list[Draft] | None:
    """None where nobody has said who bills."""
    try:
        return drafts(request.organization)
    except NoSellerError:
        return None


def _so_far(request: OrganizationRequest) -> dict[str, Any]:
    found = _drafts(request)
    if not found:
        return {"has_seller": found is not None, "draft": None}
    return {"has_seller": True, "draft": found[-1], "so_far": _usd(found[-1].document.gross)}


def _carried_over() -> dict[str, Any] | None:
    """That something is owed to the customer; None when nothing is."""
    open_ = remainder()
    if not open_.nanos:
        return None
    fact = f"{words.money(open_.nanos, 2)} before tax is carried over from {open_.number} in your favor."
    return {"tone": "info", "fact": fact, "text": "The next invoice takes it off."}


def _is_payable(invoice: Invoice) -> bool:
    """Something is due, or what came could go back."""
    is_paid_for = any(payment.amount for payment in invoice.payments.all())
    return invoice.kind == InvoiceKind.INVOICE and (is_paid_for or due_amount(invoice) > 0)


# ── Writing ──


def _collecting(request: OrganizationRequest, invoice: Invoice) -> dict[str, Any]:
    """Where it is paid by card, what was refused so far, and what a bank disputes."""
    failed = (one for one in failed_payments(request.membership) if one["number"] == invoice.number)
    return {
        "pay_url": pay_url_of(invoice) if due_amount(invoice) else "",
        "failed": next(failed, None),
        "dunning": list(DunningFact.objects.filter(invoice=invoice).order_by("pk")),
        "disputes": [
            {
                "dispute": one,
                "amount": _usd(one.amount),
                "words": f"{one.reason}, {one.status}".replace("_", " ").capitalize(),
                "is_open": one.status not in _SETTLED_DISPUTES,
            }
            for one in StripeDispute.objects.filter(invoice=invoice).order_by("opened_at")
        ],
    }


def _row(invoice: Invoice, today: dt.date) -> dict[str, Any]:
    return {
        "invoice": invoice,
        "standing": standing_of(invoice, today),
        "net": _usd(invoice.net),
        "tax": _usd(invoice.tax),
        "total": _usd(invoice.gross),
        "paid": _usd(sum(payment.amount for payment in invoice.payments.all())),
        "due": _usd(due_amount(invoice)),
    }


def _cells(invoice: Invoice, today: dt.date) -> tuple[str, ...]:
    row = _row(invoice, today)
    days = (invoice.issued_on, invoice.due_on, invoice.period_start, invoice.period_end)
    return (
        invoice.number,
        invoice.kind,
        row["standing"].value,
        *(day.isoformat() if day else "" for day in days),
        invoice.currency,
        *(str(row[name]) for name in ("net", "tax", "total", "paid", "due")),
        invoice.corrects.number if invoice.corrects else "",
    )


def _paper(document: BilledDocument) -> dict[str, Any]:
    """What the paper states, for the screen."""
    return {
        "document": document,
        "parties": [
            {"title": title, "party": party, "country": _COUNTRY_NAMES.get(party.country, party.country)}
            for title, party in (("Billed to", document.buyer), ("From", document.seller))
        ],
        "sections": [
            {
                "title": title,
                "lines": [
                    {
                        "line": line,
                        "amount": _usd(line.amount),
                        "repeats": bool(place and line.detail and line.description == lines[place - 1].description),
                    }
                    for place, line in enumerate(lines)
                ],
            }
            for title, lines in (
                (title, list(found)) for title, found in groupby(document.lines, key=lambda one: one.section)
            )
        ],
        "taxes": [
            {"label": tax.label, "of": _usd(tax.amount.net), "amount": _usd(tax.amount.tax), "note": tax.note}
            for tax in document.taxes
        ],
        "net": _usd(document.net),
        "payments": [{"payment": one, "amount": _usd(one.amount)} for one in document.payments],
        "worth": Decimal(document.proof.worth_usd) if document.proof else None,
    }


def _usd(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)


def _address(path: str, standing: str | None, asked: str, page: int | None = None) -> str:
    given = {"status": standing, "q": asked, "page": page}
    state = urlencode({name: value for name, value in given.items() if value})
    return f"{path}?{state}" if state else path

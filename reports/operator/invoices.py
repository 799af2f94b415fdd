"""An organization's invoices as the operator sees them, and taking one back by a credit note."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_GET, require_http_methods

from accounts.audit import Actor
from accounts.forms.organization import refusals_in
from accounts.models import Organization
from billing.dunning.course import course_of, open_courses
from billing.invoices.crediting import take_back
from billing.invoices.listing import listed
from billing.invoices.papers import download
from billing.invoices.payments import Standing, due_amount, standing_of
from billing.models import Invoice, InvoiceKind
from core.periods import local_day
from core.tenancy import organization_scope, unscoped
from reports.operator.access import OperatorRequest, operator_only

PAGE = "operator:invoice"
MOST_SHOWN = 6


class CreditForm(forms.Form):
    """`number` is typed once more, so that nobody takes back another one than they mean."""

    reason = forms.CharField(
        max_length=200, help_text="Printed on the credit note.", widget=forms.TextInput({"autocomplete": "off"})
    )
    number = forms.CharField(max_length=30, widget=forms.TextInput({"autocomplete": "off"}))

    def __init__(self, *args: Any, number: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._number = number
        self.fields["number"].label = f"Type {number} to confirm"

    def clean_number(self) -> str:
        typed: str = self.cleaned_data["number"]
        if typed.strip() != self._number:
            raise forms.ValidationError(f"This is not {self._number}.")
        return typed


def panel(organization: Organization, at: dt.datetime) -> list[dict[str, Any]]:
    """The latest ones, for the organization's page. Needs its scope."""
    today = local_day(at, organization.zone)
    rows = listed(today).order_by("-issued_on", "-id")[:MOST_SHOWN]
    failed = {invoice.pk for invoice, _ in open_courses()}
    return [_row(one, today) | {"failed": one.pk in failed} for one in rows]


@require_GET
@operator_only
def detail(request: OperatorRequest, number: str) -> HttpResponse:
    invoice = _invoice(number)
    organization = invoice.organization
    with organization_scope(organization.pk):
        row = _row(invoice, local_day(now(), organization.zone)) | {"failed": course_of(invoice) is not None}
        note = next(iter(invoice.credit_notes.all()), None)
    context = {
        "page": {"title": number},
        "organization": organization,
        "note": note,
        "can_credit": invoice.kind == InvoiceKind.INVOICE and note is None,
        "payments": [
            {"payment": one, "amount": _usd(one.amount)}
            for one in sorted(invoice.payments.all(), key=lambda one: (one.received_on, one.pk))
        ],
        **row,
    }
    return render(request, "operator/invoice.html", context)


@require_GET
@operator_only
def paper(request: OperatorRequest, number: str) -> HttpResponse:
    invoice = _invoice(number)
    with organization_scope(invoice.organization_id):
        content = download(invoice, by=Actor.of_person(request.user, request))
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{number}.pdf"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
def credit(request: OperatorRequest, number: str) -> HttpResponse:
    invoice = _invoice(number)
    organization = invoice.organization
    if invoice.kind != InvoiceKind.INVOICE:
        raise Http404("a credit note is not taken back")
    if invoice.credit_notes.all():
        messages.error(request, f"{number} was taken back before.")
        return redirect(PAGE, number)
    form = CreditForm(request.POST or None, number=number)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            note = take_back(invoice, reason=form.cleaned_data["reason"], by=Actor.of_person(request.user, request))
            messages.success(request, f"{note.number} takes {number} back.")
            return redirect(PAGE, note.number)
    paid = sum(payment.amount for payment in invoice.payments.all())
    context = {
        "page": {"title": f"Take {number} back"},
        "organization": organization,
        "invoice": invoice,
        "total": _usd(invoice.gross),
        "paid": _usd(paid) if paid else None,
        "form": form,
        "back": reverse(PAGE, args=[number]),
    }
    return render(request, "operator/invoice_credit.html", context, status=422 if form.errors else 200)


def _invoice(number: str) -> Invoice:
    """With its payments and credit notes at hand. Raises Http404."""
    with unscoped("the operator looks an invoice up by its number"):
        invoice = listed(now().date()).select_related("organization", "corrects").filter(number=number).first()
    if invoice is None:
        raise Http404("no such invoice")
    return invoice


def _row(invoice: Invoice, today: dt.date) -> dict[str, Any]:
    return {
        "invoice": invoice,
        "standing": standing_of(invoice, today).value,
        "is_credit_note": standing_of(invoice, today) is Standing.ISSUED,
        "total": _usd(invoice.gross),
        "tax": _usd(invoice.tax),
        "paid": _usd(sum(payment.amount for payment in invoice.payments.all())),
        "due": _usd(due_amount(invoice)),
    }


def _usd(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)

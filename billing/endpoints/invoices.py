"""/v1/invoices: what was charged for each period, what came for it, the PDF, and the running period so far."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.endpoints.fields import page_of
from accounts.endpoints.keys import LISTING
from accounts.models import Scope
from billing.documents.document import BilledDocument, Line, Party, Proof
from billing.invoices.drafting import drafts
from billing.invoices.lines import NoSellerError
from billing.invoices.listing import listed
from billing.invoices.papers import download, stated
from billing.invoices.payments import Standing, due_amount, standing_of
from billing.models import Invoice, InvoiceKind
from core.errors import ApiError
from core.pagination import PAGE_PARAMETERS, paginate
from core.periods import local_day

DRAFT = "draft"
SUMMARY = {
    "number": "INV-2026-0017",
    "kind": "invoice",
    "status": "open",
    "issued_on": "2026-11-03",
    "due_on": "2026-12-03",
    "period": {"starts_on": "2026-10-01", "ends_on": "2026-11-01"},
    "currency": "USD",
    "net_usd": "2.50",
    "tax_usd": "0.48",
    "total_usd": "2.98",
    "paid_usd": "0.00",
    "due_usd": "2.98",
    "corrects": None,
    "credit_note": None,
}
PROOF = {"events": 214, "worth_usd": "2.500000001", "digest": "9f41c0" + "0" * 54 + "e27a"}
PARTY = {
    "name": "Northbound Labs GmbH",
    "street": "Torstraße 85",
    "postal_code": "10119",
    "city": "Berlin",
    "country": "DE",
    "email": "fiona@northbound.test",
    "tax_number": "DE129273398",
}
INVOICE = {
    **SUMMARY,
    "seller": {**PARTY, "name": "Lumen Cloud GmbH", "city": "Hamburg", "tax_number": "DE136695976"},
    "buyer": PARTY,
    "reference": "PO-4471",
    "lines": [
        {
            "section": "Usage above the allowance, per 1M tokens",
            "description": "gpt-4o",
            "detail": "input",
            "quantity": 1_000_000,
            "unit_price_usd": "2.500000001",
            "per": 1_000_000,
            "amount_usd": "2.50",
            "manifest": PROOF,
        }
    ],
    "taxes": [
        {"label": "VAT DE 19%", "category": "S", "percent": "19", "net_usd": "2.50", "tax_usd": "0.48", "note": ""}
    ],
    "payments": [],
    "notes": [],
    "manifest": PROOF,
}
NUMBER = OpenApiParameter("number", str, OpenApiParameter.PATH, description="As on the paper: `INV-2026-0017`.")


class BilledPeriodSerializer(serializers.Serializer[Any]):
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="The first day of the next period.")


class InvoiceSummarySerializer(serializers.Serializer[Any]):
    number = serializers.CharField()
    kind = serializers.ChoiceField(choices=InvoiceKind.values)
    status = serializers.ChoiceField(
        choices=[*Standing, DRAFT], help_text="`issued` is a credit note's; `void` an invoice's that one took back."
    )
    issued_on = serializers.DateField()
    due_on = serializers.DateField(allow_null=True)
    period = BilledPeriodSerializer()
    currency = serializers.CharField()
    net_usd = serializers.CharField()
    tax_usd = serializers.CharField()
    total_usd = serializers.CharField()
    paid_usd = serializers.CharField(help_text="What came, less what went back.")
    due_usd = serializers.CharField()
    corrects = serializers.CharField(allow_null=True, help_text="Of a credit note: the invoice it takes back.")
    credit_note = serializers.CharField(allow_null=True)


class ManifestSerializer(serializers.Serializer[Any]):
    events = serializers.IntegerField()
    worth_usd = serializers.CharField(help_text="Exactly, before any rounding to cents.")
    digest = serializers.CharField(help_text="The hash of the set of events (docs/algorithms/invoices.md).")


class InvoiceLineSerializer(serializers.Serializer[Any]):
    section = serializers.CharField()
    description = serializers.CharField()
    detail = serializers.CharField(allow_blank=True)
    quantity = serializers.IntegerField()
    unit_price_usd = serializers.CharField(allow_null=True, help_text="For `per` units; null: rated call by call.")
    per = serializers.IntegerField()
    amount_usd = serializers.CharField()
    manifest = ManifestSerializer(allow_null=True, help_text="Of usage: the events of its model above the allowance.")


class InvoicePartySerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    street = serializers.CharField(allow_blank=True)
    postal_code = serializers.CharField(allow_blank=True)
    city = serializers.CharField(allow_blank=True)
    country = serializers.CharField(allow_blank=True)
    email = serializers.CharField(allow_blank=True)
    tax_number = serializers.CharField(allow_blank=True)


class InvoiceTaxSerializer(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]
    category = serializers.CharField(help_text="UNTDID 5305: S, AE (reverse charge), E, O.")
    percent = serializers.CharField()
    net_usd = serializers.CharField()
    tax_usd = serializers.CharField()
    note = serializers.CharField(allow_blank=True)


class InvoicePaymentSerializer(serializers.Serializer[Any]):
    received_on = serializers.DateField()
    amount_usd = serializers.CharField(help_text="Below 0: it went back.")
    method = serializers.CharField()


class InvoiceSerializer(InvoiceSummarySerializer):
    seller = InvoicePartySerializer()
    buyer = InvoicePartySerializer()
    reference = serializers.CharField(allow_blank=True)
    lines = InvoiceLineSerializer(many=True)
    taxes = InvoiceTaxSerializer(many=True)
    payments = InvoicePaymentSerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField())
    manifest = ManifestSerializer(allow_null=True, help_text="Of all usage charged.")


@extend_schema(tags=["Billing"])
class InvoicesView(OrganizationAPIView):
    required_scopes = Scope.BILLING_READ
    query_parameters = (*PAGE_PARAMETERS, "status")

    @extend_schema(
        summary="List invoices",
        description="Invoices and credit notes, the latest first.",
        operation_id="invoices_list",
        parameters=[*LISTING, OpenApiParameter("status", str, enum=list(Standing))],
        responses=answers(page_of("InvoicePage", InvoiceSummarySerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [SUMMARY], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        today = local_day(now(), self.organization.zone)
        rows = listed(today, _standing(request.query_params.get("status", "")))
        page = paginate(rows, request.query_params, ("-issued_on", "-id"))
        return Response(page.body(lambda invoice: _summary(invoice, today)))


@extend_schema(tags=["Billing"])
class InvoiceView(OrganizationAPIView):
    required_scopes = Scope.BILLING_READ

    @extend_schema(
        summary="Get an invoice",
        description="What it states, with the events each line was made from, and what came for it.",
        operation_id="invoices_get",
        parameters=[NUMBER],
        responses=answers(InvoiceSerializer, also=(404,)),
        examples=[OpenApiExample("Invoice", INVOICE, response_only=True)],
    )
    def get(self, _request: Request, number: str) -> Response:
        today = local_day(now(), self.organization.zone)
        invoice = _invoice(number, today)
        return Response(_summary(invoice, today) | _detail(stated(invoice)))


@extend_schema(tags=["Billing"])
class DraftView(OrganizationAPIView):
    required_scopes = Scope.BILLING_READ

    @extend_schema(
        summary="Get the running period so far",
        description="As an invoice that nobody has issued yet, late usage included: its lines and sums by now.",
        operation_id="invoices_draft",
        responses=answers(InvoiceSerializer, also=(404, 409)),
        examples=[OpenApiExample("Draft", {**INVOICE, "number": "Draft", "status": DRAFT}, response_only=True)],
    )
    def get(self, _request: Request) -> Response:
        try:
            found = drafts(self.organization)
        except NoSellerError as missing:
            raise ApiError(409, "no_seller", str(missing)) from missing
        if not found:
            raise ApiError(404, "not_found", "There is no plan, so no period is running.")
        document = found[-1].document
        return Response(_stated_summary(document) | _detail(document))


@extend_schema(tags=["Billing"])
class PaperView(OrganizationAPIView):
    required_scopes = Scope.BILLING_READ

    @extend_schema(
        summary="Download an invoice as PDF",
        description="PDF/A-3 with the electronic invoice (Factur-X, EN 16931) inside. The audit log says who took it.",
        operation_id="invoices_pdf",
        parameters=[NUMBER],
        responses=answers(OpenApiTypes.BINARY, also=(404,)) | {(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def get(self, _request: Request, number: str) -> HttpResponse:
        invoice = _invoice(number, local_day(now(), self.organization.zone))
        response = HttpResponse(download(invoice, by=self.actor), content_type="application/pdf")
        response["Content-Disposition"] = f'attachment; filename="{invoice.number}.pdf"'
        return response


def _standing(text: str) -> Standing | None:
    try:
        return Standing(text) if text else None
    except ValueError:
        known = ", ".join(Standing)
        raise ApiError(422, "invalid_parameter", f"status is one of {known}.", param="status") from None


def _invoice(number: str, today: dt.date) -> Invoice:
    invoice = listed(today).filter(number=number).first()
    if invoice is None:
        raise ApiError(404, "not_found", "There is no such invoice.")
    return invoice


def _summary(invoice: Invoice, today: dt.date) -> dict[str, Any]:
    note = next(iter(invoice.credit_notes.all()), None)
    return {
        "number": invoice.number,
        "kind": invoice.kind,
        "status": standing_of(invoice, today),
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "period": _period(invoice.period_start, invoice.period_end),
        "currency": invoice.currency,
        "net_usd": _usd(invoice.net),
        "tax_usd": _usd(invoice.tax),
        "total_usd": _usd(invoice.gross),
        "paid_usd": _usd(sum(payment.amount for payment in invoice.payments.all())),
        "due_usd": _usd(due_amount(invoice)),
        "corrects": invoice.corrects.number if invoice.corrects else None,
        "credit_note": note.number if note else None,
    }


def _stated_summary(document: BilledDocument) -> dict[str, Any]:
    """Of a draft: nothing came for it, and nothing is due yet."""
    return {
        "number": document.number,
        "kind": document.kind,
        "status": DRAFT,
        "issued_on": document.issued_on,
        "due_on": None,
        "period": _period(document.period_start, document.period_end),
        "currency": document.currency,
        "net_usd": _usd(document.net),
        "tax_usd": _usd(document.total.tax),
        "total_usd": _usd(document.gross),
        "paid_usd": _usd(0),
        "due_usd": _usd(0),
        "corrects": None,
        "credit_note": None,
    }


def _detail(document: BilledDocument) -> dict[str, Any]:
    return {
        "seller": _party(document.seller),
        "buyer": _party(document.buyer),
        "reference": document.buyer_reference,
        "lines": [_line(line) for line in document.lines],
        "taxes": [
            {
                "label": tax.label,
                "category": tax.amount.rate.category,
                "percent": f"{tax.amount.rate.percent.normalize():f}",
                "net_usd": _usd(tax.amount.net),
                "tax_usd": _usd(tax.amount.tax),
                "note": tax.note,
            }
            for tax in document.taxes
        ],
        "payments": [
            {"received_on": payment.on, "amount_usd": _usd(payment.amount), "method": payment.words}
            for payment in document.payments
        ],
        "notes": list(document.notes),
        "manifest": _manifest(document.proof),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "section": line.section,
        "description": line.description,
        "detail": line.detail,
        "quantity": line.quantity,
        "unit_price_usd": None if line.unit_price is None else f"{line.unit_price:f}",
        "per": line.per,
        "amount_usd": _usd(line.amount),
        "manifest": _manifest(line.proof),
    }


def _party(party: Party) -> dict[str, str]:
    return {name: getattr(party, name) for name in Party.__struct_fields__}


def _manifest(proof: Proof | None) -> dict[str, Any] | None:
    if proof is None:
        return None
    return {"events": proof.events, "worth_usd": proof.worth_usd, "digest": proof.digest}


def _period(first: dt.date, last: dt.date) -> dict[str, dt.date]:
    return {"starts_on": first, "ends_on": last + dt.timedelta(days=1)}


def _usd(minor: int) -> str:
    return f"{Decimal(minor).scaleb(-2):.2f}"

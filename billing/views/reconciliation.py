"""/o/<organization>/costs/reconciliation/: a provider's bill or usage export beside the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audit
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from billing.models import ProviderStatement
from billing.reconciliation.compare import Compared, Comparison, Side, Verdict
from billing.reconciliation.reading import MOST_BYTES
from billing.reconciliation.records import comparison_of, keep
from billing.reconciliation.statement import StatementError
from core.csvcells import Cell, csv_text
from core.money import usd_text
from core.pagination import paginate

TITLE = "Reconciliation"
PAGE_SIZE = 20
MOST_ROWS = 500
PROVIDERS = {"openai": "OpenAI", "anthropic": "Anthropic"}
# Verdict → its words, the badge's looks, and what it means.
VERDICTS: dict[Verdict, tuple[str, str, str]] = {
    Verdict.COST_WITHOUT_USAGE: ("Cost without usage", "is-critical", "billed, and nobody here called it"),
    Verdict.USAGE_WITHOUT_COST: ("Usage without cost", "is-critical", "called here, and not on this bill"),
    Verdict.DIFFERS: ("Differs", "is-warning", "by more than the tolerance"),
    Verdict.PARTIAL: ("Partial day", "is-outline", "the export spans a part of the day"),
    Verdict.AGREES: ("Agrees", "is-ok", "within the tolerance"),
}
_URGENCY = {verdict: place for place, verdict in enumerate(VERDICTS)}
COLUMNS = (
    "day", "model", "verdict", "stated_requests", "our_requests", "stated_tokens", "our_tokens", "stated_cost_usd",
    "our_cost_usd", "tokens_difference", "cost_difference_usd",
)  # fmt: skip

sees = require(Right.SEE_MONEY)


class StatementForm(forms.Form):
    file = forms.FileField(
        label="Export",
        help_text="Usage or costs of OpenAI or Anthropic by day, CSV or JSON, up to 20 MB.",
        widget=forms.ClearableFileInput({"accept": ".csv,.json,.jsonl,text/csv,application/json"}),
    )
    tolerance = forms.DecimalField(
        label="Tolerance",
        help_text="Percent that two sides may differ by and still agree.",
        min_value=Decimal(0),
        max_value=Decimal(50),
        max_digits=4,
        decimal_places=2,
        initial=Decimal(1),
    )

    def clean_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MOST_BYTES:
            raise forms.ValidationError("The export is larger than 20 MB: export a shorter time.")
        return file


@require_http_methods(["GET", "HEAD", "POST"])
@sees
def reconciliations(request: OrganizationRequest) -> HttpResponse:
    """What was uploaded, newest first. POST takes another export, from whoever looks after payment."""
    may_upload = may(request.role, Right.MANAGE_PAYMENT)
    form = StatementForm(request.POST or None, request.FILES or None)
    status = 200
    if request.method == "POST":
        if not may_upload:
            return HttpResponse("Your role does not upload exports.", status=403, content_type="text/plain")
        if form.is_valid():
            try:
                with transaction.atomic():
                    row = keep(
                        request.organization,
                        form.cleaned_data["file"].name or "export",
                        form.cleaned_data["file"].read(),
                        form.cleaned_data["tolerance"],
                        by=request.actor,
                    )
            except StatementError as error:
                form.add_error("file", str(error))
            else:
                return redirect("billing:reconciliation", request.organization.slug, row.pk)
        status = 422
    page = paginate(
        ProviderStatement.objects.defer("rows"),
        {**request.GET.dict(), "limit": str(PAGE_SIZE)},
        ("-created_at", "-id"),
    )
    context = {
        "page": {"title": TITLE},
        "form": form if may_upload else None,
        "statements": [(row, PROVIDERS.get(row.provider, row.provider)) for row in page.rows],
        "next_cursor": page.next_cursor,
    }
    return render(request, "billing/reconciliations.html", context, status=status)


@require_safe
@sees
def reconciliation(request: OrganizationRequest, statement: int) -> HttpResponse:
    """The comparison as the ledger is now; `?only=` shows the rows of one verdict."""
    row = get_object_or_404(ProviderStatement, pk=statement)
    found = comparison_of(row)
    only = next((verdict for verdict in Verdict if verdict == request.GET.get("only")), None)
    rows = [one for one in found.rows if only is None or one.verdict is only]
    # What needs a look stands first; each part is by day and model.
    rows.sort(key=lambda one: _URGENCY[one.verdict])
    path = reverse("billing:reconciliation", args=[request.organization.slug, row.pk])
    context = {
        "page": {"title": row.file_name},
        "statement": row,
        "provider": PROVIDERS.get(row.provider, row.provider),
        "totals": _totals(found),
        "filters": _filters(found, only, path),
        "rows": [_written(one) for one in rows[:MOST_ROWS]],
        "cut": max(0, len(rows) - MOST_ROWS),
        "csv_url": reverse("billing:reconciliation-file", args=[request.organization.slug, row.pk]),
        "may_delete": may(request.role, Right.MANAGE_PAYMENT),
    }
    return render(request, "billing/reconciliation.html", context)


@require_safe
@sees
def reconciliation_file(_request: OrganizationRequest, statement: int) -> HttpResponseBase:
    row = get_object_or_404(ProviderStatement, pk=statement)
    lines = [_cells(one) for one in comparison_of(row).rows]
    response = HttpResponse(csv_text([COLUMNS, *lines]), content_type="text/csv; charset=utf-8")
    name = f"{row.provider}-{row.first_day}-to-{row.last_day}-reconciliation.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_POST
@require(Right.MANAGE_PAYMENT)
def delete_reconciliation(request: OrganizationRequest, statement: int) -> HttpResponseBase:
    row = get_object_or_404(ProviderStatement, pk=statement)
    with transaction.atomic():
        audit.record(request.actor, "provider_statement.delete", row, {}, label=row.file_name)
        row.delete()
    return redirect("billing:reconciliations", request.organization.slug)


def _totals(found: Comparison) -> list[dict[str, Any]]:
    stated, ours = found.total("stated"), found.total("ours")
    return [
        {"label": "Tokens", "format": "tokens", **_pair(stated.tokens, ours.tokens)},
        {"label": "Cost", "format": "money", **_pair(stated.cost_nanos, ours.cost_nanos)},
        {"label": "Requests", "format": "count", **_pair(stated.requests, ours.requests)},
    ]


def _pair(stated: int | None, ours: int | None) -> dict[str, int | None]:
    is_known = stated is not None and ours is not None
    return {"stated": stated, "ours": ours, "difference": (stated or 0) - (ours or 0) if is_known else None}


def _filters(found: Comparison, only: Verdict | None, path: str) -> list[dict[str, Any]]:
    counted: Iterable[tuple[Verdict, int]] = ((verdict, found.count(verdict)) for verdict in VERDICTS)
    options = [{"label": f"All {len(found.rows)}", "url": path, "is_current": only is None}]
    return options + [
        {"label": f"{VERDICTS[verdict][0]} {count}", "url": f"{path}?only={verdict}", "is_current": only is verdict}
        for verdict, count in counted
        if count
    ]


def _written(row: Compared) -> dict[str, Any]:
    label, looks, why = VERDICTS[row.verdict]
    return {"row": row, "label": label, "looks": looks, "why": why}


def _cells(row: Compared) -> list[Cell]:
    stated, ours = row.stated, row.ours

    def both(name: str) -> tuple[Cell, Cell]:
        return getattr(stated, name), getattr(ours, name)

    return [
        row.day.isoformat(), row.model, row.verdict.value, *both("requests"), *both("tokens"), _usd(stated), _usd(ours),
        row.tokens_difference, usd_text(row.cost_difference),
    ]  # fmt: skip


def _usd(side: Side) -> str | None:
    return usd_text(side.cost_nanos)

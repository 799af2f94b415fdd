"""/o/<organization>/integrity/: what the last proof of each month found, and a new proof on request."""

from __future__ import annotations

import datetime as dt

import msgspec
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from core.days import is_within_years
from metering import tasks
from metering.models import Proof
from metering.prove import MonthProof, months_of_rollups, proof_of

# A proof that was asked for longer ago has lost its worker.
PATIENCE = dt.timedelta(minutes=10)


class MonthRow(msgspec.Struct):
    """A month on the page: its last proof, if there is one, and whether another is under way."""

    month: dt.date
    kept: Proof | None
    proof: MonthProof | None
    is_under_way: bool

    @property
    def key(self) -> str:
        return f"{self.month:%Y-%m}"


@require_safe
@require(Right.SEE_USAGE)
def index(request: OrganizationRequest) -> HttpResponse:
    kept = {proof.month: proof for proof in Proof.objects.all()}
    months = sorted({*months_of_rollups(request.organization.pk), *kept}, reverse=True)
    rows = [_row(month, kept.get(month)) for month in months]
    open_month = request.GET.get("month") or next((row.key for row in rows if row.proof), "")
    context = {
        "page": {"title": "Integrity"},
        "rows": rows,
        "open": next((row for row in rows if row.key == open_month), None),
        "is_under_way": any(row.is_under_way for row in rows),
        "may_prove": may(request.role, Right.SEE_MONEY),
        "differing": [row for row in rows if row.proof and not row.proof.is_proved],
        "proved_count": sum(1 for row in rows if row.proof and row.proof.is_proved),
    }
    if request.htmx:
        return render(request, "metering/_integrity.html", context)
    return render(request, "metering/integrity.html", context)


def _row(month: dt.date, kept: Proof | None) -> MonthRow:
    requested_at = kept.requested_at if kept else None
    is_under_way = requested_at is not None and requested_at > now() - PATIENCE
    return MonthRow(month, kept, proof_of(kept) if kept else None, is_under_way)


@require_POST
@require(Right.SEE_MONEY)
def prove(request: OrganizationRequest) -> HttpResponseRedirect:
    """Ask for a proof of one month, or of all."""
    asked = request.POST.get("month", "")
    if asked:
        months = [_month(asked)]
        tasks.enqueue(tasks.prove_months, request.organization.pk, request.actor.label, f"{months[0]}")
    else:
        months = months_of_rollups(request.organization.pk)
        tasks.enqueue(tasks.prove_months, request.organization.pk, request.actor.label)
    for month in months:
        Proof.objects.update_or_create(
            organization_id=request.organization.pk, month=month, defaults={"requested_at": now()}
        )
    messages.success(request, "The proof is under way." if months else "There is no usage to prove yet.")
    address = reverse("metering:integrity", args=[request.organization.slug])
    return redirect(f"{address}?month={asked}" if asked else address)


def _month(text: str) -> dt.date:
    try:
        month = dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise Http404("no such month") from None
    if not is_within_years(month):
        raise Http404("no such month")
    return month

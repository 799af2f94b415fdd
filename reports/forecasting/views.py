"""/o/<organization>/forecast/: what is likely to be used, and how wrong the same was before."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from core.errors import ApiError
from reports.forecasting.asked import Asked, asked_by_member
from reports.forecasting.file import csv_of
from reports.forecasting.page import ForecastPage
from reports.forecasting.records import as_made, fresh

sees_forecasts = require(Right.SEE_USAGE, Right.SEE_OWN_USAGE)


@require_safe
@sees_forecasts
def forecast(request: OrganizationRequest) -> HttpResponse:
    """`?team=search&measure=tokens`: whose, and of what."""
    try:
        asked = asked_by_member(request.membership, request.GET)
    except ApiError as error:
        context = {
            "page": {"title": "Forecast"},
            "error": error,
            "retry_url": reverse("reports:forecast", args=[request.organization.slug]),
        }
        return render(request, "reports/forecast.html", context, status=error.status)
    return render(request, "reports/forecast.html", ForecastPage(request.membership, asked, now()).context())


@require_safe
@sees_forecasts
def forecast_file(request: OrganizationRequest) -> HttpResponse:
    """Every day, total and trial."""
    asked = asked_by_member(request.membership, request.GET)
    kept = fresh(request.organization, [(asked.subject, asked.measure)], now())[asked.subject, asked.measure]
    outlook = as_made(request.organization, kept)
    response = HttpResponse(csv_of(kept, outlook), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{_name(request, asked)}"'
    return response


def _name(request: OrganizationRequest, asked: Asked) -> str:
    whose = "" if asked.key is None else f"-{asked.subject.scope}-{asked.subject.ref}"
    return f"{request.organization.slug}{whose}-{asked.measure}-forecast.csv"

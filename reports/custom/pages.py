"""/o/<organization>/reports/: reports that were saved, files that were made of them, and a new one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.permissions import require
from accounts.requests import OrganizationRequest
from accounts.views.pages import to
from core.errors import ApiError
from reports.custom import making, records, results, scheduling
from reports.custom.definition import Report, report_of, said
from reports.custom.result_pages import row_of
from reports.custom.schedule_rows import schedule_row
from reports.filters import hidden_from
from reports.models import CustomReport, Result
from reports.monthly.listing import latest
from reports.navigation import SEERS
from reports.page import show
from reports.saved.records import may_change

LIST = "reports:reports"
MOST_FILES = 20

sees_usage = require(*SEERS)


@require_GET
@never_cache
@sees_usage
def index(request: OrganizationRequest) -> HttpResponse:
    """Asked for by htmx it is the files alone, while one of them is made."""
    if request.htmx:
        return render(request, "reports/_result_rows.html", files_of(request, None))
    rows = [_row(request, report) for report in records.visible_reports(request.membership)]
    schedules: dict[int, list[dict[str, Any]]] = {}
    for schedule in scheduling.visible_schedules(request.membership).order_by("next_at", "pk"):
        schedules.setdefault(schedule.report_id, []).append(schedule_row(request, schedule))
    others = scheduling.counts_of_others(request.membership)
    for row in rows:
        row["schedules"] = schedules.get(row["report"].pk, [])
        row["others"] = others.get(row["report"].pk, 0)
    context = {
        "page": {"title": "Reports"},
        "own": [row for row in rows if not row["report"].is_shared],
        "shared": [row for row in rows if row["report"].is_shared],
        "new_url": to(request, "reports:report-new"),
        "monthly": latest(request.organization, request.membership, now()),
        **files_of(request, None),
    }
    return render(request, "reports/reports.html", context)


@require_GET
@sees_usage
def new(request: OrganizationRequest) -> HttpResponse:
    """A report as its address has it, with the first rows; nothing is kept."""
    response = show(request, Report)
    if request.htmx and response.status_code == 422:
        # htmx brings in nothing that comes as an error; what is wrong is to be read in the page.
        response.status_code = 200
    return response


@require_GET
@never_cache
@sees_usage
def detail(request: OrganizationRequest, report: int) -> HttpResponse:
    saved = found(request, report)
    if request.htmx:
        return render(request, "reports/_result_rows.html", files_of(request, saved))
    schedules = scheduling.visible_schedules(request.membership).filter(report=saved).order_by("next_at", "pk")
    context = {
        "page": {"title": saved.name},
        **_row(request, saved),
        "schedules": [schedule_row(request, schedule) for schedule in schedules],
        "others": scheduling.counts_of_others(request.membership).get(saved.pk, 0),
        "schedule_url": to(request, "reports:schedule-new", saved.pk),
        "formats": making.FORMAT_NAMES,
        **_seen(request, saved),
        **files_of(request, saved),
    }
    return render(request, "reports/report.html", context)


@require_POST
@sees_usage
def run(request: OrganizationRequest) -> HttpResponse:
    """Have a file made: `query` is the report's address, `report` the saved one it is, `format` of the file."""
    given = request.POST
    file_format = given.get("format", "")
    if file_format not in making.FORMAT_NAMES:
        raise ApiError(422, "invalid_parameter", f"format is one of {', '.join(making.FORMAT_NAMES)}.", param="format")
    saved = found(request, int(given["report"])) if _is_number(given.get("report", "")) else None
    query = QueryDict(given.get("query", ""))
    parameters = saved.parameters if saved else {name: query.getlist(name) for name in query}
    try:
        result = making.ask_for(report_of(request.membership, parameters, now()), file_format, saved)
    except ApiError as error:
        messages.error(request, error.message)
        return redirect(to(request, "reports:report", saved.pk) if saved else _back(request, parameters))
    return redirect(to(request, "reports:result", result.pk))


# ── Parts ──


def found(request: OrganizationRequest, pk: int) -> CustomReport:
    """Raises Http404."""
    saved = records.visible_reports(request.membership).filter(pk=pk).first()
    if saved is None:
        raise Http404("no such report")
    return saved


def url_of(saved: CustomReport, slug: str) -> str:
    """Where it is put together."""
    query = urlencode({**saved.parameters, "report": [saved.pk]}, doseq=True)
    return f"{reverse('reports:report-new', args=[slug])}?{query}"


def files_of(request: OrganizationRequest, saved: CustomReport | None) -> dict[str, Any]:
    """The latest files: of a report, or of everything this person asked for or shares."""
    rows = results.visible_results(request.membership).select_related("report")
    if saved is not None:
        rows = rows.filter(report=saved)
        if not saved.is_shared:
            rows = rows.filter(asked_by=request.membership)
    else:
        rows = rows.filter(Q(asked_by=request.membership) | Q(report__is_shared=True))
    files: list[Result] = list(rows[:MOST_FILES])
    return {
        "files": [row_of(request, result) for result in files],
        "files_url": request.path,
        "is_moving": any(result.is_under_way for result in files),
    }


def _row(request: OrganizationRequest, saved: CustomReport) -> dict[str, Any]:
    is_changeable = may_change(saved, request.membership)
    return {
        "report": saved,
        "said": said(saved.parameters, hidden_from(request.membership.role)),
        "url": to(request, "reports:report", saved.pk),
        "open_url": url_of(saved, request.organization.slug),
        "change_url": to(request, "reports:report-change", saved.pk) if is_changeable else None,
    }


def _seen(request: OrganizationRequest, saved: CustomReport) -> dict[str, Any]:
    """What this person would get of it, or why nothing."""
    try:
        seen = report_of(request.membership, saved.parameters, now())
        seen.definition()
    except ApiError as error:
        return {"problem": error.message}
    return {"whose": seen.whose, "period": seen.period}


def _back(request: OrganizationRequest, parameters: dict[str, list[str]]) -> str:
    return f"{to(request, 'reports:report-new')}?{urlencode(parameters, doseq=True)}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10

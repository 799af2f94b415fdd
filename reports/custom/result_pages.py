"""/o/<organization>/reports/results/: a file on its way, and the file."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe

from accounts import audit
from accounts.permissions import require
from accounts.requests import OrganizationRequest
from accounts.views.pages import to
from core.downloads import ranged_file
from core.errors import ApiError
from core.figures import share
from core.periods import local_day
from reports.custom import results, storage
from reports.custom.making import PDF_TYPE
from reports.models import Result, ResultState
from reports.navigation import SEERS

sees_usage = require(*SEERS)


@require_GET
@never_cache
@sees_usage
def result(request: OrganizationRequest, result: int) -> HttpResponse:
    """What became of it; while it is made the page asks every second."""
    context = row_of(request, _visible(request, result)) | {"page": {"title": "Report file"}}
    template = "reports/_result.html" if request.htmx else "reports/result.html"
    return render(request, template, context)


@require_safe
@sees_usage
def download(request: OrganizationRequest, result: int) -> HttpResponseBase:
    """The file; with Range from where a download broke off.

    Raises Http404 for what this person may not have, ApiError 409 before it is ready and 410 when it is gone.
    """
    found = _visible(request, result)
    if found.is_under_way:
        raise ApiError(409, "not_ready", "This file is being made. Ask again once it is ready.")
    if found.state != ResultState.READY:
        raise ApiError(410, "gone", "There is no file: it was not made, or is deleted. Ask for it again.")
    try:
        response = ranged_file(
            request,
            storage.path_of(found.organization_id, found.stored_as),
            digest=found.sha256,
            content_type=found.content_type,
            file_name=found.file_name,
        )
    except FileNotFoundError as error:
        raise ApiError(
            503, "storage_unavailable", "The file is on a disk that this server does not have.", retry_after=60
        ) from error
    if request.method == "GET" and _begins(response):
        # A download that goes on is the same download.
        audit.record(request.actor, "report.download", found, {"file": (None, found.sha256)}, label=found.title)
    return response


def _begins(response: HttpResponseBase) -> bool:
    """Whether the first byte of the file is in it."""
    return response.status_code == 200 or response.get("Content-Range", "").startswith("bytes 0-")


@require_POST
@sees_usage
def cancel(request: OrganizationRequest, result: int) -> HttpResponse:
    found = _visible(request, result)
    if results.cancel(found, request.membership):
        messages.success(request, f"{found.title} is canceled.")
    else:
        messages.info(request, f"{found.title} was done already.")
    return redirect(to(request, "reports:result", found.pk))


def row_of(request: OrganizationRequest, found: Result) -> dict[str, Any]:
    """What templates/reports/_result.html needs."""
    is_laid_out = found.content_type == PDF_TYPE and found.rows_done > 0
    known = 0 if is_laid_out else found.rows_estimated
    done = share(min(found.rows_done, known), known) if known else None
    return {
        "result": found,
        "progress": done,
        "is_laid_out": is_laid_out,
        "whose": _whose(found),
        "kept_until": _day(found.expires_at, request),
        "url": to(request, "reports:result", found.pk),
        "download_url": to(request, "reports:result-download", found.pk) if found.state == ResultState.READY else None,
        "cancel_url": to(request, "reports:result-cancel", found.pk)
        if results.may_cancel(found, request.membership)
        else None,
    }


def _day(at: dt.datetime, request: OrganizationRequest) -> str:
    day = local_day(at, request.organization.zone)
    return f"{day.day} {day:%b %Y}"


def _whose(found: Result) -> str:
    if found.of_member is not None:
        return f"Usage of {found.of_member.user.name or found.of_member.user.email}"
    return f"Team {found.of_team.name}" if found.of_team is not None else "Everybody's usage"


def _visible(request: OrganizationRequest, pk: int) -> Result:
    """Raises Http404."""
    found = results.visible_results(request.membership).filter(pk=pk).first()
    if found is None:
        raise Http404("no such file")
    return found

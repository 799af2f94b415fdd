"""/o/<organization>/reports/monthly/: the reports of months, to be read, and made where there is none."""

from __future__ import annotations

import datetime as dt

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from accounts import audit
from accounts.models import Team
from accounts.requests import OrganizationRequest
from core.days import is_within_years
from reports.models import MonthlyReport
from reports.monthly.figures import Whose
from reports.monthly.listing import first_readable, listing
from reports.monthly.month import Month
from reports.monthly.records import ask, file_name, may_make, may_see, title_of
from reports.monthly.telling import path_of
from reports.page import sees_usage


@require_safe
@sees_usage
def index(request: OrganizationRequest) -> HttpResponse:
    """`?team=` has a team's; who sees no more than their teams' begins with the first of them."""
    team = _asked_team(request.GET)
    if team is None:
        team = first_readable(request.membership)
    _permit(may_see(request.membership, team.pk if team else 0))
    context = {
        "page": {"title": "Monthly reports"},
        "monthly": listing(request.organization, request.membership, team, now()),
    }
    return render(request, "reports/monthly.html", context)


@require_safe
@sees_usage
def download(request: OrganizationRequest, monthly: int) -> HttpResponse:
    found = MonthlyReport.objects.filter(pk=monthly, made_at__isnull=False).first()
    if found is None:
        raise Http404("no such report")
    _permit(may_see(request.membership, found.ref))
    if request.method == "GET":
        audit.record(request.actor, "report.download", found, {"file": (None, found.digest)}, label=title_of(found))
    name = file_name(found, request.organization.slug)
    response = HttpResponse(bytes(found.content), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{name}"'
    return response


@require_POST
@sees_usage
def make(request: OrganizationRequest) -> HttpResponse:
    """`month`, the `team` or none, and the `revision` it is to be: asking twice for one makes it once."""
    team = _asked_team(request.POST)
    _permit(may_make(request.membership, team.pk if team else 0))
    month, revision = _month(request), request.POST.get("revision", "0")
    if not (revision.isascii() and revision.isdigit() and len(revision) < 4):
        raise Http404("no such revision")
    report = ask(Whose(request.organization, team), month, revision=int(revision), by=request.actor)
    if report.made_at is None:
        messages.success(request, f"The report of {month.name} is being made. You can leave this page.")
    else:
        messages.info(request, f"The report of {month.name} is there.")
    return redirect(path_of(request.organization, team))


def _asked_team(given: QueryDict) -> Team | None:
    slug = given.get("team", "")
    if not slug:
        return None
    team: Team | None = Team.objects.filter(slug__iexact=slug).first() if "\0" not in slug else None
    if team is None:
        raise Http404("no such team")
    return team


def _month(request: OrganizationRequest) -> Month:
    """Raises Http404 for what is no month."""
    try:
        first = dt.datetime.strptime(request.POST.get("month", ""), "%Y-%m").date()  # noqa: DTZ007  (a month has no zone)
    except ValueError as error:
        raise Http404("no month") from error
    if not is_within_years(first):
        raise Http404("no month of ours")
    return Month(first, request.organization.zone)


def _permit(is_permitted: bool) -> None:
    if not is_permitted:
        raise PermissionDenied("Your role here does not read these reports.")

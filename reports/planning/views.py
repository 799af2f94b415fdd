"""/o/<organization>/planning/: budgets proposed from what is likely to come, and set."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_safe

from accounts.permissions import Right, administered_team_ids, may, require
from accounts.requests import OrganizationRequest
from billing.budgets.reach import Reach
from core.errors import ApiError
from reports.planning.page import context, csv_of
from reports.planning.plan import Plan, Row, make_plan
from reports.planning.scenario import Scenario
from reports.planning.setting import read_wanted, set_budgets, written

plans = require(Right.SEE_USAGE, Right.SEE_OWN_USAGE)
TEMPLATE = "reports/planning.html"


@require_safe
@plans
def planning(request: OrganizationRequest) -> HttpResponse:
    """The address has the scenario; with none, things go on as they are."""
    reach, teams = _seen(request)
    try:
        scenario = Scenario.read(request.GET)
    except ApiError as error:
        retry_url = reverse("reports:planning", args=[request.organization.slug])
        given = {"page": {"title": "Budget planning"}, "error": error, "retry_url": retry_url}
        return render(request, TEMPLATE, given, status=error.status)
    at = now()
    plan = make_plan(request.organization, scenario, at, reach, teams)
    response = render(request, TEMPLATE, context(request.organization, plan, at))
    query = scenario.query()
    response["HX-Push-Url"] = f"{request.path}?{query}" if query else request.path
    return response


@require_safe
@plans
def planning_file(request: OrganizationRequest) -> HttpResponse:
    reach, teams = _seen(request)
    plan = make_plan(request.organization, Scenario.read(request.GET), now(), reach, teams)
    response = HttpResponse(csv_of(plan), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-plan.csv"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@plans
def planning_apply(request: OrganizationRequest) -> HttpResponse:
    """`?for=team:3&for=team:7` and the scenario: what would be set; posted, it is, as it was shown."""
    reach, teams = _seen(request)
    if not (reach.sets_all or reach.sets):
        raise PermissionDenied("Budgets are set by owners, admins, finance and those who administer a team.")
    slug = request.organization.slug
    if request.method == "POST":
        try:
            done = set_budgets(
                request.organization,
                read_wanted(request.organization, request.POST.getlist("budget")),
                reach,
                by=request.actor,
            )
        except ApiError as error:
            messages.error(request, error.message)
            return redirect(reverse("reports:planning", args=[slug]))
        messages.success(request, done.words)
        return redirect(reverse("billing:budgets", args=[slug]))
    scenario = Scenario.read(request.GET)
    plan = make_plan(request.organization, scenario, now(), reach, teams)
    query = scenario.query()
    back = reverse("reports:planning", args=[slug])
    given = {
        "page": {"title": "Set these budgets?"},
        "rows": [(row, written(request.organization, row)) for row in _chosen(plan, request.GET.getlist("for"))],
        "back": f"{back}?{query}" if query else back,
    }
    return render(request, "reports/planning_apply.html", given)


def _chosen(plan: Plan, wanted: Sequence[str]) -> list[Row]:
    """Those that were chosen; with none, all that have no budget yet."""
    rows = [*plan.rows, *([plan.whole] if plan.whole is not None else [])]
    settable = [row for row in rows if row.may_set and row.proposed is not None]
    return [row for row in settable if row.of in wanted] if wanted else [row for row in settable if row.current is None]


def _seen(request: OrganizationRequest) -> tuple[Reach, Sequence[int] | None]:
    """Everybody's, or the teams a member administers. Raises PermissionDenied where there are none."""
    reach = Reach.of(request.membership)
    if may(request.role, Right.SEE_USAGE):
        return reach, None
    teams = administered_team_ids(request.membership)
    if not teams:
        raise PermissionDenied("Budgets are planned by who sees everybody's usage, or administers a team.")
    return reach, sorted(teams)

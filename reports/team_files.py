"""What the pages of teams show, as files: by team, over time, and by cost center."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.views.decorators.http import require_GET

from accounts.models import Department
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from core.csvcells import csv_text
from core.errors import ApiError
from core.periods import Interval
from metering.query.export import FORMATS, TIMESTAMP, make_export
from metering.query.export_api import stream
from metering.query.metrics import Figures, written
from reports.breakdown import FILE_COLUMNS
from reports.page import sees_usage
from reports.stacks import name_of
from reports.teams import Teams

COST_CENTER_METRICS = (
    "requests", "prompt_tokens", "completion_tokens", "total_tokens", "cost_usd", "input_cost_usd", "output_cost_usd",
)  # fmt: skip
COST_CENTER_COLUMNS = ("cost_center", "departments", *COST_CENTER_METRICS, "unpriced_tokens")


@require_GET
@sees_usage
def teams_file(request: OrganizationRequest) -> HttpResponseBase:
    """Every team with usage, exact to the last digit."""
    return _export(request, None)


@require_GET
@sees_usage
def trend_file(request: OrganizationRequest) -> HttpResponseBase:
    """The same by the interval of the page."""
    return _export(request, _of_its_plan(request).chosen.interval)


def _of_its_plan(request: OrganizationRequest) -> Teams:
    """Raises ApiError 403 where the organization's plan has no figures of teams."""
    page = Teams.of(request)
    if not page.is_included:
        raise ApiError(403, "not_in_plan", "The organization's plan does not include usage by team.")
    return page


def _export(request: OrganizationRequest, interval: Interval | None) -> HttpResponseBase:
    columns = (*((TIMESTAMP,) if interval else ()), "team", *FILE_COLUMNS)
    export = make_export(_of_its_plan(request).chosen.query(request.organization.pk), columns, interval)
    name = "-".join((request.organization.slug, "by", *((interval,) if interval else ()), "team"))
    return stream(request, export, FORMATS["csv"], f"{name}.csv")


@require_GET
@require(Right.SEE_USAGE)
def cost_centers(request: OrganizationRequest) -> HttpResponseBase:
    """For the accounts: what each cost center used and cost, exact to the last digit; usage without one in the end."""
    page = _of_its_plan(request)
    found = page.run(group_by=("department",))
    about = {d.pk: d for d in Department.objects.all()}
    sums: dict[str, Figures] = defaultdict(Figures)
    names: dict[str, set[str]] = defaultdict(set)
    for row in found.rows:
        known = about.get(int(row.group["department"].ref or 0))
        center = known.cost_center if known else ""
        sums[center] += row.figures
        names[center].add(name_of(row.group["department"], "department"))
    lines: list[list[Any]] = [list(COST_CENTER_COLUMNS)]
    for center in sorted(sums, key=lambda one: (not one, one)):
        figures = written(sums[center], COST_CENTER_METRICS)
        lines.append([center, "; ".join(sorted(names[center])), *figures.values(), sums[center].unpriced_tokens])
    response = HttpResponse(csv_text(lines), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-cost-centers.csv"'
    return response

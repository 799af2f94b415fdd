"""Pages that read usage. What they show is made in overview.py and series.py."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_GET

from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from core.errors import ApiError
from metering.dimensions import DIMENSIONS
from metering.query import run as asking
from metering.query.export import FORMATS, make_export
from metering.query.export_api import stream
from metering.query.latest import latest_event_at
from metering.query.plan import Source
from metering.query.spec import TEXT_DIMENSIONS
from reports.filters import Chosen, dimension_label, hidden_from
from reports.overview import Overview
from reports.series import MEASURES

# A recount reads every event of the range; beyond this the integrity page does it behind the scenes.
MOST_RECOUNTED = 300_000
MOST_CHOICES = 200

sees_usage = require(Right.SEE_USAGE, Right.SEE_OWN_USAGE)


def _chosen(request: OrganizationRequest, path: str | None = None) -> Chosen:
    chosen = Chosen.read(
        path or reverse("reports:overview", args=[request.organization.slug]),
        request.GET,
        request.organization.zone,
        now(),
        default_range="month",
        measures=tuple(MEASURES),
    )
    if not may(request.role, Right.SEE_USAGE):
        # A member's view is of their own usage, whatever the address says.
        chosen.filters.pop("user", None)
        chosen.filters["member"] = (request.membership.pk,)
    return chosen


def _overview(request: OrganizationRequest) -> Overview:
    return Overview(request.organization, request.membership, _chosen(request), now())


@require_GET
@sees_usage
def overview(request: OrganizationRequest) -> HttpResponseBase:
    try:
        context = _overview(request).context()
    except ApiError as error:
        path = reverse("reports:overview", args=[request.organization.slug])
        problem = {"title": "This view does not exist", "text": error.message, "retry_url": path}
        page = {
            "title": "Overview",
            "has_data": False,
            "range": {"options": []},
            "interval": {"options": []},
            "compare": {},
        }
        return render(request, "reports/overview.html", {"page": page, "error": problem}, status=error.status)
    return render(request, "reports/overview.html", context)


@require_GET
@sees_usage
def series_csv(request: OrganizationRequest) -> HttpResponseBase:
    """The chart's table, exact to the last digit."""
    chosen = _chosen(request)
    measure = MEASURES[chosen.measure]
    series = asking.run(chosen.query(request.organization.pk, interval=chosen.interval))
    rows = [row for row in series.rows if row.start <= now()]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["start", *(line.label.lower() for line in measure.lines)])
    for row in rows:
        values = [measure.exact(line.value(row.figures)) for line in measure.lines]
        writer.writerow([row.start.astimezone(chosen.zone).isoformat(), *values])
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{chosen.measure}-by-{chosen.interval}.csv"'
    return response


@require_GET
@sees_usage
def export(request: OrganizationRequest) -> HttpResponseBase:
    """The range by hour and model, the same file as the API's."""
    chosen = _chosen(request)
    file = make_export(chosen.query(request.organization.pk))
    first, last = (
        at.astimezone(chosen.zone).date()
        for at in (chosen.range.start, chosen.range.end - dt.timedelta(microseconds=1))
    )
    return stream(request, file, FORMATS["csv"], f"{request.organization.slug}-usage-{first}-to-{last}.csv")


@require_GET
@sees_usage
def recount(request: OrganizationRequest) -> HttpResponseBase:
    """The proof line, after counting the events themselves beside the roll-ups the page was made of."""
    view = _overview(request)
    query = view.chosen.query(request.organization.pk)
    totals = asking.run(query).totals
    last = latest_event_at(request.organization.pk)
    if last is None:
        raise Http404("nothing to count")
    proof: dict[str, Any] = view.proof(totals, last) | {"recount_url": None}
    if totals.requests <= MOST_RECOUNTED:
        counted = asking.run(query, sources=frozenset({Source.EVENTS})).totals
        proof["events"] = counted.requests
        proof["difference"] = 0 if counted == totals else (abs(counted.total_tokens - totals.total_tokens) or 1)
    return render(request, "components/proof.html", {"proof": proof})


@require_GET
@sees_usage
def choose(request: OrganizationRequest, dimension: str) -> HttpResponseBase:
    """The values of a dimension in the chosen range, each a link that filters the overview by it."""
    is_known = dimension in DIMENSIONS or dimension in TEXT_DIMENSIONS
    if not is_known or dimension in hidden_from(request.role):
        raise Http404("no such dimension")
    chosen = _chosen(request)
    found = asking.run(chosen.query(request.organization.pk, group_by=(dimension,), limit=MOST_CHOICES))
    rows = [
        {
            "label": row.group[dimension].label or "none",
            "figures": row.figures,
            "url": chosen.filtered_url(dimension, row.group[dimension].key),
        }
        for row in found.rows
    ]
    page = {
        "title": f"Filter by {dimension_label(dimension)}",
        "back_url": chosen.url(),
        "is_cut": found.next_cursor is not None,
    }
    context = {"page": page, "rows": rows, "column": dimension_label(dimension), "most": MOST_CHOICES}
    return render(request, "reports/choose.html", context)

"""Pages that read usage. What they show is made in overview.py and series.py."""

from __future__ import annotations

import csv
import io
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from core.requests import kept_offline
from metering.dimensions import DIMENSIONS
from metering.query import run as asking
from metering.query.latest import latest_event_at
from metering.query.plan import Source
from metering.query.spec import TAG, TEXT_DIMENSIONS
from reports.calls import Calls
from reports.chats import Chats
from reports.comparison import ComparisonPage
from reports.costs import Costs
from reports.custom.definition import Report
from reports.efficiency import EfficiencyPage
from reports.features import Features
from reports.files import Files
from reports.filters import dimension_label
from reports.integrations import Integrations
from reports.live.reading import live_body
from reports.model_analytics import Models
from reports.overview import Overview
from reports.page import UsagePage, show
from reports.patterns import Patterns
from reports.series import MEASURES
from reports.shared_costs import SharedCosts
from reports.teams import Teams
from reports.tokens import Tokens
from reports.usage import Usage
from reports.voice import Voice

# A recount reads every event of the range; beyond this the integrity page does it behind the scenes.
MOST_RECOUNTED = 300_000
MOST_CHOICES = 200

sees_usage = require(Right.SEE_USAGE, Right.SEE_OWN_USAGE)


# The pages a filter is chosen for, by their word in the address.
PAGES: dict[str, type[UsagePage]] = {
    "overview": Overview,
    "usage": Usage,
    "models": Models,
    "chats": Chats,
    "files": Files,
    "features": Features,
    "integrations": Integrations,
    "voice": Voice,
    "costs": Costs,
    "comparison": ComparisonPage,
    "patterns": Patterns,
    "efficiency": EfficiencyPage,
    "tokens": Tokens,
    "calls": Calls,
    "teams": Teams,
    "shared-costs": SharedCosts,
    "report-new": Report,
}


@require_GET
@sees_usage
@kept_offline
def overview(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Overview)


@require_GET
@never_cache
@sees_usage
def overview_live(request: OrganizationRequest) -> HttpResponseBase:
    """What a frame of the stream has, for browsers that cannot have the stream."""
    return JsonResponse(live_body(Overview.of(request)))


@require_GET
@sees_usage
def overview_stream(_request: OrganizationRequest) -> HttpResponseBase:
    """Reached only where the edge does not stand before the pages (live/stream.py): no stream, so the page asks."""
    return HttpResponse(status=204)


@require_GET
@sees_usage
def series_csv(request: OrganizationRequest) -> HttpResponseBase:
    """The chart's table, exact to the last digit."""
    chosen = Overview.of(request).chosen
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
def recount(request: OrganizationRequest) -> HttpResponseBase:
    """The proof line, after counting the events themselves beside the roll-ups the page was made of."""
    view = Overview.of(request)
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
def choose(request: OrganizationRequest, page: str, dimension: str) -> HttpResponseBase:
    """The values of a dimension in the chosen range, each a link that filters the page by it."""
    if page not in PAGES:
        raise Http404("no such page")
    view = PAGES[page].of(request)
    is_known = dimension in DIMENSIONS or dimension in TEXT_DIMENSIONS or dimension.startswith(TAG)
    if not is_known or dimension in view.hidden:
        raise Http404("no such dimension")
    found = view.run(group_by=(dimension,), limit=MOST_CHOICES)
    rows = [
        {
            "label": row.group[dimension].label or "none",
            "figures": row.figures,
            "url": view.chosen.filtered_url(dimension, row.group[dimension].key),
        }
        for row in found.rows
    ]
    head = {
        "title": f"Filter by {dimension_label(dimension)}",
        "back_url": view.chosen.url(),
        "back_label": view.title,
        "is_cut": found.next_cursor is not None,
    }
    context = {"page": head, "rows": rows, "column": dimension_label(dimension), "most": MOST_CHOICES}
    return render(request, "reports/choose.html", context)

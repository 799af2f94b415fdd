"""The Connect page: how to send usage, and whether it arrives. Its texts to copy are in examples.py."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.keys import active_keys
from accounts.models import APIKey, Scope
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from metering.gateway.upstreams import in_order
from metering.query.events import EventRow, list_events
from metering.query.latest import latest_event_at
from metering.query.metrics import Figures
from metering.query.ranges import named_range
from metering.query.run import run
from metering.query.spec import FilterValue, UsageQuery
from reports.examples import REST_OF_KEY, WAYS, way_called
from reports.filters import hidden_from

# What counts as arriving: a range that every store finds quickly, up to the clocks that are ahead of ours.
RECENT = dt.timedelta(days=30)
AHEAD = dt.timedelta(minutes=10)
# A key for all that is shown here.
NEW_KEY = {"scopes": [Scope.USAGE_WRITE, Scope.GATEWAY]}

sees_usage = require(Right.SEE_USAGE, Right.SEE_OWN_USAGE)


@require_safe
@sees_usage
def connect(request: OrganizationRequest) -> HttpResponse:
    """`?with=` is the way that is shown."""
    way = way_called(request.GET.get("with", ""))
    key = _key(request, way.scopes)
    may_make = may(request.role, Right.MANAGE_OWN_KEYS)
    path = reverse("reports:connect", args=[request.organization.slug])
    context = {
        "page": {"title": "Connect"},
        "ways": [
            {"label": one.label, "name": one.name, "url": f"{path}?with={one.name}", "is_current": one is way}
            for one in WAYS
        ],
        "way": way,
        "snippets": way.snippets(settings.BASE_URL, f"{key.prefix if key else 'tl_'}{REST_OF_KEY}"),
        "key": key,
        "new_key_url": f"{reverse('accounts:key-create', args=[request.organization.slug])}?"
        f"{urlencode(NEW_KEY, doseq=True)}"
        if may_make
        else None,
        "base_url": settings.BASE_URL,
        "lacks_upstream": Scope.GATEWAY in way.scopes and not in_order().filter(is_active=True).exists(),
        "upstreams_url": reverse("metering:upstreams", args=[request.organization.slug])
        if may(request.role, Right.MANAGE_INTEGRATIONS)
        else None,
        "live": live_state(request),
    }
    return render(request, "reports/connect.html", context)


@require_safe
@never_cache
@sees_usage
def live(request: OrganizationRequest) -> HttpResponse:
    """What has arrived, for the page that shows `?state=`; 204 while that is still so."""
    state = live_state(request)
    shown = request.GET.get("state", "")
    if shown == state["state"]:
        return HttpResponse(status=204)
    return render(request, "reports/_connect_live.html", {"live": state, "has_arrived": shown.startswith("waiting")})


def _key(request: OrganizationRequest, scopes: tuple[Scope, ...]) -> APIKey | None:
    """A working key of the viewer's that may do all this, else one of nobody's that they manage; the newest."""
    own = Q(member=request.membership)
    mine = own | Q(member=None) if may(request.role, Right.MANAGE_KEYS) else own
    rows = [key for key in active_keys().filter(mine).order_by("-pk") if set(scopes) <= set(key.scopes)]
    return next((key for key in rows if key.member_id == request.membership.pk), rows[0] if rows else None)


# ── What arrives ──


def live_state(request: OrganizationRequest) -> dict[str, Any]:
    """The newest event and today's figures, as far as the viewer may see them. `state` changes when any of it does."""
    at = now()
    event = _newest(request, at)
    today = _today(request, at)
    key = event.key.hex if event else "waiting"
    return {
        "event": event,
        "shows_key": event is not None and "api_key" not in hidden_from(request.role),
        "today": today,
        "is_first": event is None and latest_event_at(request.organization.pk) is None,
        "state": f"{key}-{today.requests}-{today.total_tokens}-{today.cost_nanos}",
    }


def _filters(request: OrganizationRequest) -> dict[str, tuple[FilterValue, ...]]:
    """Without the right to see everybody's usage it is one's own."""
    return {} if may(request.role, Right.SEE_USAGE) else {"member": (request.membership.pk,)}


def _newest(request: OrganizationRequest, at: dt.datetime) -> EventRow | None:
    found = list_events(request.organization.pk, at - RECENT, at + AHEAD, _filters(request), limit=1)
    return found.rows[0] if found.rows else None


def _today(request: OrganizationRequest, at: dt.datetime) -> Figures:
    day = named_range("today", request.organization.zone, at)
    zone = request.organization.zone
    return run(UsageQuery(request.organization.pk, day.start, day.end, zone, filters=_filters(request))).totals

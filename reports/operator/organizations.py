"""The organizations of the installation: a list to search and sort, and each one's standing on a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_GET

from accounts.audit_log import Filter, changes_of, entries
from accounts.keys import active_keys
from accounts.models import APIKey, Membership, Organization, Project, Team
from billing.credits import settlement
from billing.credits.listing import entries_of, grants, promotional_nanos, row_of
from core.periods import UTC, month_start, next_month
from core.tenancy import organization_scope, unscoped
from metering.limits.standing import Standing, of_organization
from metering.models import LimitUnit, RateLimit
from metering.query.across import ORGANIZATION, AcrossQuery, run_across
from metering.query.latest import latest_event_at, latest_events
from metering.query.metrics import Figures
from reports.operator import invoices, subscriptions
from reports.operator.access import operator_only
from reports.search.found import Found, Section

A_PAGE = 50
MOST_OPTIONS = 8
MOST_ENTRIES = 15
MOST_MEMBERS = 200
MOST_CREDIT_ENTRIES = 8
# Who sent nothing for that long is told apart from who does every day.
QUIET_AFTER = dt.timedelta(days=14)
_NEVER = dt.datetime.min.replace(tzinfo=UTC)


class Row(msgspec.Struct, frozen=True):
    """An organization with what it used this month, by its own days."""

    organization: Organization
    figures: Figures
    members: int
    last_event_at: dt.datetime | None
    state: str


_SORTS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.organization.name.lower(),
    "cost": lambda row: row.figures.known_cost_nanos,
    "tokens": lambda row: row.figures.total_tokens,
    "members": lambda row: row.members,
    "last": lambda row: row.last_event_at or _NEVER,
    "created": lambda row: row.organization.created_at,
}
_COLUMNS = (
    ("name", "Organization", ""),
    ("cost", "Cost this month", "tl-r"),
    ("tokens", "Tokens", "tl-r tl-lg"),
    ("members", "Members", "tl-r tl-lg"),
    ("last", "Last event", ""),
    ("created", "Created", "tl-lg"),
)


@require_GET
@operator_only
def index(request: HttpRequest) -> HttpResponseBase:
    """`?q=` searches names, addresses and members' e-mail; `?sort=` is a column, with - the largest first."""
    words = request.GET.get("q", "").replace("\0", "").strip()
    sort = request.GET.get("sort", "-cost")
    name = sort.removeprefix("-")
    if name not in _SORTS:
        sort, name = "-cost", "cost"
    rows = sorted(_rows(words), key=lambda row: row.organization.name.lower())
    rows.sort(key=_SORTS[name], reverse=sort.startswith("-"))
    page = Paginator(rows, A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": {"title": "Organizations", "subtitle": f"{now():%B %Y}, every day in its organization’s own time zone"},
        "rows": page,
        "count": len(rows),
        "q": words,
        "columns": [_column(column, sort, words) for column in _COLUMNS],
        "older": _address(sort, words, page.next_page_number()) if page.has_next() else None,
        "newer": _address(sort, words, page.previous_page_number()) if page.has_previous() else None,
    }
    return render(request, "operator/organizations.html", context)


@require_GET
@operator_only
def found(request: HttpRequest) -> HttpResponseBase:
    """A fragment for the palette: the same organizations, by name. The places it lists by itself."""
    words = request.GET.get("q", "").replace("\0", "").strip()
    with unscoped("the operator looks for organizations"):
        rows = tuple(
            Found(one.name, reverse("operator:organization", args=[one.slug]), "building", one.slug)
            for one in _called(words).order_by("name")[:MOST_OPTIONS]
        )
    context = {
        "sections": [Section("organizations", "Organizations", rows)] if rows else [],
        "all_url": f"{reverse('operator:organizations')}?{urlencode({'q': words})}",
    }
    return render(request, "reports/_search_options.html", context)


def _called(words: str) -> QuerySet[Organization]:
    """By name, address or members' e-mail; every organization when nothing is asked. Needs to be unscoped."""
    found = Organization.objects.all()
    if not words:
        return found
    of_people = Membership.objects.filter(user__email__icontains=words).values("organization_id")
    return found.filter(Q(name__icontains=words) | Q(slug__icontains=words) | Q(pk__in=of_people))


def _rows(words: str) -> list[Row]:
    with unscoped("the operator lists every organization"):
        organizations = list(_called(words))
        counts = Membership.objects.filter(ended_at=None).order_by().values_list("organization_id")
        members = dict(counts.annotate(Count("id")))
    figures, latest, at = month_figures(), latest_events(), now()
    return [
        Row(
            one,
            figures.get(one.pk, Figures()),
            members.get(one.pk, 0),
            latest.get(one.pk),
            _state(latest.get(one.pk), at),
        )
        for one in organizations
    ]


def month_figures(slug: str | None = None) -> dict[int, Figures]:
    """Each organization's use of this month; of the one named."""
    today = now().date()
    query = AcrossQuery(
        month_start(today),
        next_month(today),
        group_by=(ORGANIZATION,),
        filters={ORGANIZATION: (slug,)} if slug else {},
    )
    return {int(row.group[ORGANIZATION].ref or 0): row.figures for row in run_across(query).rows}


def _state(last_event_at: dt.datetime | None, at: dt.datetime) -> str:
    if last_event_at is None:
        return "no usage yet"
    return "quiet" if at - last_event_at > QUIET_AFTER else "active"


def _column(column: tuple[str, str, str], sort: str, words: str) -> dict[str, Any]:
    """A heading that sorts: by itself first as one wants it, then the other way."""
    name, label, classes = column
    is_current, is_down = sort.removeprefix("-") == name, sort.startswith("-")
    turned = name if is_current and is_down else f"-{name}"
    if name == "name" and not is_current:
        turned = name
    return {
        "label": label,
        "classes": classes,
        "url": _address(turned, words),
        "direction": ("descending" if is_down else "ascending") if is_current else "",
    }


def _address(sort: str, words: str, page: int = 1) -> str:
    given = {"sort": sort, **({"q": words} if words else {}), **({"page": page} if page > 1 else {})}
    return f"{reverse('operator:organizations')}?{urlencode(given)}"


# ── One ──


@require_GET
@operator_only
def detail(request: HttpRequest, slug: str) -> HttpResponseBase:
    organization = named(slug)
    at = now()
    figures = month_figures(slug).get(organization.pk, Figures())
    last = latest_event_at(organization.pk)
    with organization_scope(organization.pk):
        people = Membership.objects.filter(ended_at=None).select_related("user").order_by("role", "user__email")
        context = {
            "page": {"title": organization.name},
            "organization": organization,
            "figures": figures,
            "last_event_at": last,
            "state": _state(last, at),
            "members": [
                {"membership": row, "is_operator": row.user.is_operator, "is_active": row.user.is_active}
                for row in people[:MOST_MEMBERS]
            ],
            "member_count": people.count(),
            "counts": [
                ("Active API keys", active_keys().count()),
                ("API keys ever made", APIKey.objects.count()),
                ("Projects", Project.objects.filter(archived_at=None).count()),
                ("Teams", Team.objects.count()),
            ],
            "subscription": subscriptions.panel(organization, at),
            "invoices": invoices.panel(organization, at),
            "credits": _credits(organization, at),
            "limits": [_limit(one) for one in of_organization(organization.pk, at)],
            "rates": RateLimit.objects.filter(organization=organization).first(),
            "entries": [(entry, changes_of(entry)) for entry in entries(Filter())[:MOST_ENTRIES]],
            "usage_url": f"{reverse('operator:overview')}?{urlencode({ORGANIZATION: slug})}",
        }
        return render(request, "operator/organization.html", context)


def _credits(organization: Organization, at: dt.datetime) -> dict[str, Any]:
    given, expires_at = promotional_nanos(grants(), at)
    return {
        "standing": settlement.standing(organization, at),
        "promotional": given,
        "expires_at": expires_at,
        "rows": [row_of(entry) for entry in entries_of(None)[:MOST_CREDIT_ENTRIES]],
    }


def named(slug: str) -> Organization:
    """Raises Http404 for an organization that there is not."""
    with unscoped("the operator looks an organization up by its name in the address"):
        organization: Organization | None = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise Http404("no such organization")
    return organization


def _limit(standing: Standing) -> dict[str, Any]:
    return {
        "label": standing.rule.label,
        "kind": standing.rule.kind,
        "unit": "money" if standing.rule.unit == LimitUnit.COST else "tokens",
        "amount": standing.amount,
        "used": standing.used,
        "held": standing.held,
    }

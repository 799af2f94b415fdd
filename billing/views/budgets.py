"""/o/<organization>/budgets/: what is meant to be spent against what is, and who may set it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms.organization import refusals_in
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, to
from billing.budgets import records
from billing.budgets.actuals import Actual, actuals
from billing.budgets.forms import BudgetForm
from billing.budgets.listing import SCOPE_ICONS, csv_of, rows_of, summary_of
from billing.budgets.reach import Reach
from billing.budgets.suggestions import Suggestion, suggest
from billing.models import Budget, BudgetScope
from core.errors import ApiError
from core.money import usd_text
from core.periods import local_day

PAGE, DETAIL = "billing:budgets", "reports:budget"
sees_budgets = require(Right.SEE_USAGE, Right.SEE_OWN_USAGE)


@require_safe
@sees_budgets
def index(request: OrganizationRequest) -> HttpResponse:
    reach = Reach.of(request.membership)
    found = _actuals(request, reach)
    return render(
        request,
        "billing/budgets.html",
        {
            "page": {"title": "Budgets"},
            "day": local_day(now(), request.organization.zone),
            "rows": rows_of(found, reach, request.organization.slug),
            "summary": summary_of(found),
            "may_create": reach.sets_all or bool(reach.sets),
            "sees_all": reach.sees_all,
        },
    )


@require_safe
@sees_budgets
def export(request: OrganizationRequest) -> HttpResponse:
    response = HttpResponse(
        csv_of(_actuals(request, Reach.of(request.membership))), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="budgets-{request.organization.slug}.csv"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@sees_budgets
def create(request: OrganizationRequest) -> HttpResponse:
    """`?of=team:2&amount=540` begins with a suggestion."""
    reach = _setting(request)
    initial = {"of": request.GET.get("of", ""), "amount": request.GET.get("amount", "")}
    form = BudgetForm(request.POST or None, organization=request.organization, reach=reach, initial=initial)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            records.create_budget(request.organization, form.values(), reach, by=request.actor)
            messages.success(request, "Budget added.")
            return redirect(to(request, PAGE))
    return _form(request, form, "New budget", submit="Add budget", back=to(request, PAGE))


@require_http_methods(["GET", "HEAD", "POST"])
@sees_budgets
def change(request: OrganizationRequest, budget: int) -> HttpResponse:
    row, reach = _settable(request, budget)
    form = BudgetForm(request.POST or None, organization=request.organization, reach=reach, budget=row)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            records.change_budget(row, form.values(), reach, by=request.actor)
            messages.success(request, "Budget saved.")
            return redirect(to(request, DETAIL, row.pk))
    archive_page = ("Archive budget", to(request, "billing:budget-archive", row.pk))
    return _form(request, form, "Budget", submit="Save budget", back=to(request, DETAIL, row.pk), delete=archive_page)


@require_http_methods(["GET", "HEAD", "POST"])
@sees_budgets
def archive(request: OrganizationRequest, budget: int) -> HttpResponse:
    row, reach = _settable(request, budget)
    return confirm_page(
        request,
        "Archive this budget?",
        "It bounds no call and tells nobody any more. What was told stays.",
        submit="Archive budget",
        back=to(request, PAGE),
        act=lambda: records.archive_budget(row, reach, by=request.actor),
        done="Budget archived.",
    )


@require_safe
@sees_budgets
def suggestions(request: OrganizationRequest) -> HttpResponse:
    """`?scope=` chooses whose; teams unless given."""
    reach = _setting(request)
    scope = request.GET.get("scope", BudgetScope.TEAM.value)
    if scope not in BudgetScope.values:
        raise Http404
    found = suggest(request.organization, scope, reach, now())
    create_url = to(request, "billing:budget-create")
    context = {
        "page": {"title": "Suggested budgets"},
        "scopes": [
            {"label": choice.label, "url": f"?scope={choice.value}", "is_current": choice.value == scope}
            for choice in BudgetScope
        ],
        "scope": BudgetScope(scope).label,
        "icon": SCOPE_ICONS[scope],
        "rows": [{"suggestion": one, "url": f"{create_url}?{_as_query(one)}"} for one in found],
        "back": reverse(PAGE, args=[request.organization.slug]),
    }
    return render(request, "billing/budget_suggestions.html", context)


def _form(request: OrganizationRequest, form: BudgetForm, title: str, **context: Any) -> HttpResponse:
    context |= {"form": form, "page": {"title": title}}
    return render(request, "billing/budget_form.html", context, status=422 if form.errors else 200)


def _as_query(one: Suggestion) -> str:
    return urlencode({"of": f"{one.scope}:{one.subject.ref or 0}", "amount": usd_text(one.amount_nanos) or ""})


def _actuals(request: OrganizationRequest, reach: Reach) -> list[Actual]:
    return actuals(request.organization, records.open_budgets(reach), now())


def _setting(request: OrganizationRequest) -> Reach:
    reach = Reach.of(request.membership)
    if not (reach.sets_all or reach.sets):
        raise PermissionDenied("Budgets are set by owners, admins, finance and those who administer a team.")
    return reach


def _settable(request: OrganizationRequest, budget_id: int) -> tuple[Budget, Reach]:
    """A budget to change: 404 unless it may be seen, 403 unless it may be set."""
    reach = Reach.of(request.membership)
    try:
        row = records.find(budget_id, reach)
    except ApiError as error:
        raise Http404 from error
    if not reach.may_set(row.scope, row.ref):
        raise PermissionDenied("You may see this budget, not set it.")
    return row, reach

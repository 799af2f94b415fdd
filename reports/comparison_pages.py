"""/o/<organization>/costs/comparison/kept/: comparisons under a name, one of them, and whether it still holds."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from accounts.forms.organization import refusals_in
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, form_page, to
from core import figures as words
from core.errors import ApiError
from metering.pricing.book import PriceBook
from metering.query.comparison import compare
from metering.query.gpus import Gpus
from metering.query.ranges import Span
from reports.comparison import WITH, ComparisonPage, elapsed_hours
from reports.comparison_figures import figures_context, file_text
from reports.comparison_records import (
    Again,
    Kept,
    check_delete,
    delete,
    figures_of,
    keep,
    make_again,
    may_delete,
    visible_comparisons,
)
from reports.filters import NOTHING, dimension_label, period_words
from reports.models import KeptComparison
from reports.page import sees_usage

LIST, ONE = "reports:comparisons", "reports:kept-comparison"


class KeepForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80, help_text="Such as: October at the prices of small models.")


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def keep_comparison(request: OrganizationRequest) -> HttpResponse:
    """The comparison that this address shows, kept under a name. Raises ApiError 422 where there is none to keep."""
    page = ComparisonPage.of(request)
    asked = page.asked(PriceBook.load())
    if not asked.targets:
        raise ApiError(422, "invalid_parameter", "Choose a model to compare with first.", param=WITH)
    form = KeepForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        # What has not happened yet is in no comparison.
        end = min(page.chosen.range.end, page.now.replace(microsecond=0))
        query = page.chosen.query(request.organization.pk, Span(page.chosen.range.start, end))
        with refusals_in(form):
            kept = keep(
                request.membership,
                form.cleaned_data["name"],
                query,
                compare(query, asked.targets, asked.gpus),
                asked.gpus,
                of_member=request.membership if "member" in page.fixed else None,
                of_team=page.team,
                by=request.actor,
            )
            return redirect(to(request, ONE, kept.pk))
    models = ", ".join(target.key for target in asked.targets)
    period = period_words(Span(page.chosen.range.start, page.chosen.range.end), page.chosen.zone)
    lead = f"{period} at the prices of {models}, as known now. {_found_by(page)}"
    back = page.chosen.url(ComparisonPage.path_in(request.organization))
    return form_page(request, form, "Keep this comparison", submit="Keep it", lead=lead, back=back)


@require_GET
@sees_usage
def index(request: OrganizationRequest) -> HttpResponse:
    rows = [_head(request, kept) for kept in visible_comparisons(request.membership)]
    context = {"page": {"title": "Kept comparisons"}, "rows": rows, "live_url": to(request, "reports:comparison")}
    return render(request, "reports/comparisons.html", context)


@require_GET
@sees_usage
def one(request: OrganizationRequest, comparison: int) -> HttpResponse:
    """The figures of that instant."""
    kept = _visible(request, comparison)
    figures, gpus = figures_of(kept), Gpus.read(kept.gpus)
    live_url = _live_url(request, kept, figures)
    csv_url = to(request, "reports:kept-comparison-file", kept.pk)
    context = {
        "page": {"title": kept.name},
        "kept": _head(request, kept),
        "prices": [
            {"key": price.target.key, "version": price, "is_own": price.organization_id is not None}
            for price in figures.prices
        ],
        "choice": {"gpus": gpus.written()},
        "live_url": live_url,
        "again_url": to(request, "reports:kept-comparison-again", kept.pk),
        "delete_url": to(request, "reports:kept-comparison-delete", kept.pk)
        if may_delete(kept, request.membership)
        else None,
        **figures_context(
            figures.comparison,
            gpus,
            elapsed_hours(kept.starts_at, kept.ends_at),
            csv_url,
            lambda model: f"{live_url}&{urlencode({'model': NOTHING if model is None else model})}",
        ),
    }
    return render(request, "reports/kept_comparison.html", context)


@require_GET
@sees_usage
def again(request: OrganizationRequest, comparison: int) -> HttpResponse:
    """A fragment: whether the same prices come to the same figures today."""
    kept = _visible(request, comparison)
    found = make_again(kept)
    context = {
        "again": found,
        "changes": _changes(figures_of(kept), found),
        "live_url": _live_url(request, kept, figures_of(kept)),
    }
    return render(request, "reports/_comparison_again.html", context)


@require_GET
@sees_usage
def file(request: OrganizationRequest, comparison: int) -> HttpResponse:
    """The figures of that instant, exact; the same file that the page of today's has."""
    kept = _visible(request, comparison)
    response = HttpResponse(file_text(figures_of(kept).comparison), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-comparison-{kept.pk}.csv"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def remove(request: OrganizationRequest, comparison: int) -> HttpResponse:
    kept = _visible(request, comparison)
    check_delete(kept, request.membership)
    return confirm_page(
        request,
        f"Delete {kept.name}?",
        "Its figures and the prices it was made at are forgotten. The usage itself stays.",
        submit="Delete comparison",
        back=to(request, LIST),
        act=lambda: delete(kept, request.membership, by=request.actor),
        done=f"{kept.name} is deleted.",
    )


def _found_by(page: ComparisonPage) -> str:
    if "member" in page.fixed:
        return "You find it, and everybody who sees the organization's usage."
    if page.team is not None:
        return f"The admins of {page.team.name} find it, and everybody who sees the organization's usage."
    return "Everybody who sees the organization's usage finds it."


def _visible(request: OrganizationRequest, pk: int) -> KeptComparison:
    """Raises Http404."""
    found = visible_comparisons(request.membership).filter(pk=pk).first()
    if found is None:
        raise Http404("no such comparison")
    return found


def _head(request: OrganizationRequest, kept: KeptComparison) -> dict[str, Any]:
    figures = figures_of(kept)
    zone = ZoneInfo(kept.timezone)
    filters = [
        f"{dimension_label(name)} is {', '.join('none' if value is None else str(value) for value in values)}"
        for name, values in kept.filters.items()
        if name not in ("member", "team") or (kept.of_member is None and kept.of_team is None)
    ]
    return {
        "comparison": kept,
        "url": to(request, ONE, kept.pk),
        "period": period_words(Span(kept.starts_at, kept.ends_at), zone),
        "filters": filters,
        "whose": _whose(kept),
        "targets": [price.target.key for price in figures.prices],
        "requests": figures.totals.requests,
        "cost_nanos": figures.totals.cost_nanos,
    }


def _whose(kept: KeptComparison) -> str:
    if kept.of_member is not None:
        return f"Usage of {kept.of_member.user.name or kept.of_member.user.email}"
    return f"Team {kept.of_team.name}" if kept.of_team is not None else ""


def _live_url(request: OrganizationRequest, kept: KeptComparison, figures: Kept) -> str:
    """The page of today's prices and usage, with this range, filters, models and assumptions."""
    zone = ZoneInfo(kept.timezone)
    first, last = (_field(at, zone) for at in (kept.starts_at, kept.ends_at))
    # Whose own usage it is follows from who looks; of a team, from the team.
    filters = {name: values for name, values in kept.filters.items() if name != "member" or kept.of_member is None}
    if kept.of_team is not None:
        filters["team"] = [kept.of_team.slug]
    parameters: dict[str, Any] = {
        "range": "custom", "from": first, "to": last,
        **{name: [NOTHING if value is None else value for value in values] for name, values in filters.items()},
        WITH: ",".join(price.target.key for price in figures.prices),
        **kept.gpus,
    }  # fmt: skip
    return f"{reverse('reports:comparison', args=[request.organization.slug])}?{urlencode(parameters, doseq=True)}"


def _field(at: dt.datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")


def _changes(before: Kept, again: Again) -> list[dict[str, str]]:
    """What differs of the totals, then and now, as people read it."""
    after = again.found
    if after is None or again.is_same:
        return []
    told = [
        ("Calls", words.count(before.totals.requests), words.count(after.totals.requests)),
        ("Tokens", words.tokens(before.totals.total_tokens), words.tokens(after.totals.total_tokens)),
        ("Cost", words.money_exact(before.totals.cost_nanos), words.money_exact(after.totals.cost_nanos)),
        *(
            (f"At {price.target.key}", words.money_exact(then.cost_nanos), words.money_exact(today.cost_nanos))
            for price, then, today in zip(before.prices, before.replays, after.replays, strict=True)
        ),
    ]
    if before.gpu and after.gpu:
        told.append(("On GPUs", words.money_exact(before.gpu.cost_nanos), words.money_exact(after.gpu.cost_nanos)))
    return [{"label": label, "before": then, "after": today} for label, then, today in told if then != today]

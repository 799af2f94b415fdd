"""The installation's price book: what the catalogue lists, what is used and has no price, and setting one for all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.paginator import InvalidPage, Paginator
from django.db.models import Max, Prefetch, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.forms.organization import refusals_in
from core.errors import ApiError
from core.tenancy import unscoped
from metering.models import PriceRate, PriceVersion
from metering.pricing.catalogue import BEGINNING, source
from metering.pricing.forms import FREE, TOKENS, PriceForm
from metering.pricing.installation import SOURCE, set_installation_price
from metering.pricing.quoted import column_texts, rate_lines
from metering.pricing.sync import sync_prices
from metering.query.across import ORGANIZATION, AcrossQuery, run_across
from metering.query.metrics import Figures
from reports.operator.access import OperatorRequest, operator_only

A_PAGE = 50
UNPRICED_DAYS = 30
_UTC = ZoneInfo("UTC")


@require_GET
@operator_only
def index(request: HttpRequest) -> HttpResponse:
    """`?q=` searches models and providers among the list prices of now. Raises ApiError 422 for a page there is not."""
    at, words = now(), request.GET.get("q", "").replace("\0", "").strip()
    with unscoped("list prices are everybody's"):
        listed = _listed().filter(Q(valid_from__lte=at) & (Q(valid_to=None) | Q(valid_to__gt=at)))
        if words:
            listed = listed.filter(Q(model__icontains=words) | Q(provider__icontains=words))
        try:
            page = Paginator(listed.order_by("provider", "model"), A_PAGE).page(request.GET.get("page") or 1)
        except InvalidPage as error:
            raise ApiError(422, "invalid_parameter", "The list has no such page.", param="page") from error
        rows = [
            {
                "version": version,
                "is_from_the_beginning": version.valid_from <= BEGINNING,
                "rates": column_texts(version.rates.all()),
                "url": _with_model("operator:price", version.provider, version.model),
            }
            for version in page
        ]
        synced_at = _listed().exclude(source__startswith=f"{SOURCE} ").aggregate(at=Max("created_at"))["at"]
    context = {
        "page": {"title": "Prices"},
        "unpriced": unpriced_models(at),
        "days": UNPRICED_DAYS,
        "rows": rows,
        "pages": page,
        "q": words,
        "catalogue": source(),
        "changed_at": synced_at,
        "newer": _page_url(words, page.previous_page_number) if page.has_previous() else None,
        "older": _page_url(words, page.next_page_number) if page.has_next() else None,
    }
    return render(request, "operator/prices.html", context)


@require_GET
@operator_only
def model(request: HttpRequest) -> HttpResponse:
    """`?model=` and `?provider=`: every list price of the model there was, is and will be."""
    provider, name = (request.GET.get(key, "").replace("\0", "") for key in ("provider", "model"))
    with unscoped("list prices are everybody's"):
        versions = list(_listed().filter(provider=provider, model=name).order_by("-valid_from", "-id"))
        if not versions:
            raise Http404("no list knows the model")
        rows = [
            {
                "version": version,
                "is_from_the_beginning": version.valid_from <= BEGINNING,
                "rates": rate_lines(version.rates.all()),
                "kind": "free" if version.is_free else "list",
            }
            for version in versions
        ]
    own = all(version.source.startswith(f"{SOURCE} ") for version in versions)
    context = {
        "page": {"title": name, "provider": provider},
        "rows": rows,
        "set_url": _with_model("operator:price-set", provider, name) if own else None,
    }
    return render(request, "operator/price.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
def set_price(request: OperatorRequest) -> HttpResponse:
    initial = {
        "provider": request.GET.get("provider", ""),
        "model": request.GET.get("model", ""),
        "how": TOKENS,
        "gpus": 1,
        "calls_at_once": 1,
        "valid_from": now().replace(tzinfo=None, hour=0, minute=0, second=0) - dt.timedelta(days=UNPRICED_DAYS),
    }
    form = PriceForm(request.POST or None, zone=_UTC, is_listed=False, initial=initial)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        with refusals_in(form):
            version = set_installation_price(
                request.user.email,
                provider=values["provider"],
                model=values["model"],
                rates=values["rates"],
                valid_from=values["valid_from"],
                valid_to=values["valid_to"],
                is_free=values["how"] == FREE,
            )
            messages.success(
                request,
                f"{version.model} has a price in every organization. Calls stored before keep theirs until repriced.",
            )
            return redirect("operator:prices")
    context = {
        "page": {"title": f"Set price of {initial['model']}" if initial["model"] else "Set a price"},
        "form": form,
        "is_listed": False,
        "scope_words": "For every organization that has no price of its own",
        "back": reverse("operator:prices"),
    }
    return render(request, "metering/price_form.html", context, status=422 if form.errors else 200)


@require_POST
@operator_only
def sync(request: HttpRequest) -> HttpResponse:
    """Write what the installed catalogue lists."""
    result = sync_prices()
    if result.is_unchanged:
        messages.success(request, f"Prices are up to date with {source()}.")
    else:
        messages.success(
            request,
            f"Prices from {source()}: {result.versions_added} added, {result.versions_ended} ended, "
            f"{result.names_added + result.names_moved} names.",
        )
    return redirect("operator:prices")


def unpriced_models(at: dt.datetime) -> list[dict[str, Any]]:
    """Models of 30 days with calls that have no price, by provider: the most calls first."""
    days = (at.date() - dt.timedelta(days=UNPRICED_DAYS), at.date() + dt.timedelta(days=2))
    lacking = [row for row in run_across(AcrossQuery(*days, group_by=("model",))).rows if row.figures.unpriced_requests]
    if not lacking:
        return []
    names = tuple(row.group["model"].key for row in lacking)
    detailed = AcrossQuery(*days, group_by=(ORGANIZATION, "model", "provider"), filters={"model": names})
    found: dict[tuple[str | None, str | None], tuple[Figures, int]] = {}
    for row in run_across(detailed).rows:
        if row.figures.unpriced_requests:
            key = (row.group["model"].key, row.group["provider"].key)
            figures, organizations = found.get(key, (Figures(), 0))
            found[key] = (figures + row.figures, organizations + 1)
    return [
        {
            "model": name,
            "provider": provider,
            "figures": figures,
            "organizations": organizations,
            "set_url": _with_model("operator:price-set", provider or "", name or ""),
        }
        for (name, provider), (figures, organizations) in sorted(
            found.items(), key=lambda item: -item[1][0].unpriced_requests
        )
    ]


def _listed() -> QuerySet[PriceVersion]:
    rates = PriceRate.objects.order_by("service_tier", "id")
    rows: QuerySet[PriceVersion] = PriceVersion.objects.filter(organization=None).prefetch_related(
        Prefetch("rates", queryset=rates)
    )
    return rows


def _with_model(name: str, provider: str, model: str) -> str:
    return f"{reverse(name)}?{urlencode({'model': model, 'provider': provider})}"


def _page_url(words: str, number: Callable[[], int]) -> str:
    return f"?{urlencode({**({'q': words} if words else {}), 'page': number()})}"

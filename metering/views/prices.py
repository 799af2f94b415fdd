"""/o/<organization>/settings/prices/: what each model costs the organization, its own prices, and what they change."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms.organization import refusals_in
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, to
from core import figures as words
from core.errors import ApiError
from core.periods import local_day
from metering.models import PriceKind, PriceVersion
from metering.pricing import overrides
from metering.pricing.book import PriceBook
from metering.pricing.forms import FREE, GPU, TOKENS, PriceForm
from metering.pricing.plan import Version
from metering.pricing.quoted import column_texts, rate_lines
from metering.pricing.receipt import quoted_rate
from metering.pricing.reprice import Repricing, reprice
from metering.pricing.used import RANGE, UsedModel, history_of, is_listed, kind_of, models_in_use, price_of
from metering.query.params import read_instant
from metering.query.ranges import named_range
from metering.query.run import run
from metering.query.spec import UsageQuery
from metering.store.repricing import PostgresRepricing

PAGE = "metering:prices"
# Repricing reads every call of the period; beyond this the command does it behind the scenes.
MOST_REPRICED = 300_000

sees_prices = require(Right.SEE_MONEY, Right.MANAGE_PRICES)
sets_prices = require(Right.MANAGE_PRICES)


@require_safe
@sees_prices
def index(request: OrganizationRequest) -> HttpResponse:
    at = now()
    used = models_in_use(request.organization, at)
    own = PriceVersion.objects.exclude(kind=PriceKind.LIST).prefetch_related("rates").order_by("model", "-valid_from")
    context = {
        "page": {"title": "Prices"},
        "rows": [_used_row(request, one) for one in used],
        "unpriced": sum(one.version is None for one in used),
        "own": [_own_row(request, version, at) for version in own],
        "may_change": _may_change(request),
    }
    return render(request, "metering/prices.html", context)


@require_safe
@sees_prices
def model(request: OrganizationRequest) -> HttpResponse:
    """`?model=` and `?provider=`: every version that could price it, in the order in which they are asked."""
    provider, name = _asked(request)
    at, book = now(), PriceBook.load()
    history = history_of(book, request.organization.pk, provider, name)
    current, rule = price_of(book, request.organization.pk, provider, name, at)
    context = {
        "page": {"title": name, "provider": provider, "zone": request.organization.timezone},
        "kind": kind_of(current),
        "rule": rule,
        "versions": [
            {
                "version": version,
                "kind": kind_of(version),
                "rates": rate_lines(version.rates),
                "state": _state(version.valid_from, version.valid_to, at, is_current=version is current),
                "end_url": to(request, "metering:price-end", version.id)
                if version.organization_id is not None and (version.valid_to is None or version.valid_to > at)
                else None,
            }
            for version, _ in history
        ],
        "set_url": _with_model(to(request, "metering:price-set"), provider, name),
        "reprice_url": _with_model(to(request, "metering:price-reprice"), provider, name),
        "may_change": _may_change(request),
    }
    return render(request, "metering/price_model.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@sets_prices
def set_price(request: OrganizationRequest) -> HttpResponse:
    """A new version of an own price. Afterwards: what it changes of calls that were rated already."""
    provider, name = _asked(request, is_needed=False)
    book, zone = PriceBook.load(), request.organization.zone
    named = request.POST if request.method == "POST" else {"provider": provider or "", "model": name}
    listed = is_listed(book, request.organization.pk, named.get("provider") or None, named.get("model") or " ")
    form = PriceForm(request.POST or None, zone=zone, is_listed=listed, initial=_initial(request, book, provider, name))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            version = _save(request, form.cleaned_data, is_listed_model=listed)
            messages.success(request, f"The price of {version.model} is set.")
            return redirect(_after(request, version))
    context = {
        "page": {"title": f"Set price of {name}" if name else "Set a price"},
        "form": form,
        "is_listed": listed,
        "back": _with_model(to(request, "metering:price"), provider, name) if name else to(request, PAGE),
    }
    return render(request, "metering/price_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@sets_prices
def end(request: OrganizationRequest, version: int) -> HttpResponse:
    row = PriceVersion.objects.exclude(kind=PriceKind.LIST).filter(pk=version).first()
    if row is None:
        raise Http404("no such price of theirs")
    return confirm_page(
        request,
        f"End the price of {row.model}?",
        "Calls from now on are charged by the list price, or have no price where no list knows the model. "
        "Calls until now keep the price they were rated at.",
        submit="End price",
        back=_with_model(to(request, "metering:price"), row.provider or None, row.model),
        act=lambda: (overrides.end_price(request.actor, request.organization.pk, row.pk, now()), None)[1],
        done=f"The price of {row.model} has ended.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sets_prices
def reprice_model(request: OrganizationRequest) -> HttpResponse:
    """What the prices of now change of a model's calls from a day to another; POST with the digest shown changes it."""
    provider, name = _asked(request)
    zone = request.organization.zone
    today = local_day(now(), zone)
    parameters = {
        "from": request.GET.get("from") or today.replace(day=1).isoformat(),
        "to": request.GET.get("to") or today.isoformat(),
    }
    context: dict[str, Any] = {
        "page": {"title": f"Reprice {name}", "zone": zone.key},
        "model": name,
        "provider": provider,
        "from": parameters["from"],
        "to": parameters["to"],
        "back": _with_model(to(request, "metering:price"), provider, name),
    }
    try:
        start, until = (read_instant(parameters[key], zone, key, is_end=key == "to") for key in ("from", "to"))
        calls = _calls(request, name, start, until)
        if calls > MOST_REPRICED:
            context["too_many"] = calls
        elif request.method == "POST":
            result = _reprice(request, name, start, until, request.POST.get("digest", ""))
            messages.success(request, f"{words.count(result.changed)} calls of {name} have the new price.")
            return redirect(context["back"])
        else:
            context["result"] = _reprice(request, name, start, until, None)
            context["calls"] = calls
    except ApiError as error:
        context["problem"] = error.message
        return render(request, "metering/price_reprice.html", context, status=error.status)
    return render(request, "metering/price_reprice.html", context)


# ── Setting ──


def _save(request: OrganizationRequest, values: dict[str, Any], *, is_listed_model: bool) -> PriceVersion:
    common: dict[str, Any] = {
        "provider": values["provider"],
        "model": values["model"],
        "rates": values["rates"],
        "valid_from": values["valid_from"],
        "valid_to": values["valid_to"],
        "is_free": values["how"] == FREE,
        "source": "settings",
    }
    if is_listed_model:
        keeps = values["how"] == TOKENS and values["keeps_list_rates"]
        return overrides.set_override(request.actor, request.organization.pk, **common, keeps_list_rates=keeps)
    return overrides.set_custom_model(request.actor, request.organization.pk, **common)


def _after(request: OrganizationRequest, version: PriceVersion) -> str:
    """To what the price changes of calls in its past, or to the model where there is no past."""
    zone, at = request.organization.zone, now()
    if version.valid_from >= at:
        return _with_model(to(request, "metering:price"), version.provider or None, version.model)
    last = min(version.valid_to or at, at)
    days = {
        "from": local_day(version.valid_from, zone).isoformat(),
        "to": local_day(last, zone).isoformat(),
    }
    return _with_model(to(request, "metering:price-reprice"), version.provider or None, version.model, **days)


def _initial(request: OrganizationRequest, book: PriceBook, provider: str | None, name: str) -> dict[str, Any]:
    """The rates of now; without any, from the day of the first call that lacks a price."""
    at, zone = now(), request.organization.zone
    initial: dict[str, Any] = {"provider": provider or "", "model": name, "how": TOKENS, "gpus": 1, "calls_at_once": 1}
    current, _ = price_of(book, request.organization.pk, provider, name, at) if name else (None, "")
    initial["valid_from"] = at.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
    if name and current is None and (first := _first_unpriced(request, name)):
        initial["valid_from"] = first
    if current is not None and current.organization_id is not None:
        initial["how"] = FREE if current.is_free else GPU if _has_gpu(current) else TOKENS
        for item in current.rates:
            if not item.service_tier and not item.above_tokens and item.is_all_day:
                initial[f"rate_{item.bucket}"] = quoted_rate(item.bucket, item.femtos_per_unit)[0]
        if _has_gpu(current):
            initial["gpu_usd"] = initial.pop("rate_gpu_hours")
    return initial


def _has_gpu(version: Version) -> bool:
    return any(item.bucket == "gpu_hours" for item in version.rates)


def _first_unpriced(request: OrganizationRequest, name: str) -> dt.datetime | None:
    """Midnight, on the wall, of the first day in the range with a call of the model that has no price."""
    zone = request.organization.zone
    span = named_range(RANGE, zone, now())
    query = UsageQuery(request.organization.pk, span.start, span.end, zone, interval="day", filters={"model": (name,)})
    days = (row.start for row in run(query).rows if row.figures.unpriced_requests)
    first = next(days, None)
    return None if first is None else first.astimezone(zone).replace(tzinfo=None)


# ── Repricing ──


def _calls(request: OrganizationRequest, name: str, start: dt.datetime, until: dt.datetime) -> int:
    """Raises ApiError 422 for an empty period."""
    query = UsageQuery(request.organization.pk, start, until, request.organization.zone, filters={"model": (name,)})
    return run(query).totals.requests


def _reprice(
    request: OrganizationRequest, name: str, start: dt.datetime, until: dt.datetime, digest: str | None
) -> Repricing:
    store = PostgresRepricing(is_alone=digest is not None, model=name)
    return reprice(
        store,
        PriceBook.load(),
        request.organization.pk,
        start,
        until,
        dry_run=digest is None,
        actor=request.actor,
        confirmed_digest=digest,
    )


# ── Rows ──


def _used_row(request: OrganizationRequest, one: UsedModel) -> dict[str, Any]:
    return {
        "model": one.model,
        "provider": one.provider,
        "kind": kind_of(one.version),
        "rule": one.rule,
        "has_unpriced": one.version is not None and one.figures.unpriced_requests > 0,
        "rates": column_texts(one.version.rates if one.version else ()),
        "since": one.version.valid_from if one.version else None,
        "figures": one.figures,
        "url": _with_model(to(request, "metering:price"), one.provider, one.model),
        "set_url": _with_model(to(request, "metering:price-set"), one.provider, one.model),
    }


def _own_row(request: OrganizationRequest, row: PriceVersion, at: dt.datetime) -> dict[str, Any]:
    is_running = row.valid_from <= at and (row.valid_to is None or at < row.valid_to)
    return {
        "row": row,
        "kind": "free" if row.is_free else "own" if row.kind == PriceKind.OVERRIDE else "custom",
        "rates": rate_lines(row.rates.all()),
        "state": _state(row.valid_from, row.valid_to, at, is_current=is_running),
        "url": _with_model(to(request, "metering:price"), row.provider or None, row.model),
    }


def _state(valid_from: dt.datetime, valid_to: dt.datetime | None, at: dt.datetime, *, is_current: bool) -> str:
    if is_current:
        return "now"
    if valid_to is not None and valid_to <= at:
        return "replaced" if valid_to == valid_from else "ended"
    return "to come" if valid_from > at else "covered"


def _asked(request: OrganizationRequest, *, is_needed: bool = True) -> tuple[str | None, str]:
    """The provider, None for none, and the model that the address names. Raises Http404 where it must and does not."""
    provider, name = (request.GET.get(key, "").replace("\0", "").strip() for key in ("provider", "model"))
    if is_needed and not name:
        raise Http404("no model is named")
    return provider or None, name


def _with_model(path: str, provider: str | None, name: str, **more: str) -> str:
    named = {"model": name, **({"provider": provider} if provider else {}), **more}
    return f"{path}?{urlencode(named)}" if name else path


def _may_change(request: OrganizationRequest) -> bool:
    return may(request.role, Right.MANAGE_PRICES)

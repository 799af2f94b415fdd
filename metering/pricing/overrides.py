"""An organization's own prices: negotiated prices of listed models, prices of models of its own, names of deployments.

Prices begin at an instant and stay until another begins or they are ended. What was rated stays as it is: whoever
sets a price into the past reprices the period (metering/pricing/reprice.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from django.db import connection
from django.db.models import Q

from accounts import audit
from core.errors import ApiError
from core.money import femtos_per_unit
from core.tenancy import organization_scope
from metering.events import BUCKETS
from metering.models.prices import PRICED_BUCKETS, PRICED_UNITS, PriceAlias, PriceKind, PriceRate, PriceVersion
from metering.pricing.aliases import canonical_provider
from metering.pricing.book import PriceBook
from metering.pricing.plan import canonical_tier
from metering.pricing.rate import Rate
from metering.pricing.receipt import quoted_rate
from metering.pricing.sync import rate_row

_MIDNIGHT = dt.time(0)
_TOKENS_PER_QUOTE = 1_000_000
# Dearer than anything sold, and still a whole number of femtos in 63 bits.
_MAX_USD_PER_UNIT = Decimal(9_000)


def rate(bucket: str, usd: Decimal, *, service_tier: str = "", above_tokens: int = 0, note: str = "") -> Rate:
    """A rate as price lists quote it: dollars per million tokens, or per search, image, request or hour."""
    if bucket not in PRICED_BUCKETS:
        raise ApiError(422, "unknown_bucket", f"There is no bucket {bucket!r}.", param="rates")
    if not usd.is_finite() or usd < 0 or usd > _MAX_USD_PER_UNIT * (_TOKENS_PER_QUOTE if bucket in BUCKETS else 1):
        raise ApiError(422, "invalid_price", "A price is a number from 0 on.", param="rates")
    try:
        femtos = femtos_per_unit(usd / _TOKENS_PER_QUOTE if bucket in BUCKETS else usd)
    except ValueError as error:
        raise ApiError(422, "invalid_price", "A price has at most nine decimals.", param="rates") from error
    return Rate(bucket, canonical_tier(service_tier), above_tokens, _MIDNIGHT, _MIDNIGHT, femtos, note)


def gpu_rate(usd_per_gpu_hour: Decimal, *, gpus: int = 1, calls_at_once: int = 1) -> Rate:
    """Self-hosted models by the hour of their GPUs: price × GPUs ÷ calls that usually share them.

    A call is charged for its own duration. GPUs that idle are nobody's call and in no call's cost.
    """
    if gpus < 1 or calls_at_once < 1:
        raise ApiError(422, "invalid_price", "GPUs and calls at once are at least 1.", param="rates")
    note = f"{usd_per_gpu_hour} USD per GPU-hour, {gpus} GPUs, {calls_at_once} calls at once"
    exact = usd_per_gpu_hour * gpus / calls_at_once
    return rate("gpu_hours", exact.quantize(Decimal("1e-12")), note=note)


def set_override(
    actor: audit.Actor,
    organization_id: int,
    *,
    provider: str,
    model: str,
    rates: Iterable[Rate],
    valid_from: dt.datetime,
    valid_to: dt.datetime | None = None,
    is_free: bool = False,
    keeps_list_rates: bool = True,
    source: str = "manual",
) -> PriceVersion:
    """The organization's own price of a listed model, instead of the list price in that period.

    `keeps_list_rates` copies the list's rates at `valid_from` for buckets and tiers that `rates` does not name; they
    then stay as they are when the list changes. Without it only `rates` and the general fall-backs hold.
    """
    chosen = list(rates)
    if keeps_list_rates and not is_free:
        chosen += _list_rates(organization_id, provider, model, valid_from, chosen)
    return _set(
        actor, organization_id, PriceKind.OVERRIDE, provider, model, chosen, (valid_from, valid_to), is_free, source
    )


def set_custom_model(
    actor: audit.Actor,
    organization_id: int,
    *,
    model: str,
    rates: Iterable[Rate],
    valid_from: dt.datetime,
    provider: str = "",
    valid_to: dt.datetime | None = None,
    is_free: bool = False,
    source: str = "manual",
) -> PriceVersion:
    """The price of a model that no list knows. Without a provider it holds for the name with any provider."""
    return _set(
        actor, organization_id, PriceKind.CUSTOM, provider, model, list(rates), (valid_from, valid_to), is_free, source
    )


def end_price(actor: audit.Actor, organization_id: int, version_id: int, at: dt.datetime) -> PriceVersion:
    """From `at` on the organization pays the list price again, if there is one."""
    with organization_scope(organization_id):
        version: PriceVersion | None = PriceVersion.objects.filter(pk=version_id).first()
        if version is None:
            raise ApiError(404, "not_found", "There is no such price.")
        before = version.valid_to
        version.valid_to = max(at, version.valid_from)
        version.save(update_fields=["valid_to"])
        audit.record(actor, "price.end", version, {"valid_to": (before, version.valid_to)})
    return version


def set_alias(
    actor: audit.Actor,
    organization_id: int,
    *,
    alias: str,
    target_provider: str,
    model: str,
    provider: str = "",
) -> PriceAlias:
    """The organization's name of a priced model, such as a deployment's, exactly."""
    with organization_scope(organization_id):
        row, is_new = PriceAlias.objects.get_or_create(
            organization_id=organization_id,
            provider=canonical_provider(provider),
            alias=model_name(alias),
            defaults={
                "target_provider": canonical_provider(target_provider),
                "model": model_name(model),
                "source": "manual",
            },
        )
        before = None if is_new else f"{row.target_provider}/{row.model}"
        row.target_provider, row.model = canonical_provider(target_provider), model_name(model)
        row.save(update_fields=["target_provider", "model"])
        audit.record(actor, "price_alias.set", row, {"model": (before, f"{row.target_provider}/{row.model}")})
    result: PriceAlias = row
    return result


def remove_alias(actor: audit.Actor, organization_id: int, alias_id: int) -> None:
    with organization_scope(organization_id):
        row = PriceAlias.objects.filter(pk=alias_id).first()
        if row is None:
            raise ApiError(404, "not_found", "There is no such name.")
        audit.record(actor, "price_alias.remove", row)
        row.delete()


def _set(
    actor: audit.Actor,
    organization_id: int,
    kind: PriceKind,
    provider: str,
    model: str,
    rates: Sequence[Rate],
    period: tuple[dt.datetime, dt.datetime | None],
    is_free: bool,
    source: str,
) -> PriceVersion:
    check_price(rates, period, is_free)
    valid_from, valid_to = period
    with organization_scope(organization_id):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [7_265, organization_id])
        version = PriceVersion(
            organization_id=organization_id,
            kind=kind,
            provider=canonical_provider(provider),
            model=model_name(model),
            valid_from=valid_from,
            valid_to=valid_to,
            is_free=is_free,
            source=source,
        )
        resumed = make_room(version)
        version.save()
        PriceRate.objects.bulk_create([rate_row(version, rate) for rate in rates])
        for later, later_rates in resumed:
            later.save()
            PriceRate.objects.bulk_create([rate_row(later, rate) for rate in later_rates])
        changes: dict[str, tuple[Any, Any]] = {"valid_from": (None, valid_from), "valid_to": (None, valid_to)}
        if is_free:
            changes["is_free"] = (None, True)
        for item in rates:
            usd, unit = quoted_rate(item.bucket, item.femtos_per_unit)
            changes[_label(item)] = (None, f"{usd} USD per {unit}")
        audit.record(actor, f"price.set_{kind}", version, changes)
    return version


def make_room(new: PriceVersion) -> list[tuple[PriceVersion, list[Rate]]]:
    """End what the new version replaces. Returns what goes on behind its end, as versions to be saved."""
    same = PriceVersion.objects.filter(organization_id=new.organization_id, provider=new.provider, model=new.model)
    overlapping = same.filter(Q(valid_to=None) | Q(valid_to__gt=new.valid_from))
    if new.valid_to is not None:
        overlapping = overlapping.filter(valid_from__lt=new.valid_to)
    resumed = []
    for old in overlapping.order_by("valid_from"):
        old_end = old.valid_to
        if old_end == old.valid_from:
            continue
        old.valid_to = max(old.valid_from, new.valid_from)
        old.save(update_fields=["valid_to"])
        if new.valid_to is not None and (old_end is None or old_end > new.valid_to):
            later = PriceVersion(
                organization_id=old.organization_id,
                kind=old.kind,
                provider=old.provider,
                model=old.model,
                valid_from=new.valid_to,
                valid_to=old_end,
                is_free=old.is_free,
                source=old.source,
            )
            resumed.append((later, _rates_of(old)))
    return resumed


def _rates_of(version: PriceVersion) -> list[Rate]:
    columns = ("bucket", "service_tier", "above_tokens", "starts_at", "ends_at", "femtos_per_unit", "note")
    return [Rate(*values) for values in PriceRate.objects.filter(version=version).values_list(*columns)]


def _list_rates(organization_id: int, provider: str, model: str, at: dt.datetime, chosen: Iterable[Rate]) -> list[Rate]:
    """The list's rates at an instant, but for the buckets that `chosen` prices in the same tier."""
    named = {(rate.bucket, rate.service_tier) for rate in chosen}
    for valid_from, valid_to, plan in PriceBook.load().resolve(organization_id, provider, model).periods:
        version = plan.version
        if version.organization_id is None and valid_from <= at and (valid_to is None or at < valid_to):
            return [
                msgspec.structs.replace(rate, note=f"list price ({version.source})")
                for rate in version.rates
                if (rate.bucket, rate.service_tier) not in named
            ]
    raise ApiError(422, "unknown_model", f"No price list knows {provider}/{model} at that time.", param="model")


def check_price(rates: Sequence[Rate], period: tuple[dt.datetime, dt.datetime | None], is_free: bool) -> None:
    valid_from, valid_to = period
    if valid_to is not None and valid_to <= valid_from:
        raise ApiError(422, "invalid_period", "A price ends after it begins.", param="valid_to")
    if is_free and rates:
        raise ApiError(422, "invalid_price", "A free model has no rates.", param="rates")
    if not is_free and not rates:
        raise ApiError(422, "invalid_price", "Name at least one rate, or say that the model is free.", param="rates")
    if not {rate.bucket for rate in rates} <= {*BUCKETS, *PRICED_UNITS}:
        raise ApiError(422, "unknown_bucket", "A rate is of a bucket that does not exist.", param="rates")
    keys = [(rate.bucket, rate.service_tier, rate.above_tokens, rate.starts_at) for rate in rates]
    if len(keys) != len(set(keys)):
        raise ApiError(422, "duplicate_rate", "Two rates are for the same bucket and conditions.", param="rates")


def model_name(text: str) -> str:
    name = text.strip().lower()
    if not name or len(name) > 200:
        raise ApiError(422, "invalid_name", "A model's name has 1 to 200 characters.", param="model")
    return name


def _label(item: Rate) -> str:
    above = f" above {item.above_tokens} tokens" if item.above_tokens else ""
    tier = f" {item.service_tier}" if item.service_tier else ""
    window = "" if item.is_all_day else f" {item.starts_at:%H:%M}-{item.ends_at:%H:%M} UTC"
    return f"{item.bucket}{tier}{above}{window}"

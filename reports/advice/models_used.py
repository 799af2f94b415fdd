"""The models of an organization's calls, each with its price: what kinds that change a price begin with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from metering.pricing.forms import LABELS
from metering.pricing.plan import Plan
from metering.pricing.receipt import quoted_rate
from metering.query.candidates import Call, Sold
from metering.query.metrics import Figures
from metering.query.run import run
from reports.advice.kind import Context

_SEPARATOR = "|"


class Used(msgspec.Struct, frozen=True):
    """A model as calls name it, and the plan that prices it at the end of the window."""

    sold: Sold
    plan: Plan
    figures: Figures


def models_used(context: Context) -> list[Used]:
    """Those that cost something and have a price today, the most expensive first."""
    found = []
    for row in run(context.query(group_by=("model", "provider"), order_by=("-cost_usd",))).rows:
        model = row.group["model"].label
        if model is None or not row.figures.known_cost_nanos:
            continue
        sold = Sold(row.group["provider"].label, model)
        plan = plan_of(context, sold, context.now)
        if plan is not None:
            found.append(Used(sold, plan, row.figures))
    return found


def plan_of(context: Context, sold: Sold, at: dt.datetime) -> Plan | None:
    """What prices a model's calls at a moment; None where nothing does."""
    for valid_from, valid_to, plan in context.book.resolve(context.organization_id, sold.provider, sold.model).periods:
        if valid_from <= at and (valid_to is None or at < valid_to):
            return plan
    return None


def cost_as(context: Context, call: Call, sold: Sold, tier: str | None = None) -> int | None:
    """Nano-dollars of a call, had it been one of another model or tier, at the prices of its own moment; None where
    there were none."""
    return context.book.rate(
        context.organization_id,
        provider=sold.provider,
        model=sold.model,
        occurred_at=call.occurred_at,
        usage=call.usage,
        service_tier=call.service_tier if tier is None else tier,
        duration_ms=call.duration_ms,
    ).cost_nanos


def rates_of(context: Context, sold: Sold, buckets: Sequence[str], tier: str = "") -> str:
    """What a million tokens of these buckets cost the organization in the window, in words: price after price.

    Of a tier its own rates before the ordinary ones; those of long prompts and of hours of the day are left out.
    """
    periods = context.book.resolve(context.organization_id, sold.provider, sold.model).periods
    changes = {at for since, until, _ in periods for at in (since, until) if at and context.start < at < context.end}
    said: list[tuple[dt.datetime, str]] = []
    for at in [context.start, *sorted(changes)]:
        plan = plan_of(context, sold, at)
        text = _rates(plan, buckets, tier) if plan is not None else "no price"
        if not said or said[-1][1] != text:
            said.append((at, text))
    parts = [said[0][1]]
    for at, text in said[1:]:
        local = at.astimezone(context.zone)
        parts.append(f"from {local.day} {local:%B, %H:%M} on {text}")
    return f"{sold.model}, a million tokens: {'; '.join(parts)}"


def _rates(plan: Plan, buckets: Sequence[str], tier: str) -> str:
    found = {}
    for rate in sorted(plan.version.rates, key=lambda one: one.service_tier):
        if rate.bucket in buckets and rate.is_all_day and not rate.above_tokens and rate.service_tier in ("", tier):
            found[rate.bucket] = rate
    return ", ".join(
        f"{LABELS[bucket].lower()} ${quoted_rate(bucket, found[bucket].femtos_per_unit)[0]}"
        for bucket in buckets
        if bucket in found
    )


def named(*parts: str | None) -> str:
    """A subject of several words; `words` takes it apart."""
    return _SEPARATOR.join((part or "").replace(_SEPARATOR, "/") for part in parts)


def words(subject: str) -> list[str | None]:
    return [part or None for part in subject.split(_SEPARATOR)]

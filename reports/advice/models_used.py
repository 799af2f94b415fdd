"""The models of an organization's calls, each with its price: what kinds that change a price begin with."""

from __future__ import annotations

import datetime as dt

import msgspec

from metering.pricing.plan import Plan
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


def named(*parts: str | None) -> str:
    """A subject of several words; `words` takes it apart."""
    return _SEPARATOR.join((part or "").replace(_SEPARATOR, "/") for part in parts)


def words(subject: str) -> list[str | None]:
    return [part or None for part in subject.split(_SEPARATOR)]

"""What a refused call is told: which limit, how it stands, and when trying again makes sense."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import NoReturn

from django.conf import settings

from core.errors import ApiError
from core.money import NANOS_PER_USD, usd_text
from metering.limits.decide import Claim
from metering.limits.rules import Rule
from metering.limits.standing import Standing
from metering.models import LimitKind, LimitUnit
from metering.telemetry import HOLDS_REFUSED

# Calls under way may use less than is held for them, and are over soon.
HELD_RETRY_SECONDS = 5
# A limit without an end may be raised at any time; a day is as good a guess as another.
ENDLESS_RETRY_SECONDS = 86_400


def credits_left(standings: Sequence[Standing]) -> int | None:
    """Whole credits that may still be spent; None without a balance. A part of a credit is none."""
    left = [one.remaining for one in standings if one.rule.kind == LimitKind.CREDITS and one.remaining is not None]
    return min(left) * settings.CREDITS_PER_USD // NANOS_PER_USD if left else None


def refuse(claim: Claim, short: Sequence[Standing], now: dt.datetime) -> NoReturn:
    """Raises ApiError: 403 where calls are suspended, 402 for what is owed, else 402 or 429 for the limit that has room
    for the claim last."""
    standing = max(short, key=lambda one: (_weight(one.rule), _wait(claim, one, now), one.rule.id))
    rule = standing.rule
    HOLDS_REFUSED.labels(rule.kind).inc()
    wait = _wait(claim, standing, now)
    is_soon = _is_only_held(claim, standing)
    # The official SDKs try again on 429 unless they are told.
    headers = {"x-should-retry": "true" if is_soon else "false"}
    credits_remaining = credits_left(short)
    if credits_remaining is not None:
        headers["x-credits-remaining"] = str(credits_remaining)
    message = _sentence(claim, standing, is_soon=is_soon)
    if rule.kind == LimitKind.CREDITS:
        raise ApiError(402, "insufficient_credits", message, retry_after=wait if is_soon else None, headers=headers)
    if rule.kind == LimitKind.SUSPENDED:
        raise ApiError(403, "organization_suspended", message, headers=headers)
    if rule.kind == LimitKind.PAYMENT:
        raise ApiError(402, "payment_overdue", message, headers=headers)
    raise ApiError(429, "insufficient_quota", message, retry_after=wait, headers=headers)


def refuse_unpriced(model: str, rule: Rule) -> NoReturn:
    HOLDS_REFUSED.labels("unpriced").inc()
    raise ApiError(
        422,
        "unpriced_model",
        f"{rule.label} is a limit in money, and the price of {model!r} is not known. "
        "Give the model a price (or say that it is free) to use it under this limit.",
        param="model",
        headers={"x-should-retry": "false"},
    )


def _weight(rule: Rule) -> int:
    """What is told where several limits refuse: whatever else holds, nothing goes through while calls are suspended."""
    return {LimitKind.SUSPENDED: 2, LimitKind.PAYMENT: 1}.get(LimitKind(rule.kind), 0)


def _is_only_held(claim: Claim, standing: Standing) -> bool:
    """There is room beside what is used, only not beside what other calls hold."""
    needed = claim.needs(standing.rule.unit)
    return bool(standing.amount) and standing.counted + needed <= (standing.amount or 0)


def _wait(claim: Claim, standing: Standing, now: dt.datetime) -> int:
    """Seconds until there may be room."""
    if _is_only_held(claim, standing):
        return HELD_RETRY_SECONDS
    if standing.span.ends_at is None:
        return ENDLESS_RETRY_SECONDS
    return max(1, math.ceil((standing.span.ends_at - now).total_seconds()))


def _sentence(claim: Claim, standing: Standing, *, is_soon: bool) -> str:
    rule, amount = standing.rule, standing.amount or 0
    if rule.kind == LimitKind.SUSPENDED:
        return f"{rule.label}. They go on when the operator resumes them."
    if rule.kind == LimitKind.PAYMENT:
        return f"{rule.label}. They go on as soon as that is paid."
    if amount == 0:
        return f"{rule.label} is set to 0: no call is let through. {_renewal(standing)}"
    unit = LimitUnit(rule.unit)
    parts = [f"{rule.label} is used up: {write(standing.used, unit)} of {write(amount, unit)} used"]
    if is_soon or standing.counted < amount:
        parts = [f"{rule.label} has no room for this call: {write(standing.used, unit)} of {write(amount, unit)} used"]
    if standing.unpriced:
        parts.append(f"{write(standing.unpriced, unit)} counted for calls whose price is not known")
    if standing.held:
        parts.append(f"{write(standing.held, unit)} held for calls under way")
    parts.append(f"this call may take {write(claim.takes(unit), unit)}")
    return f"{', '.join(parts)}. {_renewal(standing)}"


def _renewal(standing: Standing) -> str:
    if standing.rule.kind == LimitKind.CREDITS:
        return "Buy credits to go on."
    ends_on = standing.span.ends_on
    return f"It renews on {ends_on}." if ends_on is not None else "It does not renew by itself."


def write(amount: int, unit: str) -> str:
    """An amount as people read it: "12,500 tokens", "$3.25"."""
    return f"${usd_text(amount)}" if unit == LimitUnit.COST else f"{amount:,} tokens"

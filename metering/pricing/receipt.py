"""The receipt of a call: bucket by bucket what was counted, at which rate, by which version and rule."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec

from core.money import decimal_text, usd_text
from metering.events import BUCKETS, Usage
from metering.pricing.plan import Plan, Version
from metering.pricing.rate import Charge, Pricing, split_cost

_PER_MILLION = 10**6
# The unit a count of this bucket is in, and the unit its rate is quoted for.
_UNITS = {
    "web_searches": ("searches", "search"),
    "images": ("images", "image"),
    "requests": ("requests", "request"),
    "media_hours": ("ms", "hour"),
    "gpu_hours": ("ms", "hour"),
}


class RatedCall(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a call and its price: all that a receipt needs."""

    occurred_at: dt.datetime
    usage: Usage | None
    pricing: Pricing
    cost_nanos: int | None
    price_version_id: int | None
    rule: str
    service_tier: str | None = None
    duration_ms: int | None = None


class ReceiptLine(msgspec.Struct, frozen=True):
    """`count` × `usd_per_unit` = `amount_usd`, all exact. `charged_as` names the bucket whose rate was used."""

    bucket: str
    count: int
    count_unit: str
    usd_per_unit: str
    rate_unit: str
    femtos_per_unit: int
    amount_femtos: int
    amount_usd: str
    charged_as: str
    note: str


class ReceiptVersion(msgspec.Struct, frozen=True):
    id: int
    kind: str
    provider: str
    model: str
    source: str
    valid_from: dt.datetime
    valid_to: dt.datetime | None


class Receipt(msgspec.Struct, frozen=True):
    """`total_nanos` is recomputed from the lines; `is_reproduced` says whether it is the stored cost.

    Without a known version there are no lines: the call is unpriced, or cost nothing because it used nothing.
    """

    pricing: Pricing
    rule: str
    version: ReceiptVersion | None
    lines: tuple[ReceiptLine, ...]
    exact_usd: str | None
    total_nanos: int | None
    total_usd: str | None
    is_reproduced: bool


def make_receipt(call: RatedCall, version: Version | None) -> Receipt:
    if version is None or call.usage is None:
        # Nothing to multiply: what is stored says it all, unless it claims a price that cannot be shown.
        is_reproduced = call.pricing != Pricing.PRICED
        return Receipt(
            call.pricing, call.rule, None, (), None, call.cost_nanos, usd_text(call.cost_nanos), is_reproduced
        )
    charges = _charges(call, version)
    exact = sum(charge.amount_femtos for charge in charges)
    total, _, _ = split_cost(exact, 0, 0)
    return Receipt(
        pricing=call.pricing,
        rule=call.rule,
        version=ReceiptVersion(
            version.id,
            version.kind,
            version.provider,
            version.model,
            version.source,
            version.valid_from,
            version.valid_to,
        ),
        lines=tuple(_line(charge) for charge in charges),
        exact_usd=exact_usd(exact),
        total_nanos=total,
        total_usd=usd_text(total),
        is_reproduced=total == call.cost_nanos,
    )


def exact_usd(femtos: int) -> str:
    """Femto-dollars as dollars: exact, without exponent or needless zeros."""
    return decimal_text(femtos, 15)


def quoted_rate(bucket: str, femtos_per_unit: int) -> tuple[str, str]:
    """A rate as price lists quote it: (dollars, "million tokens" | "search" | "hour" …), exact."""
    if bucket in BUCKETS:
        return exact_usd(femtos_per_unit * _PER_MILLION), "million tokens"
    return exact_usd(femtos_per_unit), _UNITS[bucket][1]


def quoted_usd(bucket: str, femtos_per_unit: int) -> Decimal:
    return Decimal(quoted_rate(bucket, femtos_per_unit)[0])


def _charges(call: RatedCall, version: Version) -> list[Charge]:
    if call.usage is None or version.is_free:
        return []
    vector = Plan(version, call.rule).vector(call.usage, call.occurred_at, call.service_tier)
    if vector is None or vector.gap(call.usage, call.duration_ms):
        return []
    return vector.charges(call.usage, call.duration_ms)


def _line(charge: Charge) -> ReceiptLine:
    usd, unit = quoted_rate(charge.bucket, charge.femtos_per_unit)
    return ReceiptLine(
        bucket=charge.bucket,
        count=charge.count,
        count_unit=_UNITS[charge.bucket][0] if charge.bucket in _UNITS else "tokens",
        usd_per_unit=usd,
        rate_unit=unit,
        femtos_per_unit=charge.femtos_per_unit,
        amount_femtos=charge.amount_femtos,
        amount_usd=exact_usd(charge.amount_femtos),
        charged_as=charge.charged_as,
        note=charge.note,
    )

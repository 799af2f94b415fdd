"""What a contract means for calls, pushed to metering as rows: the allowance of each period, and request rates.

An allowance's row has the dates of its period. Rows of the periods to come are pushed ahead, so that there is no gap
between periods, however late the task that keeps them; between those, every decision pushes anew in its transaction.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from billing.contracts import Contract
from billing.models import Overage
from billing.periods import Period, next_period
from metering.models import Limit, LimitKind, LimitPeriod, LimitUnit, RateLimit

SOURCE = "plan:"
# How many periods have their rows: this one and some to come.
PERIODS_PUSHED = 3


def push_limits(contract: Contract, at: dt.datetime | None = None) -> None:
    """Make metering's rows what the contract says. Needs the organization's scope; writes only what differs."""
    today = contract.today(at)
    _push_rates(contract, today)
    period = contract.period(today)
    wanted: dict[str, dict[str, Any]] = {}
    for number in range(PERIODS_PUSHED):
        fields = _allowance(contract, period, today if number == 0 else period.starts_on)
        if fields is not None:
            wanted[f"{SOURCE}{period.starts_on}"] = fields
        period = next_period(period, contract.anchor_day)
    _replace(contract.organization_id, wanted)


def _allowance(contract: Contract, period: Period, day: dt.date) -> dict[str, Any] | None:
    """The row of a period, by the plan of one of its days; None when calls are paid with credits."""
    stay = contract.stay_on(day)
    if stay is None or stay.version.overage == Overage.CREDITS:
        return None
    return {
        "kind": LimitKind.ALLOWANCE,
        "label": f"The {stay.version.name} plan's allowance",
        "unit": LimitUnit.TOKENS,
        "amount": contract.allowance(period),
        "period": LimitPeriod.FIXED,
        "starts_on": period.starts_on,
        "ends_on": period.ends_on,
        "is_hard": not stay.is_charged,
        "is_active": True,
    }


def _replace(organization_id: int, wanted: dict[str, dict[str, Any]]) -> None:
    present = {limit.source: limit for limit in Limit.objects.filter(source__startswith=SOURCE)}
    gone = [limit.pk for source, limit in present.items() if source not in wanted]
    if gone:
        Limit.objects.filter(pk__in=gone).delete()
    for source, fields in wanted.items():
        limit = present.get(source)
        if limit is None:
            Limit.objects.create(organization_id=organization_id, source=source, **fields)
            continue
        differing = [name for name, value in fields.items() if getattr(limit, name) != value]
        if differing:
            for name in differing:
                setattr(limit, name, fields[name])
            limit.save(update_fields=differing)


def _push_rates(contract: Contract, today: dt.date) -> None:
    version = contract.version_on(today)
    if version is None:
        return
    rates = {
        "requests_per_minute": version.requests_per_minute,
        "tokens_per_minute": version.tokens_per_minute,
    }
    row = RateLimit.objects.filter(organization_id=contract.organization_id).first()
    if row is None:
        RateLimit.objects.create(organization_id=contract.organization_id, **rates)
    elif any(getattr(row, name) != value for name, value in rates.items()):
        RateLimit.objects.filter(organization_id=contract.organization_id).update(**rates)

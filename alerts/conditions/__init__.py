"""What rules can watch: each entry a small module with how usage is read for it and how a reading is judged.

docs/algorithms/alerts.md has every one of them exactly. The order is that of lists.
"""

from __future__ import annotations

import functools

from django.utils.module_loading import import_string

from alerts.conditions.condition import Condition
from core.errors import ApiError

CONDITIONS: dict[str, str] = {
    "daily_limit": "alerts.conditions.daily_limit.DailyLimit",
    "hourly_spike": "alerts.conditions.hourly_spike.HourlySpike",
    "low_usage": "alerts.conditions.low_usage.LowUsage",
    "per_model": "alerts.conditions.per_model.PerModel",
    "allowance_share": "alerts.conditions.allowance_share.AllowanceShare",
    "cost": "alerts.conditions.cost.Cost",
    "error_rate": "alerts.conditions.error_rate.ErrorRate",
    "latency": "alerts.conditions.latency.Latency",
    "rate_limited": "alerts.conditions.rate_limited.RateLimited",
    "credits_low": "alerts.conditions.credits_low.CreditsLow",
    "unpriced_share": "alerts.conditions.unpriced_share.UnpricedShare",
    "no_data": "alerts.conditions.no_data.NoData",
    "anomaly": "alerts.conditions.anomaly.Anomaly",
}


@functools.cache
def condition(name: str) -> Condition:
    """Raises ApiError 422 for a name that is none."""
    if name not in CONDITIONS:
        raise ApiError(422, "invalid_parameter", f"condition is one of {', '.join(CONDITIONS)}.", param="condition")
    found: Condition = import_string(CONDITIONS[name])()
    return found


def all_conditions() -> list[Condition]:
    return [condition(name) for name in CONDITIONS]

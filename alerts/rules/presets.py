"""Rules that most organizations want, with numbers to begin with: one click each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alerts.models import AlertRule, RuleScope
from core.money import NANOS_PER_USD

PRESETS: dict[str, dict[str, Any]] = {
    "daily_limit": {"condition": "daily_limit", "threshold": 1_000_000},
    "hourly_spike": {"condition": "hourly_spike", "threshold": 200_00},
    "low_usage": {"condition": "low_usage", "threshold": 10_000},
    "per_model": {"condition": "per_model", "threshold": 500_000},
    "allowance_share": {"condition": "allowance_share", "threshold": 80_00},
    "rate_limited": {"condition": "rate_limited", "threshold": 100, "window": "hour"},
    "anomaly": {"condition": "anomaly", "threshold": 0},
    "credits_low": {"condition": "credits_low", "threshold": 10 * NANOS_PER_USD},
}


def missing(rules: Sequence[AlertRule]) -> list[str]:
    """Presets of whose condition the organization has no rule yet."""
    present = {rule.condition for rule in rules if rule.scope == RuleScope.ORGANIZATION}
    return [name for name in PRESETS if name not in present]

"""Answers about costs as the API description shows them."""

from __future__ import annotations

from typing import Any

from metering.query.examples import COVERAGE

_PRICE: dict[str, Any] = {
    "model": "gpt-4o",
    "provider": "openai",
    "state": "priced",
    "service_tier": "standard",
    "above_tokens": 0,
    "daily_from": None,
    "daily_to": None,
    "price_id": 1060,
    "rate_unit": "million tokens",
}
COSTS: dict[str, Any] = {
    "data": [
        {
            **_PRICE, "kind": "input", "bucket": "input", "charged_as": "input",
            "count": 600_000, "rate_usd": "2.5", "amount_usd": "1.5",
        },
        {
            **_PRICE, "kind": "output", "bucket": "output", "charged_as": "output",
            "count": 200_000, "rate_usd": "10", "amount_usd": "2",
        },
    ],
    "models": [
        {
            "model": "gpt-4o", "provider": "openai", "requests": 800, "total_tokens": 800_000,
            "cost_usd": "3.5", "rounding_usd": "0", "percentage": 100.0,
        }
    ],
    "lines_usd": "3.5",
    "rounding_usd": "0",
    "total_cost_usd": "3.5",
    "coverage": COVERAGE,
}  # fmt: skip
_REPLAY: dict[str, Any] = {
    "calls": 800,
    "cost_usd": "3.5",
    "would_cost_usd": "0.21",
    "saved_usd": "3.29",
    "saved_percent": 94.0,
    "newly_priced_calls": 0,
    "newly_priced_usd": None,
    "left_out_calls": 2,
    "left_out_usd": "0",
    "left_out_because": {"usage unknown": 2},
    "other_tier_calls": 0,
}
COMPARISON: dict[str, Any] = {
    "data": [{"target": "openai/gpt-4o-mini", "price_id": 1071, "is_exact": True, **_REPLAY}],
    "models": [
        {
            "model": "gpt-4o", "provider": "openai", "requests": 802, "cost_usd": "3.5",
            "targets": [{"target": "openai/gpt-4o-mini", **_REPLAY}],
        }
    ],
    "gpu": None,
}  # fmt: skip

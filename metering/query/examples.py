"""Answers as the API description shows them."""

from __future__ import annotations

from typing import Any

COVERAGE: dict[str, Any] = {
    "priced": {"events": 1180, "tokens": 1_102_400},
    "free": {"events": 24, "tokens": 15_100},
    "estimated": {"events": 6, "tokens": 4_200},
    "unpriced": {"events": 11, "tokens": 9_800},
    "unknown_events": 2,
}
USAGE: dict[str, Any] = {
    "period_start": "2026-11-01T00:00:00Z",
    "period_end": "2026-11-30T23:59:59Z",
    "total_requests": 1221,
    "prompt_tokens": 842_300,
    "completion_tokens": 289_200,
    "total_tokens": 1_131_500,
    "total_cost_usd": "4.99775",
    "total_credits_used": 49_978,
    "credits_remaining": None,
    "allowance": {"limit": None, "used": 1_131_500, "remaining": None, "percent": None, "overage_tokens": 0},
    "daily_breakdown": [
        {"date": "2026-11-21", "requests": 61, "tokens": 57_020, "credits": 2_518, "cost_usd": "0.25181"}
    ],
    "coverage": COVERAGE,
}
MODELS: dict[str, Any] = {
    "data": [
        {
            "model": "gpt-4o",
            "provider": "openai",
            "requests": 800,
            "prompt_tokens": 600_000,
            "completion_tokens": 200_000,
            "total_tokens": 800_000,
            "credits_used": 35_000,
            "cost_usd": "3.5",
            "percentage": 70.7,
        }
    ]
}
_FIGURES: dict[str, Any] = {"requests": 61, "total_tokens": 57_020, "cost_usd": "0.25181"}
QUERY: dict[str, Any] = {
    "data": [
        {
            "start": "2026-11-21T00:00:00Z",
            "end": "2026-11-22T00:00:00Z",
            "group": {"model": "gpt-4o"},
            "labels": {"model": "gpt-4o"},
            **_FIGURES,
        }
    ],
    "totals": _FIGURES,
    "coverage": COVERAGE,
    "has_more": False,
    "next_cursor": None,
}
SUMMARY: dict[str, Any] = {
    "period": {"start": "2025-01-01T00:00:00Z", "end": "2025-01-17T23:59:59Z"},
    "summary": {"total_tokens": 45_230, "prompt_tokens": 31_180, "completion_tokens": 14_050, "requests": 234},
    "by_model": [
        {"model": "gpt-4", "tokens": 27_138, "percentage": 60.0},
        {"model": "gpt-3.5-turbo", "tokens": 18_092, "percentage": 40.0},
    ],
}
HOURLY: dict[str, Any] = {
    "date": "2025-01-17",
    "data": [
        {
            "timestamp": "2025-01-17T00:00:00Z",
            "prompt_tokens": 1_250,
            "completion_tokens": 830,
            "total_tokens": 2_080,
            "requests": 12,
        }
    ],
}

"""List prices that the catalogue lacks or has wrong, from the providers' own pages, dated.

Each entry replaces the whole timeline of its model. docs/algorithms/price-cross-check.md gives the evidence; an entry
goes when the catalogue has the same.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from core.money import femtos_per_unit
from metering.pricing.rate import Rate

_MIDNIGHT = dt.time(0)
_TOKENS = 1_000_000
_NO_WINDOW = (_MIDNIGHT, _MIDNIGHT)


def _utc(year: int, month: int, day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, tzinfo=dt.UTC)


def _rates(window: tuple[dt.time, dt.time] = _NO_WINDOW, **usd_per_million: str) -> tuple[Rate, ...]:
    starts_at, ends_at = window
    return tuple(
        Rate(bucket, "", 0, starts_at, ends_at, femtos_per_unit(Decimal(usd) / _TOKENS))
        for bucket, usd in usd_per_million.items()
    )


@dataclass(frozen=True)
class Supplement:
    """`periods`: from when (None: ever) which rates hold, oldest first."""

    provider: str
    model: str
    names: tuple[str, ...]
    source: str
    periods: tuple[tuple[dt.datetime | None, tuple[Rate, ...]], ...]


_DEEPSEEK = "api-docs.deepseek.com, pricing and news"
_DEEPSEEK_OFF_PEAK = (dt.time(16, 30), dt.time(0, 30))
_DEEPSEEK_LAUNCH = _rates(input="0.14", cache_read="0.014", output="0.28")
_DEEPSEEK_V3 = _rates(input="0.27", cache_read="0.07", output="1.1")
_DEEPSEEK_R1 = _rates(input="0.55", cache_read="0.14", output="2.19")
_DEEPSEEK_NIGHT = _rates(_DEEPSEEK_OFF_PEAK, input="0.135", cache_read="0.035", output="0.55")
_DEEPSEEK_V3_1 = _rates(input="0.56", cache_read="0.07", output="1.68")
_DEEPSEEK_V3_2 = _rates(input="0.28", cache_read="0.028", output="0.42")
# Off-peak discounts began on 2025-02-26 at 16:30 UTC, with their first night, and ended on 2025-09-05 at 16:00.
_NIGHTS_BEGIN = dt.datetime(2025, 2, 26, 16, 30, tzinfo=dt.UTC)
_NIGHTS_END = _utc(2025, 9, 5, 16)
_V3_2_CUT = _utc(2025, 9, 29, 10)

SUPPLEMENTS = (
    Supplement(
        "deepseek",
        "deepseek-chat",
        ("deepseek-chat-v3-0324",),
        _DEEPSEEK,
        (
            (None, _DEEPSEEK_LAUNCH),
            (_utc(2025, 2, 8, 16), _DEEPSEEK_V3),
            (_NIGHTS_BEGIN, _DEEPSEEK_V3 + _DEEPSEEK_NIGHT),
            (_NIGHTS_END, _DEEPSEEK_V3_1),
            (_V3_2_CUT, _DEEPSEEK_V3_2),
        ),
    ),
    Supplement(
        "deepseek",
        "deepseek-reasoner",
        ("deepseek-r1", "deepseek-r1-0528"),
        _DEEPSEEK,
        (
            (None, _DEEPSEEK_R1),
            (_NIGHTS_BEGIN, _DEEPSEEK_R1 + _DEEPSEEK_NIGHT),
            (_NIGHTS_END, _DEEPSEEK_V3_1),
            (_V3_2_CUT, _DEEPSEEK_V3_2),
        ),
    ),
    Supplement(
        "openai",
        "gpt-4o-audio-preview",
        ("gpt-4o-audio-preview-2024-12-17", "gpt-4o-audio-preview-2025-06-03"),
        "openai.com, API pricing",
        ((None, _rates(input="2.5", output="10", audio_input="40", audio_output="80")),),
    ),
    Supplement(
        "openai",
        "gpt-4o-audio-preview-2024-10-01",
        (),
        "openai.com, API pricing",
        ((None, _rates(input="2.5", output="10", audio_input="100", audio_output="200")),),
    ),
    Supplement(
        "openai",
        "gpt-4o-mini-audio-preview",
        ("gpt-4o-mini-audio", "gpt-4o-mini-audio-preview-2024-12-17"),
        "openai.com, API pricing",
        ((None, _rates(input="0.15", output="0.6", audio_input="10", audio_output="20")),),
    ),
    Supplement(
        "mistral",
        "mistral-large-latest",
        (),
        "mistral.ai, pricing: Large 2 until Large 3",
        (
            (None, _rates(input="2", output="6")),
            (_utc(2025, 12, 2), _rates(input="0.5", cache_read="0.05", output="1.5")),
        ),
    ),
)

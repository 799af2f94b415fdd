"""Compare our list prices with other catalogues: `uv run scripts/price_cross_check.py DIR [--markdown]`.

DIR holds litellm_model_prices.json and langfuse_default_model_prices.json, as their projects publish them. Prints
input / cache read / cache write / output in dollars per million tokens for the most used models, ours of --at (default
now), and marks what differs. docs/algorithms/price-cross-check.md explains each difference.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from metering.pricing.catalogue import listed_models
from metering.pricing.rate import Rate

# Ours (provider, model, name to look up) → LiteLLM's key, Langfuse's modelName
MODELS = [
    ("openai", "gpt-4o", "gpt-4o", "gpt-4o"),
    ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini", "gpt-4o-mini"),
    ("openai", "gpt-4.1", "gpt-4.1", "gpt-4.1"),
    ("openai", "gpt-4.1-mini", "gpt-4.1-mini", "gpt-4.1-mini"),
    ("openai", "gpt-5", "gpt-5", "gpt-5"),
    ("openai", "gpt-5-mini", "gpt-5-mini", "gpt-5-mini"),
    ("openai", "gpt-5.4", "gpt-5.4", "gpt-5.4"),
    ("openai", "gpt-5.6-sol", "gpt-5.6-sol", "gpt-5.6-sol"),
    ("openai", "o3", "o3", "o3"),
    ("openai", "o4-mini", "o4-mini", "o4-mini"),
    ("openai", "text-embedding-3-small", "text-embedding-3-small", "text-embedding-3-small"),
    ("anthropic", "claude-3-5-sonnet", "claude-3-5-sonnet-20241022", "claude-3.5-sonnet-20241022"),
    ("anthropic", "claude-3-5-haiku-latest", "claude-3-5-haiku-20241022", "claude-3-5-haiku-20241022"),
    ("anthropic", "claude-sonnet-4-0", "claude-sonnet-4-20250514", "claude-sonnet-4-20250514"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("anthropic", "claude-sonnet-4-6", "claude-sonnet-4-6", "claude-sonnet-4-6"),
    ("anthropic", "claude-haiku-4-5", "claude-haiku-4-5", "claude-haiku-4-5-20251001"),
    ("anthropic", "claude-opus-4-5", "claude-opus-4-5", "claude-opus-4-5-20251101"),
    ("google", "gemini-2.0-flash", "gemini/gemini-2.0-flash", "gemini-2.0-flash"),
    ("google", "gemini-2.5-flash", "gemini/gemini-2.5-flash", "gemini-2.5-flash"),
    ("google", "gemini-2.5-pro", "gemini/gemini-2.5-pro", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat", "deepseek/deepseek-chat", None),
    ("deepseek", "deepseek-reasoner", "deepseek/deepseek-reasoner", None),
    ("mistral", "mistral-large-latest", "mistral/mistral-large-latest", None),
    ("x-ai", "grok-4-0709", "xai/grok-4-0709", None),
]
BUCKETS = ("input", "cache_read", "cache_write_5m", "output")
LITELLM_KEYS = (
    "input_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "output_cost_per_token",
)
LANGFUSE_KEYS = (
    ("input",),
    ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read"),
    ("cache_creation_input_tokens", "input_cache_creation_5m", "input_cache_creation"),
    ("output",),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--at", type=dt.datetime.fromisoformat, default=dt.datetime.now(dt.UTC))
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    at = options.at if options.at.tzinfo else options.at.replace(tzinfo=dt.UTC)
    litellm = json.loads((options.directory / "litellm_model_prices.json").read_text())
    langfuse = {
        m["modelName"]: m for m in json.loads((options.directory / "langfuse_default_model_prices.json").read_text())
    }
    ours = {(model.provider, model.model): model for model in listed_models()}
    rows = [("model", "ours", "LiteLLM", "Langfuse", "differs")]
    for provider, model, litellm_key, langfuse_name in MODELS:
        rates = next(
            prices.rates
            for start, end, prices in ours[provider, model].spans
            if start <= at and (end is None or at < end)
        )
        mine = [_standard(rates, bucket, at) for bucket in BUCKETS]
        theirs = _litellm(litellm.get(litellm_key))
        others = _langfuse(langfuse.get(langfuse_name or ""))
        columns = [mine, theirs, others]
        rows.append((f"{provider}/{model}", *map(_text, columns), _differences(columns)))
    _print(rows, options.markdown)


def _standard(rates: tuple[Rate, ...], bucket: str, at: dt.datetime) -> Decimal | None:
    fitting = [r for r in rates if r.bucket == bucket and not r.service_tier and not r.above_tokens]
    time = at.astimezone(dt.UTC).time()
    windowed = [r for r in fitting if not r.is_all_day and r.starts_at <= time < r.ends_at]
    chosen = (windowed or [r for r in fitting if r.is_all_day] or [None])[0]
    return None if chosen is None else Decimal(chosen.femtos_per_unit).scaleb(-9)


def _per_million(value: float | None) -> Decimal | None:
    return None if value is None else (Decimal(str(value)) * 1_000_000).normalize()


def _litellm(entry: dict[str, Any] | None) -> list[Decimal | None] | None:
    return None if entry is None else [_per_million(entry.get(key)) for key in LITELLM_KEYS]


def _langfuse(entry: dict[str, Any] | None) -> list[Decimal | None] | None:
    if entry is None:
        return None
    prices = next(tier["prices"] for tier in entry["pricingTiers"] if tier["isDefault"])
    return [_per_million(next((prices[k] for k in keys if k in prices), None)) for keys in LANGFUSE_KEYS]


def _text(column: list[Decimal | None] | None) -> str:
    if column is None:
        return "not listed"
    return " / ".join("–" if value is None else f"{value.normalize():f}" for value in column)


def _differences(columns: list[list[Decimal | None] | None]) -> str:
    names = []
    for index, bucket in enumerate(BUCKETS):
        # A catalogue that leaves a bucket out, or has it at 0, says nothing about it.
        values = {column[index] for column in columns if column is not None and column[index]}
        if len(values) > 1:
            names.append(bucket)
    return ", ".join(names) or "–"


def _print(rows: list[tuple[str, ...]], is_markdown: bool) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("| " + " | ".join(cells) + " |" if is_markdown else "  ".join(cells))
        if is_markdown and number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


if __name__ == "__main__":
    main()

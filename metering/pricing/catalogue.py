"""Public list prices, read from the genai-prices package: its data, without network, as dated rates.

The package's own matching is not used: of its clauses only whole names and anchored beginnings become names
(metering/pricing/aliases.py says how calls find them).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from importlib.metadata import version as package_version
from typing import Any

import msgspec

from core.money import FEMTOS_PER_USD
from metering.pricing.aliases import MORE_NAMES
from metering.pricing.derived import half_price_batch, with_derived_rates
from metering.pricing.rate import Rate
from metering.pricing.supplements import SUPPLEMENTS, Supplement
from metering.pricing.timeline import Span

# Where an undated price begins: before any of these models existed.
BEGINNING = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

# The catalogue's keys → our bucket, and how many units its figure is for.
BUCKET_OF_KEY = {
    "input_mtok": ("input", 1_000_000),
    "output_mtok": ("output", 1_000_000),
    "cache_read_mtok": ("cache_read", 1_000_000),
    "cache_write_mtok": ("cache_write_5m", 1_000_000),
    "cache_write_5m_mtok": ("cache_write_5m", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h", 1_000_000),
    "output_reasoning_mtok": ("reasoning", 1_000_000),
    "input_audio_mtok": ("audio_input", 1_000_000),
    "output_audio_mtok": ("audio_output", 1_000_000),
    "input_image_mtok": ("image_input", 1_000_000),
    "output_image_mtok": ("image_output", 1_000_000),
    "web_searches_kcount": ("web_searches", 1_000),
    "requests_kcount": ("requests", 1_000),
    "audio_hours": ("media_hours", 1),
    "input_audio_hours": ("media_hours", 1),
}

# Models whose empty price means free. Elsewhere it means that nobody knows, which is not the same:
# "qwen-3-coder-480b … kept for historical usage", songs charged by the piece, models retired from a page.
FREE_MODELS = {
    "google": {"gemma-3", "gemma-3n", "gemma-4-26b-a4b-it", "gemma-4-31b-it"},
    "openai": {"moderation"},
    "github-copilot": {"gpt-3.5-turbo", "gpt-4.1", "gpt-4o", "gpt-4o-mini"},
}

# What tells a tier in the catalogue's variants. Others (routes, kinds of search) are not in our events.
_TIER_KEYS = {"service_tier", "processing", "speed"}
_MIDNIGHT = dt.time(0)


class Prices(msgspec.Struct, frozen=True):
    """The content of one version. Notes do not count when prices are compared."""

    is_free: bool
    rates: tuple[Rate, ...]

    @property
    def figures(self) -> tuple[bool, frozenset[tuple[Any, ...]]]:
        return self.is_free, frozenset(
            (r.bucket, r.service_tier, r.above_tokens, r.starts_at, r.ends_at, r.femtos_per_unit) for r in self.rates
        )


@dataclass(frozen=True)
class ListedModel:
    """One model of one provider: its names (lower case) and its prices, contiguous and oldest first."""

    provider: str
    model: str
    names: frozenset[str]
    spans: tuple[tuple[dt.datetime, dt.datetime | None, Prices], ...]
    source: str


@cache
def source() -> str:
    return f"genai-prices {package_version('genai-prices')}"


def listed_models() -> list[ListedModel]:
    """Everything the package prices in units that our events count."""
    # Takes a second, and is needed nowhere else.
    from genai_prices.data import providers

    models = []
    for provider in providers:
        names = _names(provider.id, provider.models)
        for model in provider.models:
            spans = _spans(provider.id, model)
            if spans:
                models.append(ListedModel(provider.id, model.id.lower(), frozenset(names[model.id]), spans, source()))
    return supplemented(models)


def supplemented(models: Sequence[ListedModel]) -> list[ListedModel]:
    """The catalogue's models with our supplements in place of, or beside, its own."""
    replaced = {(entry.provider, entry.model): _supplement(entry) for entry in SUPPLEMENTS}
    taken = {(entry.provider, name) for entry in replaced.values() for name in (entry.model, *entry.names)}
    kept = [
        replace(model, names=frozenset(name for name in model.names if (model.provider, name) not in taken))
        for model in models
        if (model.provider, model.model) not in replaced
    ]
    return [*kept, *replaced.values()]


def _supplement(entry: Supplement) -> ListedModel:
    starts = [at or BEGINNING for at, _ in entry.periods]
    ends = [*starts[1:], None]
    spans = tuple(
        (start, end, Prices(False, with_derived_rates(entry.provider, entry.model, rates)))
        for start, end, (_, rates) in zip(starts, ends, entry.periods, strict=True)
    )
    return ListedModel(entry.provider, entry.model, frozenset(entry.names), spans, entry.source)


# ── Prices ──


def _spans(provider: str, model: Any) -> tuple[tuple[dt.datetime, dt.datetime | None, Prices], ...]:
    conditions = model.prices if isinstance(model.prices, list) else None
    prices = [(None, model.prices)] if conditions is None else [(c.constraint, c.prices) for c in conditions]
    variants = [(tier, v) for v in model.price_variants or () if (tier := _tier(v.when))]
    starts = {_start(constraint) for constraint, _ in prices if hasattr(constraint, "start_date")}
    starts |= {_start(variant.constraint) for _, variant in variants}
    dates = sorted(starts | {BEGINNING})
    contents = [_content(provider, model.id, prices, variants, at) for at in dates]
    spans: list[tuple[dt.datetime, dt.datetime | None, Prices]] = []
    for index, (at, content) in enumerate(zip(dates, contents, strict=True)):
        until = dates[index + 1] if index + 1 < len(dates) else None
        if spans and spans[-1][2].figures == content.figures:
            spans[-1] = (spans[-1][0], until, spans[-1][2])
        else:
            spans.append((at, until, content))
    return tuple(spans) if any(content.is_free or content.rates for _, _, content in spans) else ()


def _content(provider: str, model: str, prices: list[Any], variants: list[Any], at: dt.datetime) -> Prices:
    standard = _standard(prices, at)
    if not standard and _is_free(provider, model):
        return Prices(True, ())
    rates = list(standard)
    for tier in dict.fromkeys(tier for tier, _ in variants):
        candidates = [variant for name, variant in variants if name == tier]
        active = [variant for variant in candidates if _start(variant.constraint) <= at]
        if active:
            rates += _variant_rates(active, tier)
        else:
            rates += _earlier_rates(provider, prices, candidates, tier, at)
    return Prices(False, with_derived_rates(provider, model.lower(), rates))


def _standard(prices: list[Any], at: dt.datetime) -> list[Rate]:
    """The ordinary tier at an instant. The last dated price that has begun applies, and the daily windows that
    stand behind it in the list: windows listed after a date are of the price of that date."""
    base = 0
    for index, (constraint, _) in enumerate(prices):
        if hasattr(constraint, "start_date") and _start(constraint) <= at:
            base = index
    rates = _rates(prices[base][1])
    for constraint, price in prices[base + 1 :]:
        if not hasattr(constraint, "start_time"):
            break
        rates += _rates(price, starts_at=_utc(constraint.start_time), ends_at=_utc(constraint.end_time))
    return rates


def _variant_rates(variants: Sequence[Any], tier: str, note: str = "") -> list[Rate]:
    """Bucket by bucket the first variant that has begun, as the catalogue resolves them."""
    chosen: dict[str, list[Rate]] = {}
    for variant in variants:
        fresh: dict[str, list[Rate]] = {}
        for rate in _rates(variant.prices, tier=tier, note=note):
            if rate.bucket not in chosen:
                fresh.setdefault(rate.bucket, []).append(rate)
        chosen.update(fresh)
    return [rate for rates in chosen.values() for rate in rates]


def _earlier_rates(provider: str, prices: list[Any], variants: Sequence[Any], tier: str, at: dt.datetime) -> list[Rate]:
    """A tier's rates before the day the catalogue first checked them.

    The catalogue dates most tiers by the day of its check, not by the day they began. While the standard price was
    what it was on that day, the tier's is taken to have been as well; batches at half price are published as a rule.
    """
    first = min(variants, key=lambda variant: _start(variant.constraint))
    checked_at = _start(first.constraint)
    before, then = _standard(prices, at), _standard(prices, checked_at)
    rates = _variant_rates([first], tier, note=f"as listed on {checked_at:%Y-%m-%d}, when first checked")
    buckets = {rate.bucket for rate in rates}
    if _figures(before, buckets) == _figures(then, buckets):
        return rates
    return half_price_batch(provider, before, buckets) if tier == "batch" else []


def _figures(rates: list[Rate], buckets: set[str]) -> set[Rate]:
    return {rate for rate in rates if rate.bucket in buckets}


def _rates(
    price: Any,
    tier: str = "",
    note: str = "",
    starts_at: dt.time = _MIDNIGHT,
    ends_at: dt.time = _MIDNIGHT,
) -> list[Rate]:
    """The catalogue's figures in femto-dollars; one that both of two keys name comes once."""
    rates: dict[tuple[str, int], Rate] = {}
    for key, value in vars(price).items():
        if value is None or key not in BUCKET_OF_KEY:
            continue
        bucket, units = BUCKET_OF_KEY[key]
        steps = [(0, value)] if isinstance(value, Decimal) else [(0, value.base)]
        if not isinstance(value, Decimal):
            steps += [(step.start, step.price) for step in value.tiers]
        for above, usd in steps:
            rates[bucket, above] = Rate(bucket, tier, above, starts_at, ends_at, _femtos(usd, units), note)
    return list(rates.values())


def _femtos(usd: Decimal, units: int) -> int:
    """To the nearest femto: some figures of the catalogue carry the noise of binary fractions (0.18000000000000002)."""
    return int((usd * FEMTOS_PER_USD / units).to_integral_value(ROUND_HALF_EVEN))


def _is_free(provider: str, model: str) -> bool:
    return model.endswith(":free") or model in FREE_MODELS.get(provider, ())


def _tier(when: dict[str, str]) -> str:
    """The tier a variant is about; "" for the ordinary one and for conditions our events do not carry."""
    if len(when) != 1:
        return ""
    ((key, value),) = when.items()
    return value.lower() if key in _TIER_KEYS and value != "default" else ""


def _start(constraint: Any) -> dt.datetime:
    if constraint is None:
        return BEGINNING
    return dt.datetime.combine(constraint.start_date, _MIDNIGHT, tzinfo=dt.UTC)


def _utc(time: dt.time) -> dt.time:
    if time.tzinfo is None:
        return time
    return dt.datetime.combine(dt.date(2000, 1, 1), time).astimezone(dt.UTC).time()


# ── Names ──


def _names(provider: str, models: Sequence[Any]) -> dict[str, set[str]]:
    """Each model's whole names. A beginning ("claude-sonnet-4-5…") counts as the name it is by itself; one that two
    models share counts for neither."""
    exact: dict[str, str] = {}
    stems: dict[str, set[str]] = {}
    for model in models:
        exact.setdefault(model.id.lower(), model.id)
        for kind, text in _clauses(model.match):
            name = text.lower()
            if kind == "equals":
                exact.setdefault(name, model.id)
            elif not name.startswith("/"):
                stems.setdefault(name.rstrip("-@:."), set()).add(model.id)
    for (owner, name), target in MORE_NAMES.items():
        if owner == provider:
            exact.setdefault(name, target)
    result: dict[str, set[str]] = {model.id: set() for model in models}
    for name, model_id in exact.items():
        result.setdefault(model_id, set()).add(name)
    for name, model_ids in stems.items():
        if name and name not in exact and len(model_ids) == 1:
            result[next(iter(model_ids))].add(name)
    return result


def _clauses(clause: Any) -> Iterator[tuple[str, str]]:
    for kind in ("equals", "starts_with", "contains", "ends_with"):
        if (text := getattr(clause, kind, None)) is not None:
            yield kind, text
    for child in getattr(clause, "or_", ()):
        yield from _clauses(child)
    # A conjunction excludes some of what its beginning would match; the beginning alone, as a whole name, is safe.
    for child in getattr(clause, "and_", ()):
        yield from _clauses(child)


def spans_of(model: ListedModel) -> list[Span]:
    """For the comparison with what is stored: prices by their figures."""
    return [Span(start, until, prices.figures) for start, until, prices in model.spans]

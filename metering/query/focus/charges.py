"""FOCUS rows of some usage: a charge for each kind of token, at each rate, of each place the calls came from.

ContractedCost is count × rate, exact. BilledCost is what the ledger has: each call's cost was rounded once to 10⁻⁹
dollars, and what a group of calls cost is divided among its charges by their exact amounts, so that the column sums to
the total cost of the costs page to the last digit. Usage without a price is no charge whose cost is 0: it is told in
rows of its own, with its quantity beside and without a price.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from core.money import FEMTOS_PER_NANO, apportion, decimal_text, divide_half_even
from metering.estimate.tokenizers import maker_of
from metering.pricing.aliases import canonical_provider
from metering.pricing.plan import Version
from metering.pricing.rate import MS_PER_HOUR
from metering.pricing.receipt import quoted_rate
from metering.query.costs import CostLine, lines_of, vector_of
from metering.query.focus.columns import COLUMNS, SCALE
from metering.query.labels import NONE, GroupValue
from metering.query.rate_parts import PRICE
from metering.query.run import UsageRow
from metering.query.tables import Cell

# What is told apart beside the rates.
API_KEY = "api_key"
PLACES = ("project", "team", "department", API_KEY)
UNPRICED = "Unpriced"
_STATES = {"priced": "Priced", "free": "Free", "included": "Included", "unpriced": UNPRICED}
_ONE = 10**SCALE
_MILLION = 10**6
# Bucket → what a price list calls the meter.
_METERS = {
    "input": "Input tokens",
    "cache_read": "Cache read tokens",
    "cache_write_5m": "Cache write tokens, 5 minutes",
    "cache_write_1h": "Cache write tokens, 1 hour",
    "output": "Output tokens",
    "reasoning": "Reasoning tokens",
    "audio_input": "Audio input tokens",
    "audio_output": "Audio output tokens",
    "image_input": "Image input tokens",
    "image_output": "Image output tokens",
    "web_searches": "Web searches",
    "images": "Images",
    "requests": "Requests",
    "media_hours": "Audio or video",
    "gpu_hours": "GPU time",
}
_UNITS = {"web_searches": "Searches", "images": "Images", "requests": "Requests"}
_HOURS = ("media_hours", "gpu_hours")
_PROVIDERS = {
    "anthropic": "Anthropic", "aws": "Amazon Web Services", "azure": "Microsoft Azure", "cohere": "Cohere",
    "deepseek": "DeepSeek", "google": "Google", "groq": "Groq", "mistral": "Mistral AI", "moonshotai": "Moonshot AI",
    "openai": "OpenAI", "openrouter": "OpenRouter", "perplexity": "Perplexity", "together": "Together AI",
    "voyageai": "Voyage AI", "x-ai": "xAI",
}  # fmt: skip

# Who sells other makers' models, so that the name of a model tells who made it. Elsewhere a name is whatever one likes.
_RESELLERS = frozenset({"aws", "azure", "google", "groq", "openrouter", "together", "fireworks", "github-copilot"})


class Account(msgspec.Struct, frozen=True):
    """Whose bill it is."""

    slug: str
    name: str


class Span(msgspec.Struct, frozen=True):
    """A charge period [start, end) and the billing period around it."""

    start: dt.datetime
    end: dt.datetime
    billing_start: dt.datetime
    billing_end: dt.datetime


class _Place(msgspec.Struct, frozen=True):
    project: GroupValue
    team: GroupValue
    department: GroupValue
    api_key: GroupValue


class _Part(msgspec.Struct):
    """One charge in the making. `billed_nanos` is what the ledger has of it."""

    line: CostLine
    place: _Place
    list_femtos: int | None
    billed_nanos: int


# ── From usage to charges ──


def charges(
    rows: Iterable[UsageRow],
    versions: Mapping[int, Version],
    listed: Mapping[int, Version],
    account: Account,
    span: Span,
) -> list[list[Cell]]:
    """FOCUS rows, in the order of COLUMNS. `rows` are of one charge period, apart by PLACES and by what decides rates
    (costs.rows_by_rates); `listed` has the list price beside an own one, by the own one's id."""
    parts: dict[tuple[Any, ...], _Part] = {}
    rest: list[list[Cell]] = []
    for row in rows:
        place = _Place(*(row.group.get(name, NONE) for name in PLACES))
        version = versions.get(int(row.group[PRICE].ref or 0))
        lines = lines_of(row, version)
        weights = [line.amount_femtos or 0 for line in lines]
        billed = row.figures.known_cost_nanos
        if billed and not any(weights):
            rest.append(_unexplained(row, place, account, span))
            billed = 0
        own_list = listed.get(version.id) if version else None
        vector = vector_of(row, own_list) if own_list else None
        for line, nanos in zip(lines, apportion(billed, weights), strict=True):
            rate = vector.rates.get(line.bucket) if vector and line.state == "priced" else None
            part = _Part(line, place, rate.femtos_per_unit if rate else None, nanos)
            key = (*(value.ref for value in (*msgspec.structs.astuple(place), line.model, line.provider)), *_sku(line))
            parts[key] = _together(parts[key], part) if key in parts else part
    return [*(_row(part, account, span) for _, part in sorted(parts.items(), key=_order)), *rest]


def _sku(line: CostLine) -> tuple[Any, ...]:
    return (
        line.version.id if line.version else 0, line.tier, line.above_tokens, line.hours, line.bucket, line.charged_as,
        line.state,
    )  # fmt: skip


def _order(item: tuple[tuple[Any, ...], _Part]) -> str:
    return repr(item[0])


def _together(one: _Part, other: _Part) -> _Part:
    amount = None if one.line.amount_femtos is None else one.line.amount_femtos + (other.line.amount_femtos or 0)
    line = msgspec.structs.replace(one.line, count=one.line.count + other.line.count, amount_femtos=amount)
    return _Part(line, one.place, one.list_femtos, one.billed_nanos + other.billed_nanos)


# ── From charges to cells ──


def _row(part: _Part, account: Account, span: Span) -> list[Cell]:
    line = part.line
    cells = _shared(line.model, line.provider, line.version, part.place, account, span)
    cells |= {
        "x_TokenKind": line.bucket,
        "x_ServiceTier": line.tier or "standard",
        "x_PricingState": _STATES[line.state],
    }
    cells |= _unpriced(line) if line.state == "unpriced" else _usage(part)
    return _ordered(cells)


def _usage(part: _Part) -> dict[str, Cell]:
    line = part.line
    rate = line.femtos_per_unit or 0
    list_rate = rate if part.list_femtos is None else part.list_femtos
    consumed, consumed_unit = _consumed(line)
    pricing, pricing_unit = _priced(line)
    billed = part.billed_nanos * FEMTOS_PER_NANO
    sku = "/".join(filter(None, (_canonical(line.provider, line.version), line.model.key, line.bucket)))
    return {
        "BilledCost": billed,
        "EffectiveCost": billed,
        "ChargeCategory": "Usage",
        "ChargeDescription": _description(line),
        "ConsumedQuantity": consumed,
        "ConsumedUnit": consumed_unit,
        "ContractedCost": line.amount_femtos or 0,
        "ContractedUnitPrice": _quoted(line, rate),
        "ListCost": line.amount_femtos or 0 if list_rate == rate else _amount(line, list_rate),
        "ListUnitPrice": _quoted(line, list_rate),
        "PricingCategory": "Standard",
        "PricingQuantity": pricing,
        "PricingUnit": pricing_unit,
        "SkuId": sku,
        "SkuMeter": _METERS[line.bucket],
        "SkuPriceDetails": _price_details(line),
        "SkuPriceId": f"{sku}@{_price_words(line)}",
    }


def _unpriced(line: CostLine) -> dict[str, Cell]:
    """No charge: nothing is known of its cost, so no column of costs has any of it."""
    quantity, unit = _consumed(line)
    return {
        "BilledCost": 0,
        "EffectiveCost": 0,
        "ContractedCost": 0,
        "ListCost": 0,
        "ChargeCategory": "Adjustment",
        "ChargeDescription": f"{_counted(line)} of {line.model.key} without a price: their cost is unknown.",
        "x_UnpricedQuantity": quantity,
        "x_UnpricedUnit": unit,
    }


def _unexplained(row: UsageRow, place: _Place, account: Account, span: Span) -> list[Cell]:
    """A cost that the ledger has and no rate explains."""
    model, provider = row.group["model"], row.group["provider"]
    femtos = row.figures.known_cost_nanos * FEMTOS_PER_NANO
    cells = _shared(model, provider, None, place, account, span)
    cells |= dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"), femtos)
    cells |= {
        "ChargeCategory": "Adjustment",
        "ChargeDescription": f"Cost of calls of {model.key} that is not told apart by kinds of tokens.",
        "x_PricingState": "Priced",
        "x_ServiceTier": "standard",
    }
    return _ordered(cells)


def _shared(
    model: GroupValue, provider: GroupValue, version: Version | None, place: _Place, account: Account, span: Span
) -> dict[str, Cell]:
    """What every row of these calls says."""
    named, maker = _canonical(provider, version), maker_of(model.key or "")
    seller = _provider_name(named or maker or "")
    offered_by = seller or account.name
    is_resold = maker is not None and named in _RESELLERS
    project, key = place.project, place.api_key
    return {
        "BillingAccountId": account.slug,
        "BillingAccountName": account.name,
        "BillingAccountType": "Organization",
        "BillingCurrency": "USD",
        "BillingPeriodStart": span.billing_start,
        "BillingPeriodEnd": span.billing_end,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": span.start,
        "ChargePeriodEnd": span.end,
        "InvoiceIssuerName": offered_by,
        "ProviderName": offered_by,
        "PublisherName": _provider_name(maker) if maker and is_resold else offered_by,
        "ResourceId": f"{account.slug}/keys/{key.ref}" if key.ref else None,
        "ResourceName": key.label if key.ref else None,
        "ResourceType": "API key" if key.ref else None,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{seller} models" if seller else "Own models",
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": f"{account.slug}/projects/{project.ref}" if project.ref else None,
        "SubAccountName": (project.label or f"Deleted project {project.ref}") if project.ref else None,
        "SubAccountType": "Project" if project.ref else None,
        "Tags": _tags(place),
        "x_Model": model.key,
    }


def _ordered(cells: Mapping[str, Cell]) -> list[Cell]:
    return [cells.get(column.name) for column in COLUMNS]


def _tags(place: _Place) -> str | None:
    """The names as they are now; who moves a team moves no cost of the past."""
    tags = {
        name: value.label or value.key
        for name, value in (("project", place.project), ("team", place.team), ("department", place.department))
        if value.ref
    }
    return json.dumps(tags, ensure_ascii=False) if tags else None


def _canonical(provider: GroupValue, version: Version | None) -> str:
    if provider.key:
        return canonical_provider(provider.key) or provider.key
    return version.provider if version else ""


def _provider_name(canonical: str) -> str:
    return _PROVIDERS.get(canonical, canonical)


# ── Quantities and prices ──


def _consumed(line: CostLine) -> tuple[int, str]:
    if line.bucket in _HOURS:
        return line.count * _ONE // 1000, "Seconds"
    return line.count * _ONE, _UNITS.get(line.bucket, "Tokens")


def _priced(line: CostLine) -> tuple[int, str]:
    """In the unit of price lists: a million tokens, an hour, one of the others. An hour's decimals are rounded."""
    if line.bucket in _HOURS:
        return divide_half_even(line.count * _ONE, MS_PER_HOUR), "Hours"
    if line.bucket in _UNITS:
        return line.count * _ONE, _UNITS[line.bucket]
    return line.count * (_ONE // _MILLION), f"{_MILLION} Tokens"


def _quoted(line: CostLine, femtos_per_unit: int) -> int:
    """Femto-dollars for one pricing unit."""
    return femtos_per_unit if line.bucket in _HOURS or line.bucket in _UNITS else femtos_per_unit * _MILLION


def _amount(line: CostLine, femtos_per_unit: int) -> int:
    product = line.count * femtos_per_unit
    return divide_half_even(product, MS_PER_HOUR) if line.bucket in _HOURS else product


# ── Words ──


def _description(line: CostLine) -> str:
    said = [f"{_counted(line)} of {line.model.key}"]
    if line.tier:
        said.append(f"{line.tier} tier")
    if line.above_tokens:
        said.append(f"prompts above {line.above_tokens:,} tokens")
    if line.hours:
        said.append(f"{line.hours[0]:%H:%M} to {line.hours[1]:%H:%M} UTC")
    if line.state != "priced":
        said.append("free of charge" if line.state == "free" else "paid for by the other charges of their calls")
    elif line.femtos_per_unit is not None:
        usd, unit = quoted_rate(line.charged_as, line.femtos_per_unit)
        said.append(f"at ${usd} per {unit}")
    return ", ".join(said)


def _counted(line: CostLine) -> str:
    if line.bucket in _HOURS:
        return f"{decimal_text(line.count, 3)} seconds of {_METERS[line.bucket].lower()}"
    return f"{line.count:,} {_METERS[line.bucket].lower()}"


def _price_words(line: CostLine) -> str:
    """The price, and which of its rates: 17, 17:batch:>200000:16.30-00.30."""
    said = [str(line.version.id) if line.version else "0"]
    if line.tier:
        said.append(line.tier)
    if line.above_tokens:
        said.append(f">{line.above_tokens}")
    if line.hours:
        said.append(f"{line.hours[0]:%H.%M}-{line.hours[1]:%H.%M}")
    return ":".join(said)


def _price_details(line: CostLine) -> str:
    details: dict[str, Any] = {"x_ServiceTier": line.tier or "standard", "x_ChargedAs": line.charged_as}
    if line.version:
        details |= {"x_PriceId": line.version.id, "x_PriceSource": line.version.source}
    if line.above_tokens:
        details["x_PromptTokensAbove"] = line.above_tokens
    if line.hours:
        details |= {"x_DailyFrom": f"{line.hours[0]:%H:%M}", "x_DailyTo": f"{line.hours[1]:%H:%M}"}
    return json.dumps(details, ensure_ascii=False)

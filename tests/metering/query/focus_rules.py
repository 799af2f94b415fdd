"""The column rules of FOCUS 1.2, written from the specification and from nothing of ours: a dataset in, breaches out.

Each rule is a sentence of https://focus.finops.org/focus-specification/v1-2/. Rows are texts, as a CSV has them; an
empty cell is null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise

Row = Mapping[str, str]

MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
}  # fmt: skip
# Of a provider that measures usage, has price lists, accounts below accounts, resources, tags and negotiated prices.
CONDITIONAL = {
    "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice", "ResourceId", "ResourceName",
    "ResourceType", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags",
}  # fmt: skip
NOT_NULL = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost",
    "InvoiceIssuerName", "ListCost", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
    "ServiceSubcategory",
}  # fmt: skip
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"", "Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {
        "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
        "Identity", "Integration", "Internet of Things", "Management and Governance", "Media", "Migration", "Mobile",
        "Multicloud", "Networking", "Security", "Storage", "Web", "Other",
    },
}  # fmt: skip
SUBCATEGORIES = {
    "AI and Machine Learning": {
        "AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing",
        "Other (AI and Machine Learning)",
    }
}  # fmt: skip
NUMERIC = {
    "BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost",
    "ListUnitPrice", "PricingQuantity",
}  # fmt: skip
TIMES = {"BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"}
KEY_VALUES = {"SkuPriceDetails", "Tags"}
# Null exactly when another one is.
TOGETHER = (
    ("PricingUnit", "PricingQuantity"), ("ConsumedUnit", "ConsumedQuantity"), ("RegionName", "RegionId"),
    ("ResourceType", "ResourceId"), ("SubAccountName", "SubAccountId"), ("SubAccountType", "SubAccountId"),
    ("BillingAccountType", "BillingAccountId"),
)  # fmt: skip
# Not null for usage and purchases that are no correction.
PRICED = ("ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingQuantity", "SkuId", "SkuPriceId")

_NUMBER = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_UNIT = re.compile(r"(\d+ )?[A-Z][A-Za-z]*(-[A-Z][a-z]+|/[A-Z][a-z]+)?")


def breaches(columns: list[str], rows: Iterable[Row]) -> Iterator[str]:
    """What the specification forbids, row by row."""
    yield from _of_columns(columns)
    prices: dict[str, str] = {}
    categories: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        for rule in (_of_formats, _of_words, _of_nulls, _of_categories, _of_costs, _of_periods):
            yield from (f"row {number}: {problem}" for problem in rule(row))
        if row["SkuPriceId"] and prices.setdefault(row["SkuPriceId"], row["SkuId"]) != row["SkuId"]:
            yield f"row {number}: SkuPriceId has more than one SkuId"
        if categories.setdefault(row["ServiceName"], row["ServiceCategory"]) != row["ServiceCategory"]:
            yield f"row {number}: ServiceName has more than one ServiceCategory"


def _of_columns(columns: list[str]) -> Iterator[str]:
    for name in (MANDATORY | CONDITIONAL) - set(columns):
        yield f"{name} is missing"
    for name in columns:
        if not re.fullmatch(r"(x_)?[A-Z][A-Za-z0-9]{0,49}", name):
            yield f"{name} is not in Pascal case"
    for before, after in pairwise(columns):
        if before.startswith("x_") and not after.startswith("x_"):
            yield f"{after} stands behind a custom column"


def _of_formats(row: Row) -> Iterator[str]:
    for name in NUMERIC:
        if row[name] and not _NUMBER.fullmatch(row[name]):
            yield f"{name} {row[name]!r} is no number"
    for name in TIMES:
        if not _TIME.fullmatch(row[name]):
            yield f"{name} {row[name]!r} is no time in UTC"
    for name in ("PricingUnit", "ConsumedUnit"):
        if row[name] and not _UNIT.fullmatch(row[name]):
            yield f"{name} {row[name]!r} is no unit"
    for name in KEY_VALUES:
        if row[name]:
            yield from _of_key_values(name, row[name])


def _of_words(row: Row) -> Iterator[str]:
    for name, values in ALLOWED.items():
        if row[name] not in values:
            yield f"{name} {row[name]!r} is not allowed"
    if row["ServiceSubcategory"] not in SUBCATEGORIES[row["ServiceCategory"]]:
        yield f"ServiceSubcategory {row['ServiceSubcategory']!r} is not of its category"
    if not re.fullmatch("[A-Z]{3}", row["BillingCurrency"]):
        yield "BillingCurrency is no code of ISO 4217"
    for name, text in row.items():
        if text and not text.strip():
            yield f"{name} is a text of spaces"


def _of_key_values(name: str, text: str) -> Iterator[str]:
    pairs: list[tuple[str, object]] = json.loads(text, object_pairs_hook=list)
    if len({key for key, _ in pairs}) < len(pairs):
        yield f"{name} has a key twice"
    if any(isinstance(value, list | dict) for _, value in pairs):
        yield f"{name} has a value that is an object or a list"
    if name == "SkuPriceDetails" and not all(key.startswith("x_") for key, _ in pairs):
        yield "a property of ours in SkuPriceDetails does not begin with x_"


def _of_nulls(row: Row) -> Iterator[str]:
    for name in NOT_NULL:
        if not row[name]:
            yield f"{name} is null"
    for name, other in TOGETHER:
        if bool(row[name]) != bool(row[other]):
            yield f"{name} and {other} are not null together"
    if row["ResourceName"] and not row["ResourceId"]:
        yield "ResourceName without ResourceId"
    for name in ("SkuMeter", "SkuPriceDetails"):
        if row[name] and not row["SkuId"]:
            yield f"{name} without SkuId"


def _of_categories(row: Row) -> Iterator[str]:
    category, is_correction = row["ChargeCategory"], bool(row["ChargeClass"])
    for name in PRICED:
        if category in ("Usage", "Purchase") and not is_correction and not row[name]:
            yield f"{name} is null for {category}"
        if category == "Tax" and row[name]:
            yield f"{name} is not null for Tax"
    if category == "Usage" and not is_correction and not row["ConsumedQuantity"]:
        yield "ConsumedQuantity is null for Usage"
    if category != "Usage" and row["ConsumedQuantity"]:
        yield f"ConsumedQuantity is not null for {category}"
    if category == "Purchase" and row["ChargeFrequency"] == "Usage-Based":
        yield "a purchase that is Usage-Based"


def _of_costs(row: Row) -> Iterator[str]:
    quantity = row["PricingQuantity"]
    for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
        if row[price].startswith("-"):
            yield f"{price} is negative"
        if row[price] and quantity and not row["ChargeClass"]:
            difference = abs(Decimal(row[price]) * Decimal(quantity) - Decimal(row[cost]))
            # An hour's thousands of milliseconds are no finite decimal: its quantity is rounded to 15 places.
            allowed = (Decimal(row[price]) + 1) * Decimal("1e-15") if row["PricingUnit"] == "Hours" else 0
            if difference > allowed:
                yield f"{price} × PricingQuantity is not {cost}"
        elif not row[price] and row["ChargeCategory"] != "Tax" and Decimal(row[cost]) != Decimal(row["BilledCost"]):
            yield f"{cost} without a price is not BilledCost"
    if row["ChargeCategory"] not in ("Usage", "Purchase") and Decimal(row["EffectiveCost"]) != Decimal(
        row["BilledCost"]
    ):
        yield "EffectiveCost of an unrelated charge is not BilledCost"


def _of_periods(row: Row) -> Iterator[str]:
    if not row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]:
        yield "the charge period is not within the billing period"

"""The columns of a FOCUS 1.2 dataset that this one has, as the specification orders and types them.

https://focus.finops.org/focus-specification/v1-2/, read at the tag v1.2 of FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec.
Columns about commitment discounts, capacity reservations, availability zones and other currencies are conditional on
things that nothing here has.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec

from metering.query.metrics import instant_text
from metering.query.tables import Column

VERSION = "1.2"
# Of the columns below: another number, and another date, with every change of them.
SCHEMA_ID = "1.2-tokenledger.1"
SCHEMA_CREATED_AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
GENERATOR = "Tokenledger"
# Costs and prices of a unit are exact in femto-dollars; quantities have as many decimals.
SCALE = 15
DIGITS = 38

Level = Literal["Mandatory", "Recommended", "Conditional", "Custom"]
DataType = Literal["String", "Date/Time", "Decimal", "JSON"]


class FocusColumn(msgspec.Struct, frozen=True):
    name: str
    data_type: DataType
    level: Level
    is_nullable: bool

    @property
    def column(self) -> Column:
        if self.data_type == "Decimal":
            return Column(self.name, "decimal", SCALE)
        return Column(self.name, "time" if self.data_type == "Date/Time" else "text")


_MANDATORY: Level = "Mandatory"
_RECOMMENDED: Level = "Recommended"
_CONDITIONAL: Level = "Conditional"
_CUSTOM: Level = "Custom"

COLUMNS: tuple[FocusColumn, ...] = (
    FocusColumn("BilledCost", "Decimal", _MANDATORY, False),
    FocusColumn("BillingAccountId", "String", _MANDATORY, False),
    FocusColumn("BillingAccountName", "String", _MANDATORY, True),
    FocusColumn("BillingAccountType", "String", _CONDITIONAL, False),
    FocusColumn("BillingCurrency", "String", _MANDATORY, False),
    FocusColumn("BillingPeriodEnd", "Date/Time", _MANDATORY, False),
    FocusColumn("BillingPeriodStart", "Date/Time", _MANDATORY, False),
    FocusColumn("ChargeCategory", "String", _MANDATORY, False),
    FocusColumn("ChargeClass", "String", _MANDATORY, True),
    FocusColumn("ChargeDescription", "String", _MANDATORY, True),
    FocusColumn("ChargeFrequency", "String", _RECOMMENDED, False),
    FocusColumn("ChargePeriodEnd", "Date/Time", _MANDATORY, False),
    FocusColumn("ChargePeriodStart", "Date/Time", _MANDATORY, False),
    FocusColumn("ConsumedQuantity", "Decimal", _CONDITIONAL, True),
    FocusColumn("ConsumedUnit", "String", _CONDITIONAL, True),
    FocusColumn("ContractedCost", "Decimal", _MANDATORY, False),
    FocusColumn("ContractedUnitPrice", "Decimal", _CONDITIONAL, True),
    FocusColumn("EffectiveCost", "Decimal", _MANDATORY, False),
    FocusColumn("InvoiceId", "String", _RECOMMENDED, True),
    FocusColumn("InvoiceIssuerName", "String", _MANDATORY, False),
    FocusColumn("ListCost", "Decimal", _MANDATORY, False),
    FocusColumn("ListUnitPrice", "Decimal", _CONDITIONAL, True),
    FocusColumn("PricingCategory", "String", _CONDITIONAL, True),
    FocusColumn("PricingQuantity", "Decimal", _MANDATORY, True),
    FocusColumn("PricingUnit", "String", _MANDATORY, True),
    FocusColumn("ProviderName", "String", _MANDATORY, False),
    FocusColumn("PublisherName", "String", _MANDATORY, False),
    FocusColumn("RegionId", "String", _CONDITIONAL, True),
    FocusColumn("RegionName", "String", _CONDITIONAL, True),
    FocusColumn("ResourceId", "String", _CONDITIONAL, True),
    FocusColumn("ResourceName", "String", _CONDITIONAL, True),
    FocusColumn("ResourceType", "String", _CONDITIONAL, True),
    FocusColumn("ServiceCategory", "String", _MANDATORY, False),
    FocusColumn("ServiceName", "String", _MANDATORY, False),
    FocusColumn("ServiceSubcategory", "String", _RECOMMENDED, False),
    FocusColumn("SkuId", "String", _CONDITIONAL, True),
    FocusColumn("SkuMeter", "String", _CONDITIONAL, True),
    FocusColumn("SkuPriceDetails", "JSON", _CONDITIONAL, True),
    FocusColumn("SkuPriceId", "String", _CONDITIONAL, True),
    FocusColumn("SubAccountId", "String", _CONDITIONAL, True),
    FocusColumn("SubAccountName", "String", _CONDITIONAL, True),
    FocusColumn("SubAccountType", "String", _CONDITIONAL, True),
    FocusColumn("Tags", "JSON", _CONDITIONAL, True),
    FocusColumn("x_Model", "String", _CUSTOM, False),
    FocusColumn("x_PricingState", "String", _CUSTOM, False),
    FocusColumn("x_ServiceTier", "String", _CUSTOM, False),
    FocusColumn("x_TokenKind", "String", _CUSTOM, True),
    FocusColumn("x_UnpricedQuantity", "Decimal", _CUSTOM, True),
    FocusColumn("x_UnpricedUnit", "String", _CUSTOM, True),
)


_METADATA_TYPES = {"String": "STRING", "Date/Time": "DATETIME", "Decimal": "DECIMAL", "JSON": "JSON"}


def describe() -> dict[str, Any]:
    """The metadata of the dataset, by the names of the specification."""
    return {
        "DataGenerator": GENERATOR,
        "Schema": {
            "SchemaId": SCHEMA_ID,
            "FocusVersion": VERSION,
            "CreationDate": instant_text(SCHEMA_CREATED_AT),
            "ColumnDefinition": [_describe(column) for column in COLUMNS],
        },
    }


def _describe(column: FocusColumn) -> dict[str, Any]:
    told: dict[str, Any] = {"ColumnName": column.name, "DataType": _METADATA_TYPES[column.data_type]}
    if column.data_type == "Decimal":
        return told | {"NumericPrecision": DIGITS, "NumberScale": SCALE}
    return told | {"StringEncoding": "UTF-8"} if column.data_type in ("String", "JSON") else told

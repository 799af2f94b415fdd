from metering.models.imports import ImportChunk, ImportProblem, ImportStatus, UsageImport
from metering.models.ledger import Label, Ledger
from metering.models.limits import (
    REFUSING_KINDS,
    Hold,
    HoldSource,
    Limit,
    LimitKind,
    LimitPeriod,
    LimitUnit,
    RateLimit,
    UnpricedCall,
)
from metering.models.notes import UsageNote
from metering.models.prices import PRICED_BUCKETS, PRICED_UNITS, PriceAlias, PriceKind, PriceRate, PriceVersion
from metering.models.proofs import Proof
from metering.models.refusals import Refusal, RefusedQuarter
from metering.models.tracing import TracedCall, TracedCallState
from metering.models.upstreams import Protocol, Upstream

__all__ = [
    "PRICED_BUCKETS",
    "PRICED_UNITS",
    "REFUSING_KINDS",
    "Hold",
    "HoldSource",
    "ImportChunk",
    "ImportProblem",
    "ImportStatus",
    "Label",
    "Ledger",
    "Limit",
    "LimitKind",
    "LimitPeriod",
    "LimitUnit",
    "PriceAlias",
    "PriceKind",
    "PriceRate",
    "PriceVersion",
    "Proof",
    "Protocol",
    "RateLimit",
    "Refusal",
    "RefusedQuarter",
    "TracedCall",
    "TracedCallState",
    "UnpricedCall",
    "Upstream",
    "UsageImport",
    "UsageNote",
]

from metering.models.ledger import Label, Ledger
from metering.models.prices import PRICED_BUCKETS, PRICED_UNITS, PriceAlias, PriceKind, PriceRate, PriceVersion

__all__ = ["Label", "Ledger", "PRICED_BUCKETS", "PRICED_UNITS", "PriceAlias", "PriceKind", "PriceRate", "PriceVersion"]

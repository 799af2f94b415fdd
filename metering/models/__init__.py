from metering.models.prices import PRICED_BUCKETS, PRICED_UNITS, PriceAlias, PriceKind, PriceRate, PriceVersion

__all__ = ["PRICED_BUCKETS", "PRICED_UNITS", "PriceAlias", "PriceKind", "PriceRate", "PriceVersion"]

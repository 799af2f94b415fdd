"""How many credits can be bought at once, whoever buys them: somebody, or a wallet's rule."""

from __future__ import annotations

from core.errors import ApiError
from core.money import NANOS_PER_USD, nanos_from_minor_units, usd_text, whole_minor_units

LEAST, MOST = NANOS_PER_USD, 100_000 * NANOS_PER_USD


def check(nanos: int, *, param: str = "amount") -> None:
    """Raises ApiError 422 for what cannot be bought at once."""
    if not LEAST <= nanos <= MOST or nanos != nanos_from_minor_units(whole_minor_units(nanos)):
        least, most = usd_text(LEAST), f"{MOST // NANOS_PER_USD:,}"
        raise ApiError(
            422, "invalid_parameter", f"Buy between ${least} and ${most} at once, in whole cents.", param=param
        )

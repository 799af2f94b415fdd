"""Money is integers; the roundings of the product live here: of an event's cost, of an invoice line, of parts of a sum.

Units: a *nano* is 10⁻⁹ of a dollar (costs); a *femto* is 10⁻¹⁵ of a dollar (rates per single token, which
may be far below a nano). A price list's "dollars per million tokens" with nine decimals is a whole number
of femtos per token.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

NANOS_PER_USD = 10**9
FEMTOS_PER_NANO = 10**6
FEMTOS_PER_USD = 10**15

_NANOS_PER_CENT = NANOS_PER_USD // 100
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


def divide_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, ties to the even one; denominator > 0."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def nanos_from_femtos(femtos: int) -> int:
    """The rounding of an event's cost: once per event, half to even."""
    return divide_half_even(femtos, FEMTOS_PER_NANO)


def minor_units_from_nanos(nanos: int, decimals: int = 2) -> int:
    """The rounding of an invoice line: once per line, half to even, to the currency's minor unit."""
    return divide_half_even(nanos, 10 ** (9 - decimals))


def whole_minor_units(nanos: int) -> int:
    """How many whole cents are in an amount: what was given in advance pays no more than there is of it."""
    return nanos // _NANOS_PER_CENT


def nanos_from_minor_units(cents: int) -> int:
    return cents * _NANOS_PER_CENT


def apportion(amount: int, weights: Sequence[int]) -> list[int]:
    """An amount in whole parts, in proportion to weights, that sum to it: largest remainders first, ties to the first.

    No part is larger than its weight while the amount is at most the weights' sum. Raises ValueError for an amount
    other than 0 of no weight.
    """
    whole = sum(weights)
    if not whole:
        if amount:
            raise ValueError("nothing to apportion to")
        return [0] * len(weights)
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda at: -(amount * weights[at] % whole))
    for at in by_remainder[: amount - sum(parts)]:
        parts[at] += 1
    return parts


def femtos_per_unit(usd: Decimal) -> int:
    """A price of one token, second or image in dollars, as an integer. Raises ValueError beyond 15 decimals."""
    scaled = _WIDE.multiply(usd, Decimal(FEMTOS_PER_USD))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{usd} dollars has more than 15 decimals")
    return int(scaled)


def exact_decimal(count: int, scale: int) -> Decimal:
    """A whole number of 10^-scale, exact."""
    return Decimal(count).scaleb(-scale, _WIDE)


def decimal_text(count: int, scale: int) -> str:
    """A whole number of 10^-scale: exact, without exponent or needless zeros, at least "0"."""
    if not scale:
        return str(count)
    sign = "-" if count < 0 else ""
    whole, fraction = divmod(abs(count), 10**scale)
    return f"{sign}{whole}.{fraction:0{scale}d}".rstrip("0").rstrip(".")


def usd_from_nanos(nanos: int) -> Decimal:
    return exact_decimal(nanos, 9)


def usd_text(nanos: int | None) -> str | None:
    """Dollars as the API writes them, exact; None stays unknown."""
    return None if nanos is None else decimal_text(nanos, 9)


def nanos_from_usd(usd: Decimal) -> int:
    """Exact dollars as nanos. Raises ValueError for more than nine decimals."""
    scaled = _WIDE.multiply(usd, Decimal(NANOS_PER_USD))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{usd} dollars has more than 9 decimals")
    return int(scaled)

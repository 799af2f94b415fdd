"""Net, tax and gross that always agree. Amounts are integers of a currency's minor unit; rates are percents.

Tax is rounded once per rate of a document, half to even, from the sum of what it is due on: rounding line by line
would collect cents that no rate explains.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from decimal import Decimal
from typing import Self

import msgspec

from core.money import divide_half_even

# Three decimals of a percent: New York City's 8.875 % is the finest rate in common use.
_SCALE = 1_000
_WHOLE = 100 * _SCALE


class TaxCategory(enum.StrEnum):
    """Why this much tax is due: codes of UNTDID 5305, as electronic invoices of EN 16931 carry them."""

    STANDARD = "S"
    REVERSE_CHARGE = "AE"
    EXEMPT = "E"
    OUTSIDE_SCOPE = "O"


class Tax(msgspec.Struct, frozen=True, order=True):
    """A category and its rate in percent. Raises ValueError for a rate that the category cannot have."""

    category: TaxCategory
    percent: Decimal

    def __post_init__(self) -> None:
        if not Decimal(0) <= self.percent < Decimal(100):
            raise ValueError(f"{self.percent} % is no rate of tax")
        if self.percent * _SCALE != int(self.percent * _SCALE):
            raise ValueError(f"{self.percent} % has more than three decimals")
        if self.category is not TaxCategory.STANDARD and self.percent:
            raise ValueError(f"category {self.category} has no rate, but {self.percent} % was given")

    @property
    def scaled(self) -> int:
        """The rate in thousandths of a percent."""
        return int(self.percent * _SCALE)


class TaxedAmount(msgspec.Struct, frozen=True):
    """`net + tax == gross`, and `tax` within one minor unit of what the rate makes of `net`, or ValueError.

    Not exactly what the rate makes of it: from a gross price of 1.00 at 19 % no net reaches 1.00 by rounding alone
    in every case, so an inclusive price rounds its net and lets the tax be the rest.
    """

    net: int
    tax: int
    gross: int
    rate: Tax

    def __post_init__(self) -> None:
        if self.net + self.tax != self.gross:
            raise ValueError(f"{self.net} and {self.tax} of tax are not {self.gross}")
        if abs(self.tax * _WHOLE - self.net * self.rate.scaled) >= _WHOLE:
            raise ValueError(f"{self.tax} is not {self.rate.percent} % of {self.net}")

    @classmethod
    def on_net(cls, net: int, rate: Tax) -> Self:
        """Tax comes on top: prices without it."""
        tax = divide_half_even(net * rate.scaled, _WHOLE)
        return cls(net, tax, net + tax, rate)

    @classmethod
    def in_gross(cls, gross: int, rate: Tax) -> Self:
        """Tax is inside: prices that include it."""
        net = divide_half_even(gross * _WHOLE, _WHOLE + rate.scaled)
        return cls(net, gross - net, gross, rate)

    def __neg__(self) -> TaxedAmount:
        return TaxedAmount(-self.net, -self.tax, -self.gross, self.rate)


class TaxedTotal(msgspec.Struct, frozen=True):
    """A document's sum: one amount for each rate, ordered by it."""

    by_rate: tuple[TaxedAmount, ...]

    @property
    def net(self) -> int:
        return sum(amount.net for amount in self.by_rate)

    @property
    def tax(self) -> int:
        return sum(amount.tax for amount in self.by_rate)

    @property
    def gross(self) -> int:
        return sum(amount.gross for amount in self.by_rate)

    def __neg__(self) -> TaxedTotal:
        return TaxedTotal(tuple(-amount for amount in self.by_rate))


def total_of(lines: Iterable[tuple[int, Tax]], *, is_inclusive: bool) -> TaxedTotal:
    """The sum of lines (amount, rate); the amounts are gross when `is_inclusive`, else net."""
    sums: dict[Tax, int] = {}
    for amount, rate in lines:
        sums[rate] = sums.get(rate, 0) + amount
    make = TaxedAmount.in_gross if is_inclusive else TaxedAmount.on_net
    return TaxedTotal(tuple(make(sums[rate], rate) for rate in sorted(sums)))

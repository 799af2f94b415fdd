"""Parts of a period: what a fee and an allowance come to when a plan holds for some of its days.

docs/algorithms/proration.md has the rules with an example.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from fractions import Fraction
from math import ceil

from billing.periods import Period
from core.money import divide_half_even


def fee_share(fee_nanos: int, period: Period, starts_on: dt.date, ends_on: dt.date) -> int:
    """The part of a period's fee that its days [starts_on, ends_on) come to, in nano-dollars.

    Each part is the fee up to its end less the fee up to its beginning, both rounded: parts that fill the period sum to
    the fee, however it is cut.
    """
    if not period.starts_on <= starts_on <= ends_on <= period.ends_on:
        raise ValueError(f"{starts_on} to {ends_on} is no part of the period from {period.starts_on}")
    upto = divide_half_even(fee_nanos * (ends_on - period.starts_on).days, period.days)
    before = divide_half_even(fee_nanos * (starts_on - period.starts_on).days, period.days)
    return upto - before


def mean_allowance(parts: Iterable[tuple[int | None, int]]) -> int | None:
    """What is included in a period of parts (allowance in tokens, days): their mean by days, rounded up once.

    None, unlimited, when one part is unlimited: an upgrade never turns what was used before into overage.
    """
    tokens, days = Fraction(0), 0
    for allowance, length in parts:
        if allowance is None:
            return None
        tokens += allowance * length
        days += length
    if not days:
        raise ValueError("an allowance is of at least one day")
    return ceil(tokens / days)

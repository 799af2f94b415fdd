from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.tax.amounts import Tax, TaxCategory, TaxedAmount, TaxedTotal, total_of

VAT = Tax(TaxCategory.STANDARD, Decimal(19))
AMOUNTS = st.integers(-(10**12), 10**12)
RATES = st.integers(0, 99_999).map(lambda n: Tax(TaxCategory.STANDARD, Decimal(n).scaleb(-3)))


@pytest.mark.parametrize(
    ("net", "percent", "tax"),
    [(10_000, "19", 1_900), (10_050, "25.5", 2_563), (9_999, "8.875", 887), (50, "1", 0), (150, "1", 2),
     (-10_000, "19", -1_900)],
)  # fmt: skip
def test_tax_on_top(net: int, percent: str, tax: int) -> None:
    """Halves go to the even neighbor: 0.5 of a cent is none, 1.5 are two."""
    amount = TaxedAmount.on_net(net, Tax(TaxCategory.STANDARD, Decimal(percent)))
    assert (amount.net, amount.tax, amount.gross) == (net, tax, net + tax)


def test_tax_inside() -> None:
    amount = TaxedAmount.in_gross(11_900, VAT)
    assert (amount.net, amount.tax) == (10_000, 1_900)
    assert TaxedAmount.in_gross(100, VAT).net == 84


@given(AMOUNTS, RATES)
def test_both_ways_agree_with_exact_arithmetic(amount: int, rate: Tax) -> None:
    top = TaxedAmount.on_net(amount, rate)
    inside = TaxedAmount.in_gross(amount, rate)
    assert abs(Fraction(rate.percent) / 100 * amount - top.tax) <= Fraction(1, 2)
    assert abs(Fraction(amount) / (1 + Fraction(rate.percent) / 100) - inside.net) <= Fraction(1, 2)
    assert inside.gross == amount
    assert (-top).gross == -top.gross


@pytest.mark.parametrize(("net", "tax", "gross"), [(100, 19, 120), (100, 20, 120), (100, 0, 100), (100, -19, 81)])
def test_wrong_money_cannot_be_made(net: int, tax: int, gross: int) -> None:
    with pytest.raises(ValueError):
        TaxedAmount(net, tax, gross, VAT)


@pytest.mark.parametrize(
    ("category", "percent"),
    [
        (TaxCategory.REVERSE_CHARGE, "19"),
        (TaxCategory.OUTSIDE_SCOPE, "1"),
        (TaxCategory.STANDARD, "100"),
        (TaxCategory.STANDARD, "-1"),
        (TaxCategory.STANDARD, "8.8751"),
    ],
)
def test_rates_that_cannot_be(category: TaxCategory, percent: str) -> None:
    with pytest.raises(ValueError):
        Tax(category, Decimal(percent))


@given(st.lists(st.tuples(AMOUNTS, RATES), max_size=12), st.booleans())
def test_a_document_rounds_once_for_each_rate(lines: list[tuple[int, Tax]], is_inclusive: bool) -> None:
    total = total_of(lines, is_inclusive=is_inclusive)
    given_sum = sum(amount for amount, _ in lines)
    assert (total.gross if is_inclusive else total.net) == given_sum
    assert total.net + total.tax == total.gross
    assert [a.rate for a in total.by_rate] == sorted({rate for _, rate in lines})
    assert (-total).gross == -total.gross


def test_nothing_sums_to_nothing() -> None:
    assert total_of([], is_inclusive=False) == TaxedTotal(())
    assert total_of([], is_inclusive=True).gross == 0

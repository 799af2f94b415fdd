"""The roundings, held against exact fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import (
    FEMTOS_PER_NANO,
    FEMTOS_PER_USD,
    NANOS_PER_USD,
    apportion,
    divide_half_even,
    femtos_per_unit,
    minor_units_from_nanos,
    nanos_from_femtos,
    nanos_from_usd,
    usd_from_nanos,
    usd_text,
)

whole = st.integers(-(10**30), 10**30)
nanos = st.integers(-(2**63), 2**63 - 1)


@given(whole, st.integers(1, 10**20))
def test_division_rounds_half_to_even(numerator: int, denominator: int) -> None:
    # Python rounds a Fraction half to even, exactly.
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(whole, st.integers(1, 10**9))
def test_ties_go_to_the_even_neighbor(numerator: int, half: int) -> None:
    odd = 2 * numerator + 1
    assert divide_half_even(odd * half, 2 * half) == round(Fraction(odd, 2))
    assert divide_half_even(odd * half, 2 * half) % 2 == 0


@given(whole)
def test_an_events_cost(femtos: int) -> None:
    assert nanos_from_femtos(femtos) == round(Fraction(femtos, FEMTOS_PER_NANO))


@given(nanos, st.sampled_from([0, 2, 3]))
def test_an_invoice_line(amount: int, decimals: int) -> None:
    assert minor_units_from_nanos(amount, decimals) == round(Fraction(amount, NANOS_PER_USD) * 10**decimals)


@given(nanos)
def test_text_is_exact_and_plain(amount: int) -> None:
    text = usd_text(amount)
    assert text is not None
    assert Fraction(text) == Fraction(amount, NANOS_PER_USD)
    assert "e" not in text.lower()
    assert "." not in text or not text.endswith(("0", "."))
    assert nanos_from_usd(Decimal(text)) == amount
    assert usd_from_nanos(amount) == Decimal(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, None), (0, "0"), (1, "0.000000001"), (-1, "-0.000000001"), (1_062_500, "0.0010625"), (10**9, "1"),
     (-(10**9), "-1"), (1_230_000_000, "1.23"), (10**18, "1000000000"), (100, "0.0000001")],
)  # fmt: skip
def test_text_by_example(amount: int | None, text: str | None) -> None:
    assert usd_text(amount) == text


@given(st.decimals(min_value=0, max_value=10**6, allow_nan=False, places=15))
def test_prices_are_whole_femtos(usd: Decimal) -> None:
    assert Fraction(femtos_per_unit(usd), FEMTOS_PER_USD) == Fraction(usd)


def test_what_integers_cannot_hold_is_refused() -> None:
    assert femtos_per_unit(Decimal("0.000000000000001")) == 1
    with pytest.raises(ValueError, match="15 decimals"):
        femtos_per_unit(Decimal("0.0000000000000001"))
    assert nanos_from_usd(Decimal("-0.000000001")) == -1
    with pytest.raises(ValueError, match="9 decimals"):
        nanos_from_usd(Decimal("0.0000000001"))


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=10).filter(any), st.data())
def test_parts_sum_to_the_whole_and_are_in_proportion(weights: list[int], data: st.DataObject) -> None:
    amount = data.draw(st.integers(0, sum(weights)))
    parts = apportion(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(amount * weight, sum(weights))) < 1
        assert 0 <= part <= weight


def test_nothing_is_apportioned_to_nothing() -> None:
    assert apportion(0, [0, 0]) == [0, 0]
    with pytest.raises(ValueError, match="nothing"):
        apportion(1, [0])

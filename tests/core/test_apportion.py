"""Parts always sum to the whole, and each is its share to less than one."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apportion import apportion

WEIGHTS = st.lists(st.integers(0, 10**15), min_size=1, max_size=30).filter(any)


@given(st.integers(0, 10**18), WEIGHTS)
def test_parts_sum_to_the_whole(total: int, weights: list[int]) -> None:
    parts = apportion(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1
        assert weight or part == 0


@given(st.integers(0, 10**12), WEIGHTS, st.integers(1, 1000))
def test_only_the_proportion_of_weights_counts(total: int, weights: list[int], factor: int) -> None:
    assert apportion(total, weights) == apportion(total, [weight * factor for weight in weights])


def test_what_is_left_goes_to_who_lost_the_most() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]
    assert apportion(100, [55, 30, 15]) == [55, 30, 15]
    assert apportion(7, [50, 30, 20]) == [4, 2, 1]
    assert apportion(0, [1, 2]) == [0, 0]


def test_nothing_can_be_divided_by_nothing() -> None:
    with pytest.raises(ValueError, match="every weight is 0"):
        apportion(5, [0, 0])
    with pytest.raises(ValueError, match="every weight is 0"):
        apportion(5, [])

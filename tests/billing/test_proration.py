"""Parts of fees and allowances: however a period is cut, they add up."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.periods import Period, period_of
from billing.proration import fee_share, mean_allowance

FEES = st.integers(0, 10**14)
TOKENS = st.integers(0, 10**12)
PERIODS = st.builds(period_of, st.dates(dt.date(2020, 1, 1), dt.date(2030, 1, 1)), st.integers(1, 31))


@st.composite
def cuts(draw: st.DrawFn) -> tuple[Period, list[tuple[dt.date, dt.date]]]:
    period = draw(PERIODS)
    inner = draw(st.sets(st.integers(1, period.days - 1), max_size=6))
    days = [period.starts_on + dt.timedelta(days=n) for n in (0, *sorted(inner), period.days)]
    return period, list(itertools.pairwise(days))


@given(FEES, cuts())
def test_parts_of_a_fee_sum_to_it(fee: int, cut: tuple[Period, list[tuple[dt.date, dt.date]]]) -> None:
    period, parts = cut
    assert sum(fee_share(fee, period, *part) for part in parts) == fee


@given(FEES, cuts())
def test_a_part_is_its_days_to_the_nano_dollar(fee: int, cut: tuple[Period, list[tuple[dt.date, dt.date]]]) -> None:
    period, parts = cut
    for starts_on, ends_on in parts:
        exact = fee * (ends_on - starts_on).days / period.days
        assert abs(fee_share(fee, period, starts_on, ends_on) - exact) <= max(1, exact * 1e-12)


def test_a_part_lies_in_its_period() -> None:
    november = period_of(dt.date(2026, 11, 1), 1)
    with pytest.raises(ValueError, match="no part"):
        fee_share(100, november, dt.date(2026, 11, 1), dt.date(2026, 12, 2))


@given(st.lists(st.tuples(TOKENS, st.integers(1, 31)), min_size=1, max_size=6))
def test_an_allowance_is_between_the_least_and_the_most(parts: list[tuple[int | None, int]]) -> None:
    mean = mean_allowance(parts)
    assert mean is not None
    amounts = [tokens for tokens, _ in parts if tokens is not None]
    assert min(amounts) <= mean <= max(amounts)


@given(TOKENS, TOKENS, st.integers(1, 30), st.integers(1, 30))
def test_an_upgrade_never_takes_anything_of_the_period(less: int, more: int, before: int, after: int) -> None:
    less, more = sorted((less, more))
    mean = mean_allowance([(less, before), (more, after)])
    assert mean is not None
    assert mean >= less
    assert mean_allowance([(less, before), (None, after)]) is None


def test_the_example_of_the_documentation() -> None:
    """docs/algorithms/proration.md"""
    november = period_of(dt.date(2026, 11, 1), 1)
    change = dt.date(2026, 11, 21)
    assert fee_share(29_000_000_000, november, november.starts_on, change) == 19_333_333_333
    assert fee_share(149_000_000_000, november, change, november.ends_on) == 49_666_666_667
    assert mean_allowance([(5_000_000, 20), (25_000_000, 10)]) == 11_666_667


def test_an_allowance_of_no_days_is_none() -> None:
    with pytest.raises(ValueError, match="at least one day"):
        mean_allowance([])

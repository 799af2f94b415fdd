"""Which credits are used first; and that nothing is made or lost by drawing and giving back."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from billing.credits.order import Draw, Lot, give_back, in_order, take

DAY = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


@st.composite
def lots(draw: st.DrawFn) -> list[Lot]:
    expiries = st.none() | st.integers(1, 5).map(lambda days: DAY + dt.timedelta(days=days))
    return [
        Lot(number, number, draw(st.integers(1, 10**12)), draw(st.booleans()), draw(expiries))
        for number in range(1, draw(st.integers(1, 8)) + 1)
    ]


def test_soonest_expiry_then_promotional_then_oldest() -> None:
    soon, later = DAY + dt.timedelta(days=1), DAY + dt.timedelta(days=2)
    expected = [
        Lot(5, 5, 1, is_promotional=True, expires_at=soon),
        Lot(1, 1, 1, expires_at=soon),
        Lot(4, 4, 1, is_promotional=True, expires_at=later),
        Lot(6, 6, 1, is_promotional=True),
        Lot(2, 2, 1),
        Lot(3, 3, 1),
    ]
    assert in_order(reversed(expected)) == expected


@given(lots(), st.integers(0, 10**13))
def test_what_is_taken(found: list[Lot], amount: int) -> None:
    draws = take(found, amount)
    left = {lot.grant: lot.left_nanos for lot in found}
    taken = -sum(draw.amount_nanos for draw in draws)
    assert taken == min(amount, sum(left.values()))
    assert all(0 < -draw.amount_nanos <= left[draw.grant] for draw in draws)
    order = [lot.grant for lot in in_order(found)]
    assert [draw.grant for draw in draws] == order[: len(draws)]
    assert all(-draw.amount_nanos == left[draw.grant] for draw in draws[:-1]), "only the last one may be left with some"


@given(lots(), st.integers(0, 10**13), st.integers(0, 10**13))
def test_what_is_given_back_goes_where_it_came_from_last(found: list[Lot], amount: int, returned: int) -> None:
    draws = take(found, amount)
    back = give_back(draws, returned)
    taken = {draw.grant: -draw.amount_nanos for draw in draws}
    assert sum(draw.amount_nanos for draw in back) == min(returned, sum(taken.values()))
    assert all(0 < draw.amount_nanos <= taken[draw.grant] for draw in back)
    assert [draw.grant for draw in back] == [draw.grant for draw in reversed(draws)][: len(back)]
    assert give_back([Draw(1, -5)], 3) == [Draw(1, 3)]

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from metering.pricing.timeline import Span, StoredSpan, changes

NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
BEGINNING = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def day(month: int, number: int = 1) -> dt.datetime:
    return dt.datetime(2026, month, number, tzinfo=dt.UTC)


def listed(*prices: tuple[dt.datetime, str]) -> list[Span]:
    ends = [at for at, _ in prices[1:]]
    return [Span(at, end, content) for (at, content), end in zip(prices, [*ends, None], strict=True)]


def apply(stored: list[StoredSpan], spans: list[Span], now: dt.datetime = NOW) -> list[StoredSpan]:
    before = {span.id: span.valid_from for span in stored}
    result = changes(stored, spans, now)
    for span in stored:
        assert span.valid_from == before[span.id]
        if span.id in result.ends:
            span.valid_to = result.ends[span.id]
    number = len(stored)
    return [
        *stored,
        *(StoredSpan(number + i, s.valid_from, s.valid_to, s.content) for i, s in enumerate(result.additions)),
    ]


def at(stored: list[StoredSpan], instant: dt.datetime) -> list[object]:
    return [s.content for s in stored if s.valid_from <= instant and (s.valid_to is None or instant < s.valid_to)]


def test_a_first_sync_adds_what_is_listed() -> None:
    stored = apply([], listed((BEGINNING, "a"), (day(3), "b")))
    assert [(s.valid_from, s.valid_to, s.content) for s in stored] == [(BEGINNING, day(3), "a"), (day(3), None, "b")]


def test_a_new_date_in_the_past_splits_there() -> None:
    stored = apply(apply([], listed((BEGINNING, "a"))), listed((BEGINNING, "a"), (day(3), "b")))
    assert [(s.valid_from, s.valid_to, s.content) for s in stored] == [(BEGINNING, day(3), "a"), (day(3), None, "b")]


def test_an_undated_change_holds_from_now_on() -> None:
    stored = apply(apply([], listed((BEGINNING, "a"))), listed((BEGINNING, "b")))
    assert [(s.valid_from, s.valid_to, s.content) for s in stored] == [(BEGINNING, NOW, "a"), (NOW, None, "b")]


def test_a_correction_of_a_period_that_is_over_takes_its_version_back() -> None:
    stored = apply(apply([], listed((BEGINNING, "a"), (day(3), "b"))), listed((BEGINNING, "c"), (day(3), "b")))
    assert at(stored, day(2)) == ["c"]
    assert at(stored, day(4)) == ["b"]
    assert (stored[0].valid_from, stored[0].valid_to) == (BEGINNING, BEGINNING)


def test_an_announced_price_that_is_called_off_never_comes() -> None:
    stored = apply(apply([], listed((BEGINNING, "a"), (day(9), "b"))), listed((BEGINNING, "a")))
    assert at(stored, day(10)) == ["a"]


def test_an_announced_price_may_move() -> None:
    stored = apply(apply([], listed((BEGINNING, "a"), (day(9), "b"))), listed((BEGINNING, "a"), (day(10), "b")))
    assert at(stored, day(9, 15)) == ["a"]
    assert at(stored, day(10)) == ["b"]


def test_an_earlier_date_leaves_no_gap() -> None:
    stored = apply(apply([], listed((BEGINNING, "a"), (day(5), "b"))), listed((BEGINNING, "a"), (day(3), "b")))
    assert at(stored, day(4)) == ["b"]


INSTANTS = [BEGINNING, *(day(6, number) for number in range(1, 29))]


@st.composite
def lists(draw: st.DrawFn) -> list[Span]:
    days = sorted(draw(st.sets(st.integers(1, 28), max_size=3)))
    contents = draw(st.lists(st.sampled_from("abc"), min_size=4, max_size=4))
    return listed((BEGINNING, contents[0]), *((day(6, d), c) for d, c in zip(days, contents[1:], strict=False)))


@settings(max_examples=300)
@given(st.lists(st.tuples(lists(), st.integers(0, 48)), min_size=1, max_size=5))
def test_any_series_of_lists(series: list[tuple[list[Span], int]]) -> None:
    """After each sync: one price at every instant; now and later what the list says; a second sync changes nothing."""
    stored: list[StoredSpan] = []
    now = day(6, 5)
    for spans, hours in series:
        now += dt.timedelta(hours=hours)
        stored = apply(stored, spans, now)
        for instant in [now, *INSTANTS]:
            assert len(at(stored, instant)) == 1, (instant, stored)
        for instant in [now, *(instant for instant in INSTANTS if instant > now)]:
            says = [
                s.content for s in spans if s.valid_from <= instant and (s.valid_to is None or instant < s.valid_to)
            ]
            assert at(stored, instant) == says
        again = changes(stored, spans, now + dt.timedelta(microseconds=1))
        assert not again.additions
        assert not again.ends

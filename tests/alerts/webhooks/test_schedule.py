"""When what was not taken is sent again."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.webhooks.schedule import LONGEST_ASKED_SECONDS, WAITS, asked_seconds, wait

AT = dt.datetime(2026, 11, 21, 14, 0, tzinfo=dt.UTC)
# https://github.com/standard-webhooks/standard-webhooks: "Time since start".
SINCE_START = ["0:00:00", "0:00:05", "0:05:05", "0:35:05", "2:35:05", "7:35:05", "17:35:05", "31:35:05", "51:35:05", "75:35:05"]  # fmt: skip  # noqa: E501


def test_the_schedule_is_the_standard_s() -> None:
    passed = [0]
    for seconds in WAITS:
        passed.append(passed[-1] + seconds)
    assert [f"{s // 3600}:{s % 3600 // 60:02}:{s % 60:02}" for s in passed] == SINCE_START


@given(st.integers(1, len(WAITS)), st.none() | st.integers(0, 10**9))
def test_waits_are_never_shorter_than_both_wish_within_a_day(tries: int, asked: int | None) -> None:
    found = wait(tries, asked)
    assert found is not None
    seconds = found.total_seconds()
    wished = min(asked or 0, LONGEST_ASKED_SECONDS)
    assert max(WAITS[tries - 1], wished) <= seconds <= max(WAITS[tries - 1] * 1.1, wished)


def test_it_ends() -> None:
    assert wait(len(WAITS) + 1) is None
    assert wait(len(WAITS) + 1, 5) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("9" * 400, 999_999_999),
        ("Sat, 21 Nov 2026 14:10:00 GMT", 600),
        ("Sat, 21 Nov 2026 13:00:00 GMT", 0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("Sat, 21 Nov 2026 14:10:00", None),
        ("٣", None),
    ],
)
def test_what_a_receiver_wishes(header: str, seconds: int | None) -> None:
    assert asked_seconds(header, AT) == seconds

"""Parts that sum, findings that say the same, and models that were changed: arithmetic without a database."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detection.deviations import last_course
from alerts.detection.explaining import MOST_PARTS, breakdown
from alerts.detection.finding import Breakdown, Finding, Kind, Part
from alerts.detection.folding import fold
from alerts.detection.measures import Measure
from alerts.detection.switches import switched

amounts = st.dictionaries(st.integers(0, 30), st.integers(0, 10**12), max_size=20)


@given(amounts, amounts, st.integers(0, 10**12))
def test_parts_and_remainder_sum_to_the_difference(
    actual: dict[int, int], before: dict[int, int], expected: int
) -> None:
    found = breakdown("member", actual, before, expected)
    whole = sum(actual.values()) - expected
    assert sum(part.difference for part in found.parts) + found.remainder == whole
    assert len(found.parts) <= MOST_PARTS
    if any(before.values()):
        assert found.remainder == 0


def test_those_that_moved_most_come_first_and_the_rest_is_one() -> None:
    actual = dict.fromkeys(range(1, 9), 100) | {9: 900}
    found = breakdown("member", actual, dict.fromkeys(actual, 1), 900)
    assert (found.parts[0].ref, found.parts[0].difference) == (9, 800)
    assert (found.parts[-1].others, found.parts[-1].difference) == (4, 0)


@pytest.mark.parametrize(
    ("hours", "course"),
    [([], None), ([5], (5, 5)), ([1, 9, 10], (9, 10)), ([2, 6, 10], (2, 10)), ([2, 7], (7, 7))],
)
def test_a_course_goes_on_over_three_usual_hours(hours: list[int], course: tuple[int, int] | None) -> None:
    assert last_course(hours) == course


# ── Saying the same ──

START = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
WHOLE = Finding(
    kind=Kind.UNUSUAL,
    scope="organization",
    ref=0,
    label="Acme",
    measure=Measure.TOKENS,
    period_start=START,
    period_end=START + HOUR,
    actual=900,
    expected=100,
    low=50,
    high=200,
    basis="hour of week",
    score=3.0,
    parts=(),
    text="",
)


def other(**changes: object) -> Finding:
    return msgspec.structs.replace(WHOLE, **changes)


def of_keys(label: str, difference: int) -> tuple[Breakdown, ...]:
    return (Breakdown("api_key", (Part("tl_1", label, difference, 0), Part("tl_2", "Web", 800 - difference, 0))),)


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (WHOLE, other(measure=Measure.REQUESTS), True),
        (WHOLE, other(scope="api_key", ref=3), True),
        (WHOLE, other(scope="api_key", ref=3, actual=0), False),
        (WHOLE, other(scope="api_key", ref=3, period_start=START + HOUR, period_end=START + 2 * HOUR), False),
        (WHOLE, other(measure=Measure.ERRORS), False),
        (other(scope="api_key", ref=3), other(scope="api_key", ref=4), False),
        (
            other(scope="api_key", ref=3, label="Batch"),
            other(scope="model", ref="o3", parts=of_keys("Batch", 600)),
            True,
        ),
        (
            other(scope="api_key", ref=3, label="Batch"),
            other(scope="model", ref="o3", parts=of_keys("Batch", 300)),
            False,
        ),
        (WHOLE, other(kind=Kind.UNUSUAL_HOURS, measure=Measure.REQUESTS), True),
        (WHOLE, other(kind=Kind.NEW_KEY, scope="api_key", ref=3, measure=Measure.REQUESTS), False),
    ],
)
def test_what_a_wider_finding_says_is_within_it(first: Finding, second: Finding, is_same: bool) -> None:
    leading, following = fold([second, first])
    assert leading.within is None
    assert (following.within == leading.identity) == is_same


def test_cost_says_most() -> None:
    found = fold([other(measure=Measure.REQUESTS), WHOLE, other(measure=Measure.COST)])
    assert [(one.measure, one.within is None) for one in found] == [
        (Measure.COST, True),
        (Measure.TOKENS, False),
        (Measure.REQUESTS, False),
    ]
    assert len({one.matter for one in found}) == 1


# ── Models that were changed ──


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({1: 100}, {2: 100}, (1, 2)),
        ({1: 100}, {1: 45, 2: 55}, (1, 2)),
        ({1: 100}, {1: 55, 2: 45}, None),
        ({1: 60, 2: 40}, {1: 20, 2: 20, 3: 60}, None),
        ({1: 19}, {2: 100}, None),
        ({1: 100}, {2: 19}, None),
        ({1: 100, 2: 100}, {1: 200, 2: 200}, None),
        ({1: 100}, {2: 40, 3: 60}, (1, 3)),
    ],
)
def test_half_of_the_calls_have_to_go_over(
    before: dict[int, int], after: dict[int, int], found: tuple[int, int] | None
) -> None:
    assert switched(before, after) == found

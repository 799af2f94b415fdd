"""Decisions by number and day: the later one holds, and what has been stays."""

from __future__ import annotations

import datetime as dt
import itertools

from hypothesis import given
from hypothesis import strategies as st

from billing.periods import period_of
from billing.timeline import Decision, holds_on, next_change, segments

FIRST = dt.date(2026, 1, 1)
PLANS = st.sampled_from(["free", "developer", "startup"])


@st.composite
def histories(draw: st.DrawFn) -> list[Decision]:
    """Decisions in the order they were made, each on some day and about that day or a later one."""
    decided_on, made = FIRST, []
    for number in range(1, draw(st.integers(1, 8)) + 1):
        decided_on += dt.timedelta(days=draw(st.integers(0, 40)) if number > 1 else 0)
        ahead = draw(st.integers(0, 31)) if number > 1 else 0
        made.append(Decision(number, decided_on + dt.timedelta(days=ahead), draw(PLANS), draw(st.booleans())))
    return made


@given(histories(), st.integers(0, 400))
def test_a_decision_changes_nothing_before_its_day(decisions: list[Decision], days: int) -> None:
    day = FIRST + dt.timedelta(days=days)
    for known in range(1, len(decisions)):
        new = decisions[known]
        if day < new.effective_on:
            assert holds_on(decisions[: known + 1], day) == holds_on(decisions[:known], day)
        else:
            assert holds_on(decisions[: known + 1], day) == new


@given(histories(), st.integers(0, 400), st.integers(1, 31))
def test_segments_are_what_holds_day_by_day(decisions: list[Decision], days: int, anchor: int) -> None:
    period = period_of(FIRST + dt.timedelta(days=days), anchor)
    cut = segments(decisions, period)
    by_day = {
        segment.starts_on + dt.timedelta(days=n): (segment.plan, segment.is_trial)
        for segment in cut
        for n in range(segment.days)
    }
    for n in range(period.days):
        day = period.starts_on + dt.timedelta(days=n)
        decision = holds_on(decisions, day)
        assert by_day.get(day) == (None if decision is None else (decision.plan, decision.is_trial))
    assert all(
        a.ends_on == b.starts_on and (a.plan, a.is_trial) != (b.plan, b.is_trial) for a, b in itertools.pairwise(cut)
    )


def test_whoever_decides_anew_overrules_what_was_to_come() -> None:
    downgrade = [Decision(1, FIRST, "startup"), Decision(2, dt.date(2026, 2, 1), "free")]
    assert next_change(downgrade, FIRST) == downgrade[1]
    resumed = [*downgrade, Decision(3, dt.date(2026, 1, 20), "startup")]
    assert next_change(resumed, dt.date(2026, 1, 20)) is None
    assert [one.plan for one in segments(resumed, period_of(dt.date(2026, 2, 5), 1))] == ["startup"]

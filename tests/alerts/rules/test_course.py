"""Opening, going on, coming back and being over: the same step by step as all at once."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import condition
from alerts.conditions.reading import Reading, Verdict
from alerts.evaluation.course import Spell, Turn, follow

BEGINS = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
EPISODES, WINDOWS = condition("error_rate"), condition("daily_limit")


def window(number: int, holds: bool) -> tuple[Reading, Verdict]:
    start = BEGINS + number * HOUR
    reading = Reading(start, start + HOUR, start + HOUR, 9 if holds else 1, 5)
    return reading, Verdict.HOLDS if holds else Verdict.CALM


def spells_of(steps: list) -> list[tuple[int, int | None, int]]:
    """First hour, the hour it was over, the last hour it held, of each."""
    found: list[Spell] = [step.spell for step in steps if step.turn is Turn.OPENED]
    return [
        (
            (spell.start - BEGINS) // HOUR,
            None if spell.resolved_at is None else (spell.resolved_at - BEGINS) // HOUR,
            (spell.held_until - BEGINS) // HOUR - 1,
        )
        for spell in found
    ]


def course(text: str, judged_by: object = EPISODES) -> list[tuple[int, int | None, int]]:
    judged = [window(number, letter == "x") for number, letter in enumerate(text)]
    return spells_of(follow(judged_by, 5, judged, at=BEGINS + len(text) * HOUR))  # type: ignore[arg-type]


def test_windows_that_follow_each_other_are_one() -> None:
    # Over when two windows were calm; back within an hour of that, it goes on.
    assert course("..xx....") == [(2, 6, 3)]
    assert course("x.x..") == [(0, 5, 2)]
    assert course("x..x..") == [(0, 6, 3)]
    assert course("x...x..") == [(0, 3, 0), (4, 7, 4)]
    assert course("..x") == [(2, None, 2)]


def test_windows_judged_for_themselves_are_one_each() -> None:
    assert course(".xx.x", WINDOWS) == [(1, 2, 1), (2, 3, 2), (4, 5, 4)]


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 4), st.sampled_from([EPISODES, WINDOWS]))
def test_step_by_step_is_all_at_once(holds: list[bool], overlap: int, judged_by: object) -> None:
    """Each evaluation judges the last windows again; nothing comes of that."""
    judged = [window(number, one) for number, one in enumerate(holds)]
    at_once = follow(judged_by, 5, judged, at=BEGINS + len(holds) * HOUR)  # type: ignore[arg-type]
    spells: list[Spell] = []
    steps = []
    for end in range(1, len(judged) + 1):
        # As live: from what still holds on, or a window before.
        held = [spell.held_until for spell in spells if spell.resolved_at is None]
        since = min([*held, BEGINS + (end - 1 - overlap) * HOUR])
        seen = [one for one in judged[:end] if one[0].start >= since]
        new = follow(judged_by, 5, seen, spells, at=BEGINS + end * HOUR)  # type: ignore[arg-type]
        spells += [step.spell for step in new if step.turn is Turn.OPENED]
        steps += new
    assert spells_of(steps) == spells_of(at_once)


def test_who_ended_it_by_hand_is_not_contradicted_for_a_while() -> None:
    spell = Spell(BEGINS, BEGINS + HOUR, 5, BEGINS + HOUR, window(0, True)[0], BEGINS + HOUR, is_by_hand=True)
    steps = follow(EPISODES, 5, [window(1, True)], [spell], at=BEGINS + 2 * HOUR)
    assert steps == []
    steps = follow(EPISODES, 5, [window(2, True)], [spell], at=BEGINS + 3 * HOUR)
    assert [step.turn for step in steps] == [Turn.OPENED]

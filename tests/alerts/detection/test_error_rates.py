"""Failed calls: judged by counts, never by shares of next to nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detection.error_rates import judge_errors
from alerts.detection.expectation import Basis
from alerts.detection.lookback import Floats
from alerts.detection.verdicts import Verdicts

DAY = 24


def calls(days: int, per_hour: int = 200, rate: float = 0.02) -> tuple[Floats, Floats]:
    requests = np.full(days * DAY, float(per_hour))
    return requests, np.random.default_rng(3).binomial(per_hour, rate, days * DAY).astype(np.float64)


def judged(requests: Floats, errors: Floats, first: int) -> Verdicts:
    return judge_errors(requests[None], errors[None], first=first)


def test_chance_is_no_trouble() -> None:
    assert judged(*calls(60), first=10 * DAY).is_anomalous.sum() == 0


def test_an_outage_is_told_at_once_and_learned_within_a_day() -> None:
    requests, errors = calls(40)
    start = 30 * DAY
    errors[start:] = 80.0
    found = judged(requests, errors, first=start)
    assert found.is_anomalous[0, 0]
    assert found.expected[0, 0] == pytest.approx(4, abs=1)
    assert found.score[0, 0] > 1
    assert not found.is_anomalous[0, 26:].any()


def test_a_high_share_of_few_calls_says_nothing() -> None:
    requests, errors = calls(40)
    requests[-1], errors[-1] = 10.0, 9.0
    found = judged(requests, errors, first=len(requests) - 1)
    assert not found.is_anomalous[0, 0]
    assert found.basis[0, 0] == Basis.TOO_SHORT


def test_a_small_rise_of_very_many_calls_does_not_matter() -> None:
    requests, errors = calls(40, per_hour=100_000, rate=0.001)
    errors[-1] = 2_000.0
    assert not judged(requests, errors, first=len(requests) - 1).is_anomalous[0, 0]


def test_fewer_failures_are_no_trouble() -> None:
    requests, errors = calls(40, rate=0.3)
    errors[-1] = 0.0
    assert not judged(requests, errors, first=len(requests) - 1).is_anomalous[0, 0]


def test_a_short_history_says_so() -> None:
    requests, errors = calls(10)
    assert judged(requests, errors, first=0).basis[0, 0] == Basis.TOO_SHORT
    assert judged(requests, errors, first=30).basis[0, 0] == Basis.RECENT_HOURS
    assert judged(requests, errors, first=200).basis[0, 0] == Basis.LAST_DAYS


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 1)), min_size=60, max_size=300), st.data())
@settings(max_examples=25, deadline=None)
def test_later_hours_never_change_an_earlier_verdict(hours: list[tuple[int, float]], data: st.DataObject) -> None:
    requests = np.array([float(count) for count, _ in hours])
    errors = np.floor(requests * np.array([share for _, share in hours]))
    cut = data.draw(st.integers(1, len(hours)))
    whole, before = judged(requests, errors, first=0), judged(requests[:cut], errors[:cut], first=0)
    assert (whole.is_anomalous[:, :cut] == before.is_anomalous).all()
    np.testing.assert_array_equal(whole.high[:, :cut], before.high)

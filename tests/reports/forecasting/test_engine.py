"""Forecasts of days: in order, never negative, by the past alone, and as good as they say."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.forecasting.engine import forecast, tell
from reports.forecasting.outlook import Band, Outlook, Trial

FIRST = dt.date(2026, 1, 5)
# Monday to Sunday.
WEEK = (100, 110, 120, 115, 105, 20, 10)

usage = st.lists(st.integers(0, 10**12), min_size=14, max_size=120)


def told(values: list[int], horizon: int = 31) -> Outlook:
    found = forecast(values, FIRST, horizon)
    assert found is not None
    return found


def noisy(days: int, seed: int, scatter: float = 0.3, wander: float = 0.0) -> list[int]:
    """Weeks of office days that scatter, their level going its own way."""
    random = np.random.default_rng(seed)
    level = np.exp(np.cumsum(random.normal(0, wander, days)))
    return [round(10_000 * WEEK[n % 7] * level[n] * random.lognormal(0, scatter)) for n in range(days)]


# ── What is plain ──


def test_weeks_that_repeat_are_told_exactly() -> None:
    found = told([WEEK[n % 7] for n in range(140)], 14)
    assert found.first_day == FIRST + dt.timedelta(days=140)
    assert [band.likely for band in found.days] == [*WEEK, *WEEK]
    assert found.totals[-1] == Band(2 * sum(WEEK), 2 * sum(WEEK), 2 * sum(WEEK))


def test_what_never_changes_is_told_exactly() -> None:
    found = told([700] * 14)
    assert found.days == (Band(700, 700, 700),) * 31
    assert found.totals[-1].likely == 31 * 700


@pytest.mark.parametrize("values", [[], [5], [0] * 400, [0] * 100 + [5] * 13])
def test_less_than_two_weeks_are_too_little(values: list[int]) -> None:
    assert forecast(values, FIRST) is None


def test_what_was_before_the_first_usage_is_no_history() -> None:
    late = told([0] * 30 + noisy(60, 1))
    assert msgspec.structs.replace(told(noisy(60, 1)), first_day=late.first_day).days == late.days
    assert late.trials[0].origin == FIRST + dt.timedelta(days=30 + 14)


def test_of_two_weeks_there_is_a_range_and_nobody_knows_how_good_it_is() -> None:
    found = told(noisy(14, 1))
    assert found.measured is None
    assert "nobody knows yet" in found.basis
    assert all(band.low < band.high for band in found.days)


def test_usage_that_ended_is_told_as_ended() -> None:
    before, found = told(noisy(60, 2)), told([*noisy(60, 2), *[0] * 60])
    assert "Nothing was used in the last 60 days" in found.basis
    assert {band.likely for band in found.days} == {0}
    assert found.totals[-1].likely == 0
    assert found.totals[-1].high < before.totals[-1].low / 2


def test_sparse_and_bursty_histories_say_so() -> None:
    assert "53 of them had none" in told([9 if n % 7 == 0 else 0 for n in range(62)]).basis
    assert "expect bursts" in told([5_000 if n % 25 == 0 else 9 for n in range(100)]).basis


def test_what_comes_once_a_week_is_told_for_that_day() -> None:
    found = told([900 if n % 7 == 2 else 0 for n in range(140)], 14)
    assert [band.likely for band in found.days] == [0, 0, 900, 0, 0, 0, 0] * 2


# ── Whatever the days had ──


@settings(max_examples=15, deadline=None)
@given(usage, st.integers(1, 40))
def test_bands_are_in_order_and_sums_never_fall(values: list[int], horizon: int) -> None:
    found = forecast(values, FIRST, horizon)
    assert found == forecast(values, FIRST, horizon)
    if found is None:
        return
    assert len(found.days) == len(found.totals) == horizon
    every = [*found.days, *found.totals, *(trial.band for trial in (*found.trials, *found.total_trials))]
    assert all(0 <= band.low <= band.likely <= band.high for band in every)
    for before, after in pairwise(found.totals):
        assert before.low <= after.low
        assert before.likely <= after.likely
        assert before.high <= after.high


@settings(max_examples=10, deadline=None)
@given(usage, st.integers(2, 1000))
def test_a_thousand_times_the_usage_is_a_thousand_times_the_forecast(values: list[int], times: int) -> None:
    history = np.array([1, *values], dtype=float) + 1
    small, large = tell(history, 7, 10), tell(history * times, 7, 10)
    np.testing.assert_allclose(large.steps, small.steps * times, rtol=1e-6, atol=1e-6 * times * history.mean())
    np.testing.assert_allclose(large.sums, small.sums * times, rtol=1e-6, atol=1e-6 * times * history.mean())


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.integers(14, 119))
def test_a_trial_is_what_would_have_been_told_then(seed: int, then: int) -> None:
    """Nothing that came later moves it, nor anything that came later in another way."""
    then = then if then < 56 else then // 4 * 4
    values = noisy(120, seed, 0.6, 0.1)
    whole, earlier = told(values), told(values[:then])
    trials = [trial for trial in whole.trials if trial.origin == earlier.first_day]
    totals = [trial for trial in whole.total_trials if trial.origin == earlier.first_day]
    assert len(trials) == len(totals) == min(31, 120 - then)
    assert [trial.band for trial in trials] == list(earlier.days[: len(trials)])
    assert [trial.band for trial in totals] == list(earlier.totals[: len(trials)])
    assert [trial.actual for trial in trials] == values[then : then + 31][: len(trials)]
    changed = told([*values[:then], *(value * 7 + 1 for value in values[then:])])
    assert [trial.band for trial in changed.trials if trial.origin == earlier.first_day] == [
        trial.band for trial in trials
    ]


# ── As good as it says ──


def hits(trials: tuple[Trial, ...]) -> float:
    return sum(trial.is_within for trial in trials) / len(trials)


def test_eight_of_ten_days_come_within_their_range() -> None:
    every = [told(noisy(200, seed)) for seed in range(6)]
    assert 0.74 < np.mean([hits(one.trials) for one in every]) < 0.88
    assert 0.70 < np.mean([hits(one.total_trials) for one in every]) < 0.90


def test_totals_are_calibrated_where_sums_of_daily_ranges_are_not() -> None:
    """Days that err each by itself: the sum of their bounds is far too wide, the bounds of the sum are not."""
    inside, summed, trials = 0, 0, 0
    for seed in range(6):
        found = tell(np.array(noisy(250, seed), dtype=float), 7, 28)
        course = found.course
        whole = course.has_come[:, -1] & (course.origins >= 100)
        came = course.came.sum(axis=1)[whole]
        bounds, sums = found.sums[whole, -1], found.steps[whole].sum(axis=1)
        inside += int(((bounds[:, 0] <= came) & (came <= bounds[:, 2])).sum())
        summed += int(((sums[:, 0] <= came) & (came <= sums[:, 2])).sum())
        trials += len(came)
    assert summed / trials > 0.97
    assert 0.65 < inside / trials < 0.93


def test_what_is_measured_can_be_had_again_from_the_trials() -> None:
    found = told(noisy(120, 3))
    measured = found.measured
    assert measured is not None
    assert (measured.coverage.hits, measured.coverage.trials) == (
        sum(trial.band.low <= trial.actual <= trial.band.high for trial in found.trials),
        len(found.trials),
    )
    assert measured.origins == len({trial.origin for trial in found.trials})

    def loss(trial: Trial, band: Band) -> float:
        figures = ((0.1, band.low), (0.5, band.likely), (0.9, band.high))
        return sum(max(q * (trial.actual - v), (q - 1) * (trial.actual - v)) for q, v in figures) * 2 / 3

    came = sum(trial.actual for trial in found.trials)
    assert measured.wql == pytest.approx(sum(loss(trial, trial.band) for trial in found.trials) / came)
    assert measured.naive_wql == pytest.approx(sum(loss(trial, trial.naive) for trial in found.trials) / came)
    off = sum(abs(trial.actual - trial.band.likely) for trial in found.trials) / len(found.trials)
    assert measured.mase == pytest.approx(off / measured.scale)
    whole = [trial for trial in found.total_trials if trial.ahead == 30]
    errors = [abs(trial.actual - trial.band.likely) / trial.actual for trial in whole]
    assert measured.total_error == pytest.approx(float(np.median(errors)))


def test_it_beats_the_baseline_where_there_is_something_to_know() -> None:
    measured = told(noisy(200, 4)).measured
    assert measured is not None
    assert measured.wql is not None
    assert measured.naive_wql is not None
    assert measured.wql < 0.85 * measured.naive_wql


def test_usage_that_grows_is_told_to_grow_on() -> None:
    values = [round(value * 1.01**n) for n, value in enumerate(noisy(231, 8, 0.1))]
    found = told(values[:203], 28)
    before, came = sum(values[203 - 28 : 203]), sum(values[203:])
    assert before * 1.1 < found.totals[-1].likely
    assert found.totals[-1].low < came < found.totals[-1].high * 1.05


def test_seasons_of_the_year_are_told_after_two_of_them() -> None:
    """A quiet summer each year: only whoever knows last year tells its end."""

    def year(day: int) -> float:
        return 0.3 if 180 <= day % 364 < 236 else 1

    plain = noisy(1000, 5, 0.1)
    values = [round(value * year(n)) for n, value in enumerate(plain)]
    # Eight weeks into the third year's quiet weeks of summer less three days.
    found = told(values[: 728 + 233], 28)
    without = told(values[364 : 728 + 233], 28)
    came = sum(values[728 + 233 : 728 + 233 + 28])
    assert "seasons of the year are told apart" in found.basis
    assert abs(found.totals[-1].likely - came) < 0.7 * abs(without.totals[-1].likely - came)


# ── With the extra ──


def test_the_extra_is_one_rule_more_by_the_past_alone() -> None:
    pytest.importorskip("statsforecast", reason="the extra `forecast` is not installed")
    values = noisy(90, 6)
    quick, thorough = told(values), forecast(values, FIRST, is_thorough=True)
    assert thorough is not None
    assert "blend of 13" in thorough.method
    assert "blend of 12" in quick.method
    assert thorough.days != quick.days
    assert [trial.actual for trial in thorough.trials] == [trial.actual for trial in quick.trials]
    earlier = forecast(values[:80], FIRST, is_thorough=True)
    assert earlier is not None
    assert [trial.band for trial in thorough.trials if trial.origin == earlier.first_day] == list(earlier.days[:10])


@pytest.mark.parametrize("values", [[700] * 60, [0, 0, 3, 0] * 20, [*range(1, 30), *[0] * 60]])
def test_the_extra_bears_histories_that_no_model_fits(values: list[int]) -> None:
    pytest.importorskip("statsforecast", reason="the extra `forecast` is not installed")
    found = forecast(values, FIRST, is_thorough=True)
    assert found is not None
    assert all(0 <= band.low <= band.likely <= band.high for band in (*found.days, *found.totals))


def test_more_than_a_column_holds_is_told_as_that() -> None:
    assert told([10**18] * 40).totals[-1].likely == 9_200_000_000_000_000_000

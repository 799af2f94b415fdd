"""Judgments by themselves, and what conditions read where it is not a sum."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import APIKey, Organization, Project
from alerts.conditions import all_conditions, condition
from alerts.conditions.hourly_spike import Usual
from alerts.conditions.reading import Reading, Verdict
from alerts.conditions.units import Unit, hundredths
from alerts.models import AlertRule
from billing.credits import wallets
from billing.subscriptions import start_subscription
from core.errors import ApiError
from core.money import NANOS_PER_USD
from core.tenancy import organization_scope
from metering.models import RefusedQuarter
from tests.alerts.rules.usage import BERLIN, BY, berlin, evaluate_at, rule, told_of, use, use_all

START = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
END = START + dt.timedelta(hours=1)


def reading(value: int | None, bound: int, *, whole: bool = True, sample: int = 100) -> Reading:
    return Reading(START, END, END if whole else START + dt.timedelta(minutes=5), value, bound, sample=sample)


@pytest.mark.parametrize(
    ("name", "value", "bound", "whole", "verdict"),
    [
        ("daily_limit", 11, 10, False, Verdict.HOLDS),
        ("daily_limit", 10, 10, False, Verdict.OPEN),
        ("daily_limit", 10, 10, True, Verdict.CALM),
        ("allowance_share", 80, 80, False, Verdict.HOLDS),
        ("low_usage", 9, 10, False, Verdict.OPEN),
        ("low_usage", 9, 10, True, Verdict.HOLDS),
        ("low_usage", 10, 10, False, Verdict.CALM),
        # Shares may go either way until the window is over.
        ("error_rate", 99_00, 5_00, False, Verdict.OPEN),
        ("error_rate", 5_01, 5_00, True, Verdict.HOLDS),
        ("error_rate", 5_00, 5_00, True, Verdict.CALM),
        ("no_data", 24, 24, True, Verdict.HOLDS),
        ("no_data", 0, 24, False, Verdict.CALM),
        ("hourly_spike", None, 0, True, Verdict.CALM),
        ("hourly_spike", None, 0, False, Verdict.OPEN),
    ],
)
def test_verdicts(name: str, value: int | None, bound: int, whole: bool, verdict: Verdict) -> None:
    judged_by = condition(name)
    assert judged_by.judge(AlertRule(condition=name), reading(value, bound, whole=whole)) is verdict


def test_a_window_with_too_little_says_nothing() -> None:
    one = AlertRule(condition="error_rate", minimum=20)
    judged_by = condition("error_rate")
    assert judged_by.judge(one, reading(100_00, 5_00, sample=19)) is Verdict.CALM
    assert judged_by.judge(one, reading(100_00, 5_00, sample=20)) is Verdict.HOLDS


def test_every_condition_is_complete() -> None:
    for one in all_conditions():
        assert all((one.title, one.about, one.windows, one.scopes))
        assert one.least_threshold <= one.threshold <= (one.most_threshold or one.threshold)
        assert one.unit.read(Decimal(one.unit.field(one.threshold)), "threshold") == one.threshold


@given(st.sampled_from(list(Unit)), st.integers(0, 10**15))
def test_thresholds_come_back_as_they_were_written(unit: Unit, value: int) -> None:
    assert unit.read(Decimal(unit.field(value)), "threshold") == value
    assert Decimal(unit.amount(value) or "x") == Decimal(unit.field(value))


@pytest.mark.parametrize(("unit", "given_value"), [(Unit.TOKENS, "1.5"), (Unit.PERCENT, "0.001"), (Unit.MS, "1e30")])
def test_what_a_unit_cannot_say_is_refused(unit: Unit, given_value: str) -> None:
    with pytest.raises(ApiError):
        unit.read(Decimal(given_value), "threshold")


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_shares_are_right_to_a_hundredth_of_a_percent(part: int, whole: int) -> None:
    assert abs(Fraction(hundredths(part, whole), 10_000) - Fraction(part, whole)) <= Fraction(1, 20_000)


# ── What is usual at an hour ──


def hours(days: list[str], tokens: int, hour: int = 14) -> dict[dt.datetime, int]:
    return {berlin(f"{day} {hour:02}:00"): tokens for day in days}


def test_the_same_hours_are_those_of_workdays_or_of_weekends() -> None:
    weekdays = ["2026-08-31", "2026-09-01", "2026-09-02", "2026-09-03", "2026-09-04"]
    known = hours(weekdays, 100) | hours(["2026-09-05", "2026-09-06"], 10) | hours(["2026-08-28"], 1, hour=3)
    usual = Usual(known, BERLIN)
    # Monday: five workdays since the day behind the first call; Saturday is not among them.
    assert usual.at(berlin("2026-09-07 14:00")) == 100
    # Two weekend days are too few; four will do, and an hour without a call is 0.
    assert usual.at(berlin("2026-09-05 14:00")) is None
    assert usual.at(berlin("2026-09-12 14:00")) == 5
    assert usual.at(berlin("2026-09-07 15:00")) is None


def test_the_same_hour_is_the_clock_s_when_the_clocks_change() -> None:
    """In Berlin 14:00 is 12:00 UTC until 24 October, 13:00 from the 25th on."""
    days = [f"2026-10-{day}" for day in range(12, 24)]
    usual = Usual(hours(days, 50) | hours(["2026-10-09"], 1, hour=1), BERLIN)
    assert usual.at(berlin("2026-10-26 14:00")) == 50
    assert usual.at(berlin("2026-10-26 13:00")) is None


# ── Read from the database ──


@pytest.mark.django_db
def test_a_share_of_the_allowance_grows_over_the_billing_period(acme: Organization) -> None:
    # Free: 100,000 tokens a month.
    start_subscription(acme, "free", by=BY, at=berlin("2026-09-01 08:00"))
    rule(acme, "allowance_share", "2026-09-01 09:00")
    use(acme, berlin("2026-09-03 10:00"), 79_999)
    assert evaluate_at(acme, "2026-09-03 10:01") == []
    use(acme, berlin("2026-09-09 10:00"), 1)
    (alert,) = evaluate_at(acme, "2026-09-09 10:01")
    assert (alert.actual, alert.bound, alert.period_ends_at) == (80_000, 80_000, berlin("2026-10-01 00:00"))
    assert [one.state for one in evaluate_at(acme, "2026-10-01 00:01")] == ["resolved"]


@pytest.mark.django_db
def test_frequent_refusals_are_counted_by_the_zone_s_hours_and_by_whose_key_it_was(
    acme: Organization, website: Project
) -> None:
    with organization_scope(acme.pk):
        keys = [
            APIKey.objects.create(organization=acme, name=name, prefix=name, digest="", scopes=[], project=project)
            for name, project in (("a", website), ("b", None))
        ]
        for key, minute, count in ((keys[0], "10:45", 60), (keys[0], "11:00", 50), (keys[1], "11:15", 60)):
            RefusedQuarter.objects.create(
                organization=acme, api_key_id=key.pk, quarter=berlin(f"2026-09-01 {minute}"), count=count
            )
    rule(acme, "rate_limited", "2026-09-01 09:00")
    rule(acme, "rate_limited", "2026-09-01 09:00", scope="project", ref=website.pk)
    (alert,) = evaluate_at(acme, "2026-09-01 11:20")
    assert (alert.scope, alert.actual) == ("organization", 110)
    assert [part["actual"] for part in alert.explanation["by"][0]["parts"]] == [60, 50]
    assert told_of(acme) == [("rate_limit.frequent", "firing")]


@pytest.mark.django_db
def test_credits_that_are_low_are_told_once_until_there_is_more(acme: Organization) -> None:
    rule(acme, "credits_low", "2026-09-01 09:00")
    assert evaluate_at(acme, "2026-09-01 09:01") == []
    wallets.grant(acme, 5 * NANOS_PER_USD, "p1", by=BY)
    (alert,) = evaluate_at(acme, "2027-01-01 09:02")
    assert (alert.actual, alert.state) == (5 * NANOS_PER_USD, "open")
    wallets.grant(acme, 50 * NANOS_PER_USD, "p2", by=BY)
    assert [one.state for one in evaluate_at(acme, "2027-01-01 09:03")] == ["resolved"]
    assert told_of(acme) == [("credits.low", "firing")]


@pytest.mark.django_db
def test_latency_is_the_slowest_twentieth_of_a_whole_window(acme: Organization) -> None:
    rule(acme, "latency", "2026-09-01 09:00", threshold=1_000, minimum=10)
    at = berlin("2026-09-01 10:01")
    use_all(acme, [(at, 1)] * 18, duration_ms=200)
    use_all(acme, [(at, 1)] * 2, duration_ms=9_000)
    assert evaluate_at(acme, "2026-09-01 10:14") == []
    (alert,) = evaluate_at(acme, "2026-09-01 10:15")
    assert alert.actual >= 9_000


@pytest.mark.django_db
def test_unpriced_usage_is_a_share_of_tokens(acme: Organization) -> None:
    rule(acme, "unpriced_share", "2026-09-01 09:00", window="hour")
    use(acme, berlin("2026-09-01 10:01"), 9_800)
    use(acme, berlin("2026-09-01 10:02"), 200, "odd-model")
    (alert,) = evaluate_at(acme, "2026-09-01 11:00")
    assert (alert.actual, alert.explanation["by"][0]["parts"][0]["label"]) == (2_00, "odd-model")

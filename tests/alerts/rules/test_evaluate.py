"""Alerts open once, go on, end, come back and are told as their rules say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection

from accounts.models import Organization, Team
from alerts import acting
from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertRule, AlertState
from alerts.rules.reach import Reach
from alerts.rules.records import archive_rule, change_rule
from core.tenancy import organization_scope
from tests.alerts.rules.usage import BY, alerts_of, berlin, evaluate_at, rule, told_of, use, use_all
from tests.queries import Counter

pytestmark = pytest.mark.django_db


def test_a_daily_limit_fires_once_a_day_and_is_over_with_it(acme: Organization) -> None:
    rule(acme, "daily_limit", "2026-09-01 09:00", threshold=1_000)
    use(acme, berlin("2026-09-01 10:00"), 1_000)
    assert evaluate_at(acme, "2026-09-01 10:01") == []
    use(acme, berlin("2026-09-01 10:02"), 1)
    (alert,) = evaluate_at(acme, "2026-09-01 10:03")
    assert (alert.state, alert.actual, alert.bound, alert.told) == (AlertState.OPEN, 1_001, 1_000, 1)
    assert alert.period_starts_at == berlin("2026-09-01 00:00")
    use(acme, berlin("2026-09-01 11:00"), 500)
    (alert,) = evaluate_at(acme, "2026-09-01 11:01")
    assert (alert.actual, alert.told) == (1_501, 1)
    (alert,) = evaluate_at(acme, "2026-09-02 00:01")
    assert (alert.state, alert.resolved_at) == (AlertState.RESOLVED, berlin("2026-09-02 00:00"))
    use(acme, berlin("2026-09-02 03:00"), 2_000)
    assert [one.state for one in evaluate_at(acme, "2026-09-02 03:01")] == ["resolved", "open"]
    assert told_of(acme) == [
        ("usage.threshold", "firing"),
        ("usage.threshold", "resolved"),
        ("usage.threshold", "firing"),
    ]
    assert [part["actual"] for part in alerts_of(acme)[0].explanation["by"][0]["parts"]] == [1_501]


def _by_hand(made: AlertRule, alert: Alert, at: dt.datetime) -> None:
    acting.resolve(alert, Reach.whole(), by=BY, at=at)


def _window_over(made: AlertRule, alert: Alert, at: dt.datetime) -> None:
    evaluate(made.organization, at + dt.timedelta(days=1))


def _rule_changed(made: AlertRule, alert: Alert, at: dt.datetime) -> None:
    change_rule(made, {"condition": "cost"}, Reach.whole(), by=BY, at=at)


def _rule_paused(made: AlertRule, alert: Alert, at: dt.datetime) -> None:
    change_rule(made, {"is_enabled": False}, Reach.whole(), by=BY, at=at)


def _rule_removed(made: AlertRule, alert: Alert, at: dt.datetime) -> None:
    archive_rule(made, Reach.whole(), by=BY, at=at)


@pytest.mark.parametrize("end", [_by_hand, _window_over, _rule_changed, _rule_paused, _rule_removed])
def test_however_an_alert_ends_its_parts_sum_to_its_value(
    acme: Organization, end: Callable[[AlertRule, Alert, dt.datetime], None]
) -> None:
    made = rule(acme, "daily_limit", "2026-09-01 09:00", threshold=1_000)
    use(acme, berlin("2026-09-01 10:00"), 1_001)
    (alert,) = evaluate_at(acme, "2026-09-01 10:01")
    use(acme, berlin("2026-09-01 11:00"), 400, "claude")
    use(acme, berlin("2026-09-01 11:00"), 100)
    (alert,) = evaluate_at(acme, "2026-09-01 11:01")
    assert _sums(alert) == {1_501}
    # What is not judged yet is in neither, or in both. A caller's clock may be ahead.
    use(acme, berlin("2026-09-01 11:02"), 30, "claude")
    use(acme, berlin("2026-09-01 11:05"), 7)
    end(made, alert, berlin("2026-09-01 11:03"))
    (alert,) = alerts_of(acme)
    assert alert.state == AlertState.RESOLVED
    assert _sums(alert) == {alert.actual}


def _sums(alert: Alert) -> set[int]:
    return {sum(part["actual"] for part in one["parts"]) for one in alert.explanation["by"]}


def test_days_that_were_not_looked_at_meanwhile_are_caught_up_with(acme: Organization) -> None:
    rule(acme, "daily_limit", "2026-09-01 09:00", threshold=10)
    use_all(acme, [(berlin(f"2026-09-0{day} 12:00"), 11) for day in (1, 2, 3)])
    assert [one.state for one in evaluate_at(acme, "2026-09-03 13:00")] == ["resolved", "resolved", "open"]
    # What was over when it was found is told once.
    assert told_of(acme) == [("usage.threshold", "firing")] * 3


def test_days_before_the_rule_are_not_its_business(acme: Organization) -> None:
    use(acme, berlin("2026-08-31 10:00"), 5_000)
    rule(acme, "daily_limit", "2026-09-01 09:00", threshold=1_000)
    assert evaluate_at(acme, "2026-09-01 09:01") == []


def test_a_spike_explains_itself_by_parts_that_sum_to_the_change(acme: Organization) -> None:
    days = [berlin("2026-09-07 14:30") - dt.timedelta(days=n) for n in range(1, 25)]
    use_all(acme, [(day, 20_000) for day in days])
    use_all(acme, [(day, 10_000) for day in days], "claude")
    rule(acme, "hourly_spike", "2026-09-07 09:00")
    use(acme, berlin("2026-09-07 14:05"), 60_000)
    assert evaluate_at(acme, "2026-09-07 14:06") == []
    use(acme, berlin("2026-09-07 14:10"), 40_000)
    (alert,) = evaluate_at(acme, "2026-09-07 14:11")
    assert (alert.actual, alert.expected, alert.bound) == (100_000, 30_000, 60_000)
    by = {one["dimension"]: one["parts"] for one in alert.explanation["by"]}
    assert [(part["label"], part["actual"], part["expected"]) for part in by["model"]] == [
        ("gpt-4o", 100_000, 20_000),
        ("claude", 0, 10_000),
    ]
    assert sum(part["actual"] - part["expected"] for part in by["model"]) == alert.actual - alert.expected
    # One calm hour ends it.
    assert [one.state for one in evaluate_at(acme, "2026-09-07 15:30")] == ["open"]
    assert [one.state for one in evaluate_at(acme, "2026-09-07 16:00")] == ["resolved"]


def test_low_usage_is_told_when_the_day_is_over_once_however_long(acme: Organization) -> None:
    use(acme, berlin("2026-08-20 10:00"), 50_000)
    rule(acme, "low_usage", "2026-09-01 09:00")
    use(acme, berlin("2026-09-01 10:00"), 9_000)
    assert evaluate_at(acme, "2026-09-01 23:59") == []
    (alert,) = evaluate_at(acme, "2026-09-02 00:01")
    assert (alert.actual, alert.period_starts_at) == (9_000, berlin("2026-09-01 00:00"))
    (alert,) = evaluate_at(acme, "2026-09-04 00:01")
    assert (alert.state, alert.actual) == (AlertState.OPEN, 0)
    use(acme, berlin("2026-09-04 08:00"), 10_000)
    (alert,) = evaluate_at(acme, "2026-09-04 08:01")
    assert (alert.state, alert.resolved_at) == (AlertState.RESOLVED, berlin("2026-09-04 08:01"))
    assert told_of(acme) == [("usage.threshold", "firing"), ("usage.threshold", "resolved")]


def test_each_model_has_its_own_alert(acme: Organization) -> None:
    rule(acme, "per_model", "2026-09-01 09:00", threshold=100)
    use(acme, berlin("2026-09-01 10:00"), 101)
    use(acme, berlin("2026-09-01 10:00"), 101, "claude")
    use(acme, berlin("2026-09-01 10:00"), 99, "small")
    assert {one.about for one in evaluate_at(acme, "2026-09-01 10:01")} == {"gpt-4o", "claude"}


def test_errors_that_flap_are_one_alert(acme: Organization) -> None:
    rule(acme, "error_rate", "2026-09-01 09:00", minimum=2)
    for minute, status in ((1, "error"), (16, "ok"), (31, "ok"), (46, "error")):
        for number in range(2):
            use(acme, berlin(f"2026-09-01 10:{minute + number:02}"), 10, status=status)
    # The window is judged when it is over, by then not only by what came first.
    assert evaluate_at(acme, "2026-09-01 10:05") == []
    (alert,) = evaluate_at(acme, "2026-09-01 10:15")
    assert (alert.actual, alert.state) == (100_00, AlertState.OPEN)
    assert [one.state for one in evaluate_at(acme, "2026-09-01 10:30")] == ["open"]
    assert [one.state for one in evaluate_at(acme, "2026-09-01 10:45")] == ["resolved"]
    (alert,) = evaluate_at(acme, "2026-09-01 11:00")
    assert (alert.state, alert.told) == (AlertState.OPEN, 2)
    (alert,) = evaluate_at(acme, "2026-09-01 11:30")
    assert alert.state == AlertState.RESOLVED
    # What came back within the hour was told neither again, nor that it was over again.
    assert told_of(acme) == [("usage.threshold", "firing"), ("usage.threshold", "resolved")]


def test_no_data_for_hours_ends_with_the_first_call(acme: Organization) -> None:
    use(acme, berlin("2026-09-01 10:10"), 10)
    rule(acme, "no_data", "2026-09-01 10:20", threshold=3)
    assert evaluate_at(acme, "2026-09-01 13:59") == []
    (alert,) = evaluate_at(acme, "2026-09-01 14:00")
    assert alert.actual == 3
    (alert,) = evaluate_at(acme, "2026-09-01 16:30")
    assert (alert.actual, alert.told) == (5, 1)
    use(acme, berlin("2026-09-01 16:40"), 10)
    assert [one.state for one in evaluate_at(acme, "2026-09-01 16:41")] == ["resolved"]


def test_it_is_told_again_only_where_the_rule_says_so(acme: Organization) -> None:
    rule(acme, "daily_limit", "2026-09-01 09:00", threshold=10, renotify_minutes=60)
    use(acme, berlin("2026-09-01 10:00"), 11)
    for minute, told in (("10:01", 1), ("10:59", 1), ("11:01", 2), ("11:30", 2), ("12:01", 3)):
        (alert,) = evaluate_at(acme, f"2026-09-01 {minute}")
        assert alert.told == told, minute


def test_days_of_23_and_25_hours_are_days(acme: Organization) -> None:
    """The clocks go back on 25 October 2026 in Berlin, and forward on 29 March."""
    for day, hours in (("2026-10-25", 25), ("2026-03-29", 23)):
        made = rule(acme, "daily_limit", f"{day} 00:10", threshold=100)
        use(acme, berlin(f"{day} 00:30"), 60)
        use(acme, berlin(f"{day} 23:30"), 60)
        alert = evaluate_at(acme, f"{day} 23:59")[-1]
        assert alert.rule_id == made.pk
        assert alert.period_ends_at - alert.period_starts_at == dt.timedelta(hours=hours)


def test_rules_of_a_kind_ask_together(acme: Organization) -> None:
    """However many teams and conditions of the same days are watched, usage is asked as often."""
    with organization_scope(acme.pk):
        teams = [Team.objects.create(organization=acme, name=f"T{n}", slug=f"t{n}") for n in range(8)]
    use(acme, berlin("2026-09-01 10:00"), 50)

    def asked(minute: int) -> int:
        evaluate_at(acme, f"2026-09-01 10:{minute}")
        counter = Counter()
        with connection.execute_wrapper(counter):
            evaluate(acme, berlin(f"2026-09-01 10:{minute + 1}"))
        return counter.number

    numbers = []
    for together in (teams[:2], teams[2:]):
        for team in together:
            for name in ("daily_limit", "cost", "low_usage"):
                rule(acme, name, "2026-09-01 09:00", scope="team", ref=team.pk)
        numbers.append(asked(10 + 5 * len(numbers)))
    assert numbers[0] == numbers[1]

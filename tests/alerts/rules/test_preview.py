"""What a preview says is what live evaluation would have said of the same usage."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from accounts.models import Organization
from alerts.evaluation.evaluate import evaluate
from alerts.rules.preview import preview
from core.periods import day_start
from tests.alerts.rules.usage import BERLIN, alerts_of, berlin, rule, use_all

pytestmark = pytest.mark.django_db
# Sunday 25 October 2026 has 25 hours in Berlin.
FIRST, LAST = dt.date(2026, 10, 23), dt.date(2026, 10, 26)


def hours_between(start: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
    return [start + dt.timedelta(hours=n) for n in range(int((end - start) / dt.timedelta(hours=1)))]


def test_a_preview_is_what_live_evaluation_says(acme: Organization) -> None:
    dice = random.Random(7)
    begins, ends = day_start(FIRST, BERLIN), day_start(LAST, BERLIN) + dt.timedelta(hours=13)
    before = [berlin(f"2026-10-{day:02} {hour:02}:20") for day in range(1, 23) for hour in range(0, 24, 3)]
    use_all(acme, [(at, 60) for at in before])
    live = [
        rule(acme, "daily_limit", begins, threshold=1_500),
        rule(acme, "hourly_spike", begins, threshold=300_00, minimum=100),
        rule(acme, "low_usage", begins, threshold=900),
        rule(acme, "error_rate", begins, threshold=30_00, minimum=2, window="hour"),
        rule(acme, "no_data", begins, threshold=3),
    ]
    for hour in hours_between(begins, ends):
        if dice.random() < 0.6:
            calls = [(hour + dt.timedelta(minutes=5 + 10 * n), dice.choice([10, 40, 150, 300])) for n in range(3)]
            use_all(acme, calls[:2])
            use_all(acme, calls[2:], status=dice.choice(["ok", "error"]))
        evaluate(acme, hour + dt.timedelta(minutes=58))
        evaluate(acme, hour + dt.timedelta(minutes=60))
    found = {one.pk: [] for one in live}
    for alert in alerts_of(acme):
        found[alert.rule_id].append((alert.period_starts_at, alert.period_ends_at, alert.actual))
    assert sum(map(len, found.values())) > 8
    for one in live:
        firings = preview(acme, one, ends).firings
        # The preview looks further back than the rule was watching.
        said = [(firing.spell.start, firing.spell.end, firing.spell.reading.value) for firing in firings]
        assert [one for one in said if one[0] >= begins] == found[one.pk], one.condition

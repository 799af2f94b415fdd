"""What a rule's alert tells, and what people read of it: whose, how much, against what, and what it came of."""

from __future__ import annotations

import datetime as dt

from accounts.models import Organization
from alerts.letters import letter_of
from alerts.models import ToldFact
from core.tenancy import organization_scope
from tests.alerts.rules.usage import berlin, evaluate_at, rule, use, use_all


def told(organization: Organization) -> ToldFact:
    with organization_scope(organization.pk):
        return ToldFact.objects.select_related("organization").get(kind="usage.threshold")


def test_a_spike_tells_what_is_usual_and_what_it_came_of(acme: Organization) -> None:
    days = [berlin("2026-09-07 14:30") - dt.timedelta(days=n) for n in range(1, 25)]
    use_all(acme, [(day, 20_000) for day in days])
    use_all(acme, [(day, 10_000) for day in days], "claude")
    rule(acme, "hourly_spike", "2026-09-07 09:00")
    use(acme, berlin("2026-09-07 14:10"), 100_000)
    evaluate_at(acme, "2026-09-07 14:11")
    fact = told(acme)
    said = fact.data
    assert (said["unit"], said["value"], said["threshold"]) == ("percent", "333.33", "200")
    assert (said["counted_unit"], said["actual"], said["expected"], said["model"]) == (
        "tokens",
        "100000",
        "30000",
        None,
    )
    # Calls without a key are nobody's: they explain nothing.
    assert said["drivers"] == [
        {"dimension": "model", "label": "gpt-4o", "unit": "tokens", "actual": "100000", "expected": "20000"},
        {"dimension": "model", "label": "claude", "unit": "tokens", "actual": "0", "expected": "10000"},
    ]
    letter = letter_of(fact, acme)
    assert letter.subject == "Hourly spike: Acme, 100,000 tokens"
    table = dict(letter.table)
    assert (table["Usual"], table["In percent"], table["Threshold"]) == ("30,000 tokens", "333.3%", "200%")
    assert ("By model", "gpt-4o: 100,000 tokens (usually 20,000 tokens)") in letter.table


def test_a_rule_of_each_model_tells_which(acme: Organization) -> None:
    rule(acme, "per_model", "2026-09-01 09:00", threshold=1_000)
    use(acme, berlin("2026-09-01 10:00"), 5_000, "claude")
    evaluate_at(acme, "2026-09-01 10:01")
    fact = told(acme)
    assert (fact.data["model"], fact.data["value"], fact.data["expected"]) == ("claude", "5000", None)
    letter = letter_of(fact, acme)
    assert letter.subject == "Per model: claude in Acme, 5,000 tokens"
    assert "In percent" not in dict(letter.table)


def test_failed_calls_are_counted_where_the_rule_is_about_their_share(acme: Organization) -> None:
    rule(acme, "error_rate", "2026-09-01 09:00")
    use_all(acme, [(berlin("2026-09-01 10:00") + dt.timedelta(seconds=n), 10) for n in range(40)], status="error")
    evaluate_at(acme, "2026-09-01 11:01")
    said = told(acme).data
    assert (said["unit"], said["value"], said["counted_unit"]) == ("percent", "100", "percent")
    assert said["drivers"][0] == {
        "dimension": "model", "label": "gpt-4o", "unit": "requests", "actual": "40", "expected": None,
    }  # fmt: skip

"""The summaries of a local day and week: told once, where somebody wants it, with the query's own figures."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec
import pytest
from pytest_django.fixtures import Settings

from accounts.audit import Actor
from accounts.models import Organization, Team, User
from alerts import summaries
from alerts.examples import EXAMPLES
from alerts.letters import usage
from alerts.models import Preference, Way
from alerts.payloads import WeeklySummary
from alerts.webhooks import records
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from core.facts import Fact
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
BY = Actor.of_command("test")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def wanted_by(kind: str = summaries.DAILY) -> list[int]:
    with unscoped("test"):
        return summaries.wanted_by(kind)


def test_a_day_is_told_once_it_is_over(acme: Organization, told_facts: list[Fact]) -> None:
    # Berlin is an hour ahead: the 10th is from 23:00 to 23:00.
    write(
        acme.pk,
        [
            make_event("before", at("2026-11-09T22:59:59"), usage=Usage(input=7)),
            make_event("first", at("2026-11-09T23:00:00"), usage=Usage(input=1_000, output=10)),
            make_event("other", at("2026-11-10T12:00:00"), model="gpt-5", usage=Usage(input=50)),
            make_event("after", at("2026-11-10T23:00:00"), usage=Usage(input=3)),
        ],
    )
    summaries.summarize(acme.pk, at("2026-11-10T23:59:59"))
    assert [fact.key for fact in told_facts] == ["day:2026-11-09"], "an hour is waited for what comes late"
    summaries.summarize(acme.pk, at("2026-11-11T00:00:00"))
    summaries.summarize(acme.pk, at("2026-11-11T09:00:00"))
    _, fact = told_facts
    assert (fact.key, fact.happened_at) == ("day:2026-11-10", at("2026-11-10T23:00:00"))
    data = fact.data
    assert (data["requests"], data["prompt_tokens"], data["completion_tokens"], data["total_tokens"]) == (
        2,
        1_050,
        10,
        1_060,
    )
    assert [(model["model"], model["total_tokens"]) for model in data["models"]] == [("gpt-4o", 1_010), ("gpt-5", 50)]
    assert Decimal(data["cost_usd"]) == sum(Decimal(model["cost_usd"]) for model in data["models"])
    assert Decimal(data["cost_usd_before"]) < Decimal(data["cost_usd"])
    assert data["page"] == "/o/acme/overview?range=custom&from=2026-11-10&to=2026-11-11"


def test_only_where_somebody_wants_to_know(
    acme: Organization, globex: Organization, alice: User, settings: Settings
) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    assert wanted_by() == []
    with organization_scope(acme.pk):
        webhook, _ = records.create(acme, {"url": "http://127.0.0.1:8/", "events": ["credits.low"]}, by=BY)
        assert wanted_by() == []
        records.change(webhook, {"events": [summaries.DAILY]}, by=BY)
    assert wanted_by() == [acme.pk]
    with organization_scope(acme.pk):
        records.disable(webhook, by=BY)
        assert wanted_by() == []
        member = membership_of(alice, acme)
        Preference.objects.create(organization=acme, member=member, kind=summaries.DAILY, way=Way.EMAIL, is_on=True)
    assert wanted_by() == [acme.pk]


# ── The week ──


def test_a_week_is_told_once_it_is_over(
    acme: Organization, alice: User, bob: User, search: Team, told_facts: list[Fact]
) -> None:
    # Berlin's week from Monday the 9th is from Sunday 23:00 to Sunday 23:00.
    write(
        acme.pk,
        [
            make_event("before", at("2026-11-08T22:59:59"), usage=Usage(input=400), user=alice.email),
            make_event("first", at("2026-11-08T23:00:00"), usage=Usage(input=1_000), user=alice.email),
            make_event("last", at("2026-11-15T22:59:59"), model="gpt-5", usage=Usage(input=50), user=bob.email),
            make_event("after", at("2026-11-15T23:00:00"), usage=Usage(input=3), user=bob.email),
        ],
    )
    values = {"name": "Search", "scope": "team", "ref": search.pk, "amount": 1_000_000}
    create_budget(acme, values, Reach.whole(), by=BY)
    summaries.summarize_week(acme.pk, at("2026-11-15T23:59:59"))
    assert [fact.key for fact in told_facts] == ["week:2026-11-02"], "an hour is waited for what comes late"
    for moment in ("2026-11-16T00:00:00", "2026-11-19T12:00:00", "2026-11-22T23:59:59"):
        summaries.summarize_week(acme.pk, at(moment))
    _, fact = told_facts
    assert (fact.kind, fact.key) == ("usage.weekly_summary", "week:2026-11-09")
    data = fact.data
    assert (data["week_start"], data["week_end"]) == ("2026-11-09", "2026-11-15")
    assert (data["total_tokens"], data["total_tokens_before"], data["requests"]) == (1_050, 400, 2)
    assert [(one["model"], one["total_tokens"]) for one in data["models"]] == [("gpt-4o", 1_000), ("gpt-5", 50)]
    assert [(one["of"], one["total_tokens"]) for one in data["members"]] == [(alice.email, 1_000), (bob.email, 50)]
    assert [(one["of"], one["total_tokens"]) for one in data["teams"]] == [(None, 1_000), ("search", 50)]
    (budget,) = data["budgets"]
    assert (budget["about"], budget["is_exceeded"]) == ({"scope": "team", "of": "search", "label": "Search"}, False)
    assert Decimal(budget["used_percent"]) > 0
    assert data["page"] == "/o/acme/overview?range=custom&from=2026-11-09&to=2026-11-16"


def test_the_week_goes_to_who_asked_for_it(acme: Organization, vera: User) -> None:
    assert wanted_by(summaries.WEEKLY) == []
    member = membership_of(vera, acme)
    with organization_scope(acme.pk):
        Preference.objects.create(organization=acme, member=member, kind=summaries.WEEKLY, way=Way.EMAIL, is_on=True)
    assert wanted_by(summaries.WEEKLY) == [acme.pk]
    assert wanted_by(summaries.DAILY) == []


def test_the_weeks_letter_sums(acme: Organization) -> None:
    told = {**EXAMPLES["usage.weekly_summary"], "cost_usd": "300.5", "teams": []}
    table = usage.weekly_summary(msgspec.convert(told, WeeklySummary), acme).table
    assert len(dict(table)) == len(table), "each label once"
    assert dict(table)["Other models"] == "$69.10"
    assert "Other teams" not in dict(table), "where no team is told there are no others"
    told["models"] = [{**told["models"][0], "cost_usd": "300.5"}]
    assert "Other models" not in dict(usage.weekly_summary(msgspec.convert(told, WeeklySummary), acme).table)

"""The summary of a local day: told once, where somebody wants it, with the query's own figures."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts.audit import Actor
from accounts.models import Organization, User
from alerts import summaries
from alerts.models import Preference, Way
from alerts.webhooks import records
from core.facts import Fact
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
BY = Actor.of_command("test")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def wanted_by() -> list[int]:
    with unscoped("test"):
        return summaries.wanted_by()


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
    assert data["page"] == "/o/acme/overview?range=custom&from=2026-11-10&to=2026-11-10"


def test_only_where_somebody_wants_to_know(
    acme: Organization, globex: Organization, alice: User, settings: Settings
) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    assert wanted_by() == []
    with organization_scope(acme.pk):
        webhook, _ = records.create(acme, {"url": "http://127.0.0.1:8/", "events": ["credits.low"]}, by=BY)
        assert wanted_by() == []
        records.change(webhook, {"events": [summaries.KIND]}, by=BY)
    assert wanted_by() == [acme.pk]
    with organization_scope(acme.pk):
        records.disable(webhook, by=BY)
        assert wanted_by() == []
        member = membership_of(alice, acme)
        Preference.objects.create(organization=acme, member=member, kind=summaries.KIND, way=Way.EMAIL, is_on=True)
    assert wanted_by() == [acme.pk]

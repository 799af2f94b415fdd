"""Unusual hours are ringed on the lines they are of, and lead to their alerts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, User
from alerts.models import Alert
from core.tenancy import organization_scope
from tests.alerts.rules.usage import open_alert
from tests.alerts.rules.usage import rule as make_rule
from tests.metering.query.usage import make_event, write

TEXT = "Acme used 12 tokens in an hour that never has any."


@pytest.fixture
def unusual(acme: Organization, alice: User, bob: User) -> Alert:
    at = now() - dt.timedelta(minutes=45)
    write(acme.pk, [make_event(name, at, user=user.email) for name, user in (("a", alice), ("b", bob))])
    with organization_scope(acme.pk):
        alert = open_alert(make_rule(acme, "anomaly", at - dt.timedelta(days=1)))
        alert.about = "unusual:organization:0:usage"
        alert.explanation = {"text": TEXT, "measure": "tokens", "unit": "tokens"}
        alert.period_starts_at, alert.period_ends_at = at, at + dt.timedelta(minutes=30)
        alert.save()
    return alert


def chart(client: Client, query: str = "range=7d&interval=hour") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/o/acme/usage?{query}").context["chart"]
    return found


def rings(client: Client, query: str = "range=7d&interval=hour") -> list[Any]:
    return [
        value
        for series in chart(client, query)["json"]["series"]
        if series["role"] == "anomaly"
        for value in series["data"]
        if value is not None
    ]


def test_an_unusual_hour_is_ringed_and_leads_to_its_alert(unusual: Alert, alice_client: Client) -> None:
    assert 30 in rings(alice_client)
    content = alice_client.get("/o/acme/usage?range=7d").content.decode()
    assert TEXT in content
    assert f"/o/acme/alerts/{unusual.pk}/" in content
    assert rings(alice_client, "range=7d&interval=day&measure=requests") == [2]


def test_of_a_narrowed_view_nobody_knows(unusual: Alert, alice_client: Client, bob_client: Client) -> None:
    assert rings(alice_client, "range=7d&model=gpt-4o") == []
    assert rings(bob_client) == []


def test_facts_are_no_matter_of_heights(unusual: Alert, alice_client: Client) -> None:
    with organization_scope(unusual.organization_id):
        Alert.objects.filter(pk=unusual.pk).update(about="new_model:model:o3:usage")
    assert rings(alice_client) == []
    assert chart(alice_client)["unusual"] is None

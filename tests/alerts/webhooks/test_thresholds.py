"""What a webhook asked for beside its events: its own percent of the allowance, its own number of credits."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from accounts.models import Organization
from alerts import facts
from alerts.models import ToldFact, WebhookDelivery
from alerts.webhooks.tasks import watch_webhook_thresholds
from billing.credits import wallets
from core.tenancy import organization_scope
from metering.events import Usage
from metering.models import Limit, LimitKind, LimitPeriod, LimitUnit
from tests.alerts.webhooks.conftest import BY, NewWebhook
from tests.billing.plans import subscribed
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
USD = 10**9


def bodies(acme: Organization) -> list[dict[str, object]]:
    with organization_scope(acme.pk):
        return [json.loads(one.body) for one in WebhookDelivery.objects.order_by("pk")]


def used(acme: Organization, name: str, tokens: int) -> None:
    write(acme.pk, [make_event(name, dt.datetime.now(dt.UTC), usage=Usage(input=tokens))])


@pytest.mark.usefixtures("tasks_at_once")
def test_the_percent_is_told_once_a_period(acme: Organization, new_webhook: NewWebhook) -> None:
    with organization_scope(acme.pk):
        Limit.objects.create(
            organization=acme,
            source="test",
            kind=LimitKind.ALLOWANCE,
            label="The allowance",
            unit=LimitUnit.TOKENS,
            amount=1_000,
            period=LimitPeriod.MONTH,
        )
    new_webhook(events=["usage.threshold"], usage_threshold_percent=80)
    new_webhook(events=["usage.threshold"], usage_threshold_percent=101)
    new_webhook(events=["credits.low"], usage_threshold_percent=80)
    used(acme, "a", 799)
    watch_webhook_thresholds()
    assert bodies(acme) == []
    used(acme, "b", 1)
    watch_webhook_thresholds()
    watch_webhook_thresholds()
    [body] = bodies(acme)
    assert body["type"] == "usage.threshold"
    data = body["data"]
    assert isinstance(data, dict)
    assert (data["rule"], data["value"], data["threshold"], data["summary"]) == (
        None,
        "80.0",
        "80",
        "80.0% of the allowance is used: 800 of 1,000 tokens.",
    )
    used(acme, "c", 210)
    watch_webhook_thresholds()
    assert len(bodies(acme)) == 2


@pytest.mark.usefixtures("tasks_at_once")
def test_low_credits_are_told_by_the_webhook_s_own_number(acme: Organization, new_webhook: NewWebhook) -> None:
    subscribed(acme, "prepaid", dt.datetime.now(dt.UTC))
    wallets.purchase(acme, 10 * USD, "pay_1", by=BY)
    wallets.set_rules(acme, low_below_nanos=50 * USD, top_up_below_nanos=None, top_up_nanos=None, by=BY)
    new_webhook(events=["credits.low"], credits_low_threshold=50_000)
    with organization_scope(acme.pk):
        [low] = ToldFact.objects.filter(kind="credits.low")
    facts.spread(acme.pk, low.pk)
    assert bodies(acme) == [], "what the wallet calls low is not what this webhook does"
    watch_webhook_thresholds()
    assert bodies(acme) == []
    used(acme, "a", 3_000_000)
    watch_webhook_thresholds()
    watch_webhook_thresholds()
    [body] = bodies(acme)
    assert body["data"] == {"available_usd": "2.497", "threshold_usd": "5", "auto_top_up": None}
    wallets.purchase(acme, 10 * USD, "pay_2", by=BY)
    watch_webhook_thresholds()
    used(acme, "b", 4_000_000)
    watch_webhook_thresholds()
    assert len(bodies(acme)) == 2

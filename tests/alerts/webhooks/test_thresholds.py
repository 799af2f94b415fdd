"""What a webhook asked for beside its events: its own percent of the allowance, its own number of credits."""

from __future__ import annotations

import datetime as dt
import json
import uuid

import pytest
from django.db.models import F
from django.utils.timezone import now
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import Organization
from alerts import facts
from alerts.models import ToldFact, Webhook, WebhookDelivery
from alerts.webhooks import outbox, records, thresholds
from alerts.webhooks.tasks import watch_webhook_thresholds
from billing.credits import wallets
from core.tenancy import organization_scope, unscoped
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


def allow(acme: Organization, tokens: int) -> None:
    with organization_scope(acme.pk):
        Limit.objects.create(
            organization=acme,
            source="test",
            kind=LimitKind.ALLOWANCE,
            label="The allowance",
            unit=LimitUnit.TOKENS,
            amount=tokens,
            period=LimitPeriod.MONTH,
        )


@pytest.mark.usefixtures("tasks_at_once")
def test_the_percent_is_told_once_a_period(acme: Organization, new_webhook: NewWebhook) -> None:
    allow(acme, 1_000)
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


def test_a_period_outlives_its_message(acme: Organization, new_webhook: NewWebhook) -> None:
    allow(acme, 1_000)
    webhook, _ = new_webhook(events=["usage.threshold"], usage_threshold_percent=80)
    used(acme, "a", 900)

    def told_when_the_last_is_forgotten() -> int:
        with organization_scope(acme.pk):
            WebhookDelivery.objects.update(created_at=F("created_at") - outbox.KEPT)
        with unscoped("test"):
            outbox.forget_old()
        assert bodies(acme) == []
        thresholds.watch(acme.pk, now())
        return len(bodies(acme))

    assert told_when_the_last_is_forgotten() == 1, "the first"
    assert told_when_the_last_is_forgotten() == 0
    with organization_scope(acme.pk):
        Webhook.objects.update(usage_told_of=F("usage_told_of") - dt.timedelta(days=1))
    assert told_when_the_last_is_forgotten() == 1, "another period"
    with organization_scope(acme.pk):
        records.change(webhook, {"usage_threshold_percent": 90}, by=BY)
    assert told_when_the_last_is_forgotten() == 1, "another percent"


def test_a_message_that_is_there_is_not_hastened(
    acme: Organization, new_webhook: NewWebhook, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    webhook, _ = new_webhook()
    message_id = uuid.uuid4()
    for is_new in (True, False):
        with django_capture_on_commit_callbacks() as sent, organization_scope(acme.pk):
            assert outbox.tell_one(webhook, message_id, "webhook.test", {"page": "/"}, now()) is is_new
        assert len(sent) == is_new


@pytest.mark.usefixtures("tasks_at_once")
def test_a_range_has_the_webhook_s_own_thresholds(acme: Organization, new_webhook: NewWebhook) -> None:
    allow(acme, 1_000)
    webhook, _ = new_webhook(events=["usage.threshold"], usage_threshold_percent=80)
    begin = now()
    used(acme, "a", 900)
    watch_webhook_thresholds()
    end = now()
    with organization_scope(acme.pk):
        outbox.send_test(webhook, by=BY)
        assert outbox.replay_since(webhook, begin, by=BY, with_delivered=True) == 1, "and not the test"
        assert outbox.replay_since(webhook, begin, by=BY, until=end, with_delivered=True) == 1
        assert outbox.replay_since(webhook, end, by=BY, with_delivered=True) == 0


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

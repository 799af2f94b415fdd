"""Settings → Webhooks: set up, looked at, switched, tested, replayed by people."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry, Organization
from alerts.models import Webhook, WebhookDelivery
from alerts.webhooks.delivery import deliver
from core.tenancy import organization_scope
from tests.alerts.webhooks.conftest import NewWebhook
from tests.alerts.webhooks.receiver import Receiver, Said
from tests.alerts.webhooks.test_delivery import told

pytestmark = pytest.mark.django_db
BASE = "/o/acme/settings/webhooks/"


def text(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def the_only(acme: Organization) -> Webhook:
    with organization_scope(acme.pk):
        webhook: Webhook = Webhook.objects.get()
    return webhook


def test_one_is_set_up_and_shows_its_secret_once(acme: Organization, adam_client: Client, program: Receiver) -> None:
    assert "No webhooks yet" in text(adam_client.get(BASE))
    refused = adam_client.post(f"{BASE}new/", {"url": "https://10.0.0.1:6379/", "events": ["credits.low"]})
    assert refused.status_code == 422
    assert "Nothing on port 6379 speaks HTTP" in text(refused)
    assert "Choose at least one event" in text(adam_client.post(f"{BASE}new/", {"url": program.url}))
    values = {"url": program.url, "description": "Warehouse", "events": ["credits.low"], "credits_low_threshold": "50"}
    made = adam_client.post(f"{BASE}new/", values)
    secret = re.search(r"whsec_[\w+/=]+", made.content.decode())
    assert secret is not None
    assert "no-store" in made["Cache-Control"]
    webhook = the_only(acme)
    assert (webhook.events, webhook.credits_low_threshold) == (["credits.low"], 50)
    for path in (BASE, f"{BASE}{webhook.pk}/", f"{BASE}{webhook.pk}/change/"):
        page = adam_client.get(path)
        assert "Warehouse" in page.content.decode()
        assert secret[0] not in page.content.decode()
    changed = adam_client.post(f"{BASE}{webhook.pk}/change/", {"url": program.url, "hears_all": "on"}, follow=True)
    assert "Every event" in text(changed)
    assert (the_only(acme).events, the_only(acme).credits_low_threshold) == (["*"], None)


def test_the_log_shows_what_was_sent_and_what_came_back(
    acme: Organization, adam_client: Client, program: Receiver, new_webhook: NewWebhook
) -> None:
    webhook, _ = new_webhook(events=["key.created"])
    page = f"{BASE}{webhook.pk}/"
    assert "No message yet" in text(adam_client.get(page))
    program.answers = [Said(500, {"X-Trace": "t1", "Retry-After": "3600"}, b"<b>broken</b>"), Said()]
    told(acme)
    deliver(acme.pk, webhook.pk)
    assert "Test message on its way" in text(adam_client.post(f"{page}act", {"do": "test"}, follow=True))
    assert 'hx-trigger="every 2s"' in adam_client.get(page).content.decode(), "the test is about to be sent"
    deliver(acme.pk, webhook.pk)
    assert "hx-trigger" not in adam_client.get(page).content.decode().partition('id="log"')[2].partition(">")[0]
    shown = text(adam_client.get(page))
    assert "Tried again" in shown
    assert "It answered 500." in shown
    assert "Failing" not in shown.partition("Messages")[0], "the test was taken"
    assert "Tried again" not in text(adam_client.get(f"{page}?state=delivered"))
    assert "Nothing matches" in text(adam_client.get(f"{page}?type=invoice.paid"))
    assert adam_client.get(f"{page}?cursor=nonsense").status_code == 422
    with organization_scope(acme.pk):
        delivery = WebhookDelivery.objects.get(kind="key.created")
    one = f"{page}messages/{delivery.pk}/"
    detail = adam_client.get(one).content.decode()
    assert "&lt;b&gt;broken&lt;/b&gt;" in detail
    assert "x-trace" in detail
    assert "webhook-signature" in detail
    assert "Sent again" in text(adam_client.post(f"{one}replay", follow=True))
    deliver(acme.pk, webhook.pk)
    assert "Attempt 2" in text(adam_client.get(one))
    assert adam_client.get(f"{BASE}{webhook.pk + 1}/messages/{delivery.pk}/").status_code == 404


def test_switching_rotating_replaying_deleting(
    acme: Organization, adam_client: Client, program: Receiver, new_webhook: NewWebhook
) -> None:
    webhook, secret = new_webhook()
    page = f"{BASE}{webhook.pk}/"
    assert "Disabled" in text(adam_client.post(f"{page}act", {"do": "disable"}, follow=True))
    told(acme)
    assert "Enable it first" in text(adam_client.post(f"{page}act", {"do": "test"}, follow=True))
    assert "Enabled" in text(adam_client.post(f"{page}act", {"do": "enable"}, follow=True))
    assert "Say whether" in text(adam_client.post(f"{page}act", {"do": "explode"}, follow=True))
    since = (dt.datetime.now(acme.zone) - dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    assert "1 message is sent again" in text(adam_client.post(f"{page}replay", {"since": since}, follow=True))
    deliver(acme.pk, webhook.pk)
    assert len(program.got) == 1
    assert "Messages are kept for 30 days" in text(adam_client.post(f"{page}replay", {"since": "2020-01-01T00:00"}))
    rotated = adam_client.post(f"{page}rotate/", {"overlap": "3600"})
    new = re.search(r"whsec_[\w+/=]+", rotated.content.decode())
    assert new is not None
    assert new[0] != secret
    assert "signs beside it until" in text(rotated)
    assert "Webhook deleted" in text(adam_client.post(f"{page}delete/", follow=True))
    with organization_scope(acme.pk):
        assert not Webhook.objects.exists()
        actions = set(AuditEntry.objects.filter(target="webhook").values_list("action", flat=True))
    assert actions == {f"webhook.{act}" for act in ("create", "disable", "enable", "replay", "rotate", "delete")}

"""What happened is told, whoever is killed on the way, and while Redis is away; with one id, however often."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import Celery
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.utils.timezone import now

from accounts.models import Organization
from alerts.models import ToldFact, WebhookDelivery
from alerts.tasks import spread_facts
from alerts.webhooks.claiming import LEASE, with_due
from alerts.webhooks.delivery import deliver
from core.tenancy import organization_scope, unscoped
from tests.alerts.webhooks.conftest import NewWebhook
from tests.alerts.webhooks.receiver import Receiver, Said
from tests.alerts.webhooks.test_delivery import told
from tests.metering.gateway.upstream import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]
NO_REDIS = "redis://127.0.0.1:1/0"
# Tells that a key was made, and is killed as soon as that is committed.
TELLING = """
import os, signal, sys
import django
django.setup()
from django.db import transaction
from alerts.examples import EXAMPLES
from core.facts import Fact, tell
from core.tenancy import organization_scope
with organization_scope(int(sys.argv[1])):
    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    tell(Fact("key.created", int(sys.argv[1]), "key:1", EXAMPLES["key.created"]))
"""


def environ(redis_url: str) -> dict[str, str]:
    """Of a process of the product on this test's database."""
    database = connection.settings_dict
    address = f"postgresql://{database['USER']}:{database['PASSWORD']}@/{database['NAME']}?host={database['HOST']}"
    if database["PORT"]:
        address += f"&port={database['PORT']}"
    own = {
        "DATABASE_URL": address, "REDIS_URL": redis_url, "TOKENLEDGER_EMBEDDED": "off", "DEBUG": "1",
        "WEBHOOKS_ALLOW_PRIVATE": "1", "DJANGO_SETTINGS_MODULE": "config.settings",
    }  # fmt: skip
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | own


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "--pool", "solo", "--loglevel", "ERROR"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ(settings.REDIS_URL))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def broker() -> str:
    """The one config/settings.py makes of it; tests enqueue nowhere themselves."""
    redis = urlsplit(settings.REDIS_URL)
    return f"redis+socket://{redis.path}" if redis.scheme == "unix" else str(settings.REDIS_URL)


def as_beat_does() -> None:
    spread_facts()
    with unscoped("test"):
        found = with_due(now())
    for organization_id, webhook_id in found:
        deliver(organization_id, webhook_id)


def test_killed_between_fact_and_delivery_while_redis_is_away(
    acme: Organization, program: Receiver, new_webhook: NewWebhook
) -> None:
    new_webhook()
    ended = subprocess.run(
        [sys.executable, "-c", TELLING, str(acme.pk)], cwd=ROOT, env=environ(NO_REDIS), check=False, timeout=60
    )
    assert ended.returncode == -signal.SIGKILL
    assert program.got == []
    as_beat_does()
    as_beat_does()
    with organization_scope(acme.pk):
        fact = ToldFact.objects.get()
        assert [one.state for one in WebhookDelivery.objects.all()] == ["delivered"]
    assert program.ids == [f"msg_{fact.public_id.hex}"]


def test_a_worker_killed_while_it_sends(acme: Organization, program: Receiver, new_webhook: NewWebhook) -> None:
    webhook, _ = new_webhook()
    program.answers = [Said(waits=60), Said()]
    told(acme)
    with worker() as process:
        Celery(broker=broker()).send_task("alerts.deliver_webhook", [acme.pk, webhook.pk], queue="tokenledger")
        wait_for(lambda: program.got, 60)
        process.kill()
    as_beat_does()
    assert len(program.got) == 1, "what the worker claimed is its own for a minute"
    with organization_scope(acme.pk):
        WebhookDelivery.objects.update(claimed_until=F("claimed_until") - LEASE)
    as_beat_does()
    assert len(program.ids) == 2
    assert len(set(program.ids)) == 1
    with organization_scope(acme.pk):
        [delivery] = WebhookDelivery.objects.all()
    assert (delivery.state, delivery.attempts_made) == ("delivered", 1)

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from accounts.audit import Actor
from accounts.models import Organization
from alerts.models import Webhook
from alerts.webhooks import records
from core.tenancy import organization_scope
from tests.alerts.webhooks.receiver import Receiver, receiver

BY = Actor.of_command("test")
NewWebhook = Callable[..., tuple[Webhook, str]]


@pytest.fixture
def program(settings: Settings) -> Iterator[Receiver]:
    """A receiver on this machine, and an installation that may be sent to it."""
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    with receiver() as made:
        yield made


@pytest.fixture
def new_webhook(acme: Organization, program: Receiver) -> NewWebhook:
    """new_webhook(events=["key.created"]): a webhook of Acme's that leads to `program`, and its secret."""

    def make(**values: Any) -> tuple[Webhook, str]:
        with organization_scope(acme.pk):
            return records.create(acme, {"url": program.url, "events": ["*"], **values}, by=BY)

    return make

"""Push messages to the devices of who is told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils.timezone import now
from pytest_django.fixtures import Settings

from accounts.models import Organization, User
from alerts.models import PushDevice
from alerts.notices.sending import send_waiting
from tests.alerts.notices.messages import HOUR, move, waiting
from tests.alerts.notices.telling import happen
from tests.alerts.push_service import PushService, push_service


@pytest.fixture
def service(settings: Settings) -> Iterator[PushService]:
    settings.PUSH_ALLOW_PRIVATE_SERVICES = True
    with push_service() as service:
        yield service


def subscribed(client: Client, service: PushService, name: str) -> None:
    body = service.subscription(name)
    assert client.post("/accounts/notifications/subscribe/", body, content_type="application/json").status_code == 201


def test_every_device_of_who_is_told(
    acme: Organization, fiona_client: Client, bob_client: Client, service: PushService
) -> None:
    subscribed(fiona_client, service, "phone")
    subscribed(fiona_client, service, "desk")
    subscribed(bob_client, service, "bobs")
    happen(acme)
    # One e-mail, two devices.
    assert send_waiting() == 3
    assert len(service.received) == 2
    content = service.received[0]
    assert content["title"] == "Support has reached 90% of its budget: $409.70 of $450.00"
    assert content["url"] == "/o/northbound/budgets/"
    assert content["tag"] == "budget.threshold:organization:0"


def test_a_device_in_trouble_and_one_that_is_gone(
    acme: Organization, fiona_client: Client, fiona: User, service: PushService
) -> None:
    subscribed(fiona_client, service, "phone")
    service.answers = [(503, {"Retry-After": "120"}), (410, {})]
    happen(acme)
    send_waiting()
    [row] = waiting(acme)
    assert dt.timedelta(seconds=100) < row.due_at - now() < dt.timedelta(seconds=125)
    assert PushDevice.objects.get().problem == "Its push service answered 503."
    move(acme, HOUR)
    send_waiting()
    assert not PushDevice.objects.exists()
    assert waiting(acme) == []

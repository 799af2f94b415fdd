"""What becomes of a device while its push service is asked."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from alerts.models import PushDevice
from alerts.push import Message
from alerts.push.delivery import TryLaterError, deliver
from tests.alerts.push_service import push_service

CONTENT = Message("Budget at 90%", "Support has used $409.70 of $450.00.", "/o/acme/overview").content


@pytest.mark.parametrize("status", [201, 400, 410, 503])
def test_a_device_removed_meanwhile_stays_removed(
    alice_client: Client, alice: User, settings: Settings, status: int
) -> None:
    settings.PUSH_ALLOW_PRIVATE_SERVICES = True
    with push_service() as service:
        service.answers = [(status, {})]
        path = "/accounts/notifications/subscribe/"
        assert alice_client.post(path, service.subscription(), content_type="application/json").status_code == 201
        device = PushDevice.objects.get(user=alice)
        PushDevice.objects.filter(pk=device.pk).delete()
        try:
            deliver(device, CONTENT)
        except TryLaterError:
            assert status == 503
        assert len(service.received) == 1
    assert not PushDevice.objects.exists()

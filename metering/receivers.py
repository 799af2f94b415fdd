"""What metering does when accounts says that something changed: it enqueues."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from accounts.signals import organization_zone_changed
from metering.tasks import enqueue, follow_zone


@receiver(organization_zone_changed)
def keep_rollups_in_the_new_zone(organization_id: int, **_: Any) -> None:
    enqueue(follow_zone, organization_id)

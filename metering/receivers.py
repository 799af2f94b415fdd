"""What metering does when accounts says that something changed: it enqueues."""

from __future__ import annotations

from typing import Any

import structlog
from django.dispatch import receiver
from kombu.exceptions import OperationalError

from accounts.signals import organization_zone_changed
from metering.tasks import follow_zone

logger = structlog.get_logger(__name__)


@receiver(organization_zone_changed)
def keep_rollups_in_the_new_zone(organization_id: int, **_: Any) -> None:
    try:
        follow_zone.delay(organization_id)
    except OperationalError:
        # The queue is away. Beat's follow_zones will see the difference.
        logger.warning("zone_change_not_enqueued", organization_id=organization_id)

"""What reports does when metering says that usage was recorded: it enqueues a hint for those who watch."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from metering.signals import usage_recorded
from reports.live.hints import announce


@receiver(usage_recorded)
def hint_at_new_usage(organization_ids: set[int], **_: Any) -> None:
    announce(organization_ids)

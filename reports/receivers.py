"""What reports does when usage was recorded, or somebody was told something: it enqueues a hint for those who watch."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from alerts.signals import inbox_changed
from metering.signals import usage_recorded
from reports.live.hints import announce, announce_inboxes


@receiver(usage_recorded)
def hint_at_new_usage(organization_ids: set[int], **_: Any) -> None:
    announce(organization_ids)


@receiver(inbox_changed)
def hint_at_new_messages(user_ids: list[int], **_: Any) -> None:
    announce_inboxes(user_ids)

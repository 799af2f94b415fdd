"""What alerts does about facts: it keeps them where they happened, and enqueues their spreading."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from alerts import facts
from alerts.evaluation import tasks  # noqa: F401  (workers find its tasks here)
from alerts.evaluation.touching import touch
from alerts.tasks import spread_fact
from core.facts import Fact
from core.signals import fact_happened
from metering.signals import usage_recorded
from metering.tasks import enqueue


@receiver(fact_happened)
def keep_the_fact(fact: Fact, **_: Any) -> None:
    kept = facts.keep(fact)
    if kept is not None:
        enqueue(spread_fact, kept.organization_id, kept.pk)


@receiver(usage_recorded)
def judge_new_usage(organization_ids: set[int], **_: Any) -> None:
    touch(organization_ids)

"""What alerts does about facts: it keeps them where they happened, and enqueues their spreading."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from alerts import facts
from alerts.tasks import spread_fact
from core.facts import Fact
from core.signals import fact_happened
from metering.tasks import enqueue


@receiver(fact_happened)
def keep_the_fact(fact: Fact, **_: Any) -> None:
    kept = facts.keep(fact)
    if kept is not None:
        enqueue(spread_fact, kept.organization_id, kept.pk)

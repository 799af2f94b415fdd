"""Calls suspended for what is not paid, as a row of metering's: the gateway refuses with 402.

What is reported to the ledger goes on being recorded, and everything can be read.
"""

from __future__ import annotations

import datetime as dt

from django.utils.timezone import now

from accounts.models import Organization
from billing.dunning.course import suspended_numbers
from core.periods import local_day
from metering.models import Limit, LimitKind, LimitPeriod, LimitUnit

SOURCE = "payment"


def push_suspension(organization_id: int, at: dt.datetime | None = None) -> None:
    """Make metering's row what the facts say. Needs the organization's scope; writes only what differs."""
    numbers = suspended_numbers()
    present = Limit.objects.filter(source=SOURCE).first()
    if not numbers:
        if present is not None:
            present.delete()
        return
    label = f"Calls are suspended: {', '.join(numbers[:3])} {'is' if len(numbers) == 1 else 'are'} not paid"
    if present is None:
        zone = Organization.objects.get(pk=organization_id).zone
        Limit.objects.create(
            organization_id=organization_id,
            source=SOURCE,
            kind=LimitKind.PAYMENT,
            label=label,
            unit=LimitUnit.TOKENS,
            amount=0,
            period=LimitPeriod.FIXED,
            starts_on=local_day(at or now(), zone),
        )
    elif present.label != label:
        Limit.objects.filter(pk=present.pk).update(label=label)

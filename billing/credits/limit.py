"""What credits mean for calls, pushed to metering as a row: the gateway refuses with 402 what they do not pay for.

The row's amount is the balance and what was taken since its first day; metering subtracts what usage cost since then.
So what remains is exact at every moment, settled or not, and settling changes nothing about it.
"""

from __future__ import annotations

import datetime as dt

from django.utils.timezone import now

from billing.contracts import Contract
from billing.credits import ledger
from billing.credits.settlement import owed, taken_nanos
from metering.models import Limit, LimitKind, LimitPeriod, LimitUnit

SOURCE = "credits"


def push_credits(contract: Contract, at: dt.datetime | None = None) -> None:
    """Make metering's row what the wallet says; none where calls are not paid with credits. Needs the scope."""
    at = at or now()
    owing = list(owed(contract, at))
    if not owing or owing[-1][0].ends_on is not None:
        Limit.objects.filter(source=SOURCE).delete()
        return
    present = owing[-1][0]
    of_earlier = sum(nanos for _, nanos in owing[:-1])
    amount = max(0, ledger.balance_nanos() + taken_nanos(present) - of_earlier)
    fields = {
        "kind": LimitKind.CREDITS,
        "label": "Your credits",
        "unit": LimitUnit.COST,
        "amount": amount,
        "period": LimitPeriod.FIXED,
        "starts_on": present.starts_on,
        "ends_on": None,
        "is_active": True,
    }
    limit = Limit.objects.filter(source=SOURCE).first()
    if limit is None:
        Limit.objects.create(organization_id=contract.organization_id, source=SOURCE, **fields)
    elif any(getattr(limit, name) != value for name, value in fields.items()):
        Limit.objects.filter(pk=limit.pk).update(**fields)

"""All that an organization's plan, credits and debts mean for its calls, pushed to metering at once."""

from __future__ import annotations

import datetime as dt

from billing.allowances import push_limits
from billing.contracts import Contract
from billing.credits.limit import push_credits
from billing.dunning.suspension import push_suspension


def enforce(contract: Contract, at: dt.datetime | None = None) -> None:
    """Needs the organization's scope; writes only what differs."""
    push_limits(contract, at)
    push_credits(contract, at)
    push_suspension(contract.organization_id, at)

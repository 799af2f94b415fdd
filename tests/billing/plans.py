"""Organizations on plans, for tests."""

from __future__ import annotations

import datetime as dt
from typing import Any

from accounts.audit import Actor
from accounts.models import Organization
from billing.contracts import Contract
from billing.subscriptions import start_subscription
from core.tenancy import organization_scope
from metering.models import Limit, RateLimit

BY = Actor.of_command("test")
# A Wednesday in the middle of a month of 30 days; noon in Berlin.
MID_NOVEMBER = dt.datetime(2026, 11, 11, 11, tzinfo=dt.UTC)


def on(day: str) -> dt.datetime:
    """Noon of a day, in UTC."""
    return dt.datetime.combine(dt.date.fromisoformat(day), dt.time(12), dt.UTC)


def subscribed(organization: Organization, code: str, at: dt.datetime = MID_NOVEMBER, **fields: Any) -> Contract:
    return start_subscription(organization, code, by=BY, at=at, **fields)


def allowances(organization: Organization) -> list[tuple[str, str, int | None, bool]]:
    """Rows pushed to metering: from, until before, tokens, whether it refuses."""
    with organization_scope(organization.pk):
        rows = Limit.objects.filter(source__startswith="plan:").order_by("starts_on")
        return [(str(row.starts_on), str(row.ends_on), row.amount, row.is_hard) for row in rows]


def rates(organization: Organization) -> tuple[int | None, int | None]:
    with organization_scope(organization.pk):
        found: tuple[int | None, int | None] = RateLimit.objects.values_list(
            "requests_per_minute", "tokens_per_minute"
        ).get()
        return found

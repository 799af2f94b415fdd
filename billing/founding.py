"""An organization begins with a plan: accounts calls this in the transaction that founds it (billing/apps.py)."""

from __future__ import annotations

from accounts.audit import Actor
from accounts.models import Organization
from billing.plans import DEFAULT_PLAN
from billing.subscriptions import start_subscription


def subscribe(organization: Organization, plan: str | None, by: Actor) -> None:
    start_subscription(organization, plan or DEFAULT_PLAN, by=by, at=organization.created_at)

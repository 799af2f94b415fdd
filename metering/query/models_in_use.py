"""Names of models for a field that takes one: those in use first, as the price book reads them."""

from __future__ import annotations

import datetime as dt

from django.utils.timezone import now

from accounts.models import Membership
from accounts.permissions import Right, may
from metering.pricing.aliases import provider_in_name
from metering.pricing.api import effective_prices
from metering.query.run import run
from metering.query.spec import UsageQuery

RECENT = dt.timedelta(days=90)
MOST_USED = 12


def used_models(membership: Membership) -> list[str]:
    """The models a member may know to be in use, the most used first."""
    organization = membership.organization
    at = now()
    query = UsageQuery(
        organization_id=organization.pk,
        start=at - RECENT,
        end=at,
        zone=organization.zone,
        group_by=("model", "provider"),
        filters={} if may(membership.role, Right.SEE_USAGE) else {"member": (membership.pk,)},
        metrics=("requests",),
        order_by=("-requests",),
        limit=MOST_USED,
    )
    rows = run(query).rows
    return list(dict.fromkeys(_name(row.group["provider"].label, row.group["model"].label or "") for row in rows))


def known_models(used: list[str]) -> list[str]:
    """Those in use, then every model with a price today."""
    priced = effective_prices(now()).prefetch_related(None)
    rows = priced.order_by("provider", "model").values_list("provider", "model")
    return list(dict.fromkeys([*used, *(f"{provider}/{model}" if provider else model for provider, model in rows)]))


def _name(provider: str | None, model: str) -> str:
    """Together with its provider, where the price book reads it so."""
    together = f"{provider}/{model}"
    return together if provider and provider_in_name(together) else model

"""All that bounds an organization's calls, read at once for the edge's memory."""

from __future__ import annotations

import msgspec

from core.tenancy import organization_scope
from metering.limits.rates import Rate
from metering.limits.rules import Rules
from metering.models import RateLimit


class Policy(msgspec.Struct, frozen=True):
    """`caps` are what calls may use in a period, `rate` how fast."""

    caps: Rules
    rate: Rate


def read_limits(organization_id: int) -> Policy:
    """For metering.keyring.Keyring.about."""
    with organization_scope(organization_id):
        caps = Rules.load(organization_id)
        bounds = RateLimit.objects.values_list("requests_per_minute", "tokens_per_minute").first()
    return Policy(caps, Rate(*(bounds or (None, None))))

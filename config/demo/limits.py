"""What the demo's people may use beside the plan's allowance: limits as budgets write them."""

from __future__ import annotations

from decimal import Decimal

from accounts.models import Membership, Organization, Team
from core.money import nanos_from_usd
from core.tenancy import organization_scope
from metering.models import Limit, LimitKind, LimitUnit

# Budgets of a month, in dollars: a team's slug → amount.
TEAM_BUDGETS = {"search": Decimal(18), "support": Decimal(13), "marketing": Decimal(6)}
BOBS_TOKENS = 4_500_000


def create(organization: Organization) -> None:
    """A budget for some teams, and a cap for one member."""
    with organization_scope(organization.pk):
        team_ids = dict(Team.objects.values_list("slug", "pk"))
        bob = Membership.objects.get(user__email="bob@northbound.test")
        limits = [
            *(
                Limit(kind=LimitKind.BUDGET, source=f"budget:team:{slug}", label=f"Budget of {slug.capitalize()}",
                      unit=LimitUnit.COST, amount=nanos_from_usd(dollars), team_id=team_ids[slug])
                for slug, dollars in TEAM_BUDGETS.items()
            ),
            Limit(kind=LimitKind.BUDGET, source="budget:member:bob", label="Bob's tokens", unit=LimitUnit.TOKENS,
                  amount=BOBS_TOKENS, member_id=bob.pk),
        ]  # fmt: skip
        for limit in limits:
            limit.organization = organization
        Limit.objects.bulk_create(limits)

"""What the demo's people mean to spend: most of it holds, something is nearly used up."""

from __future__ import annotations

from typing import Any

from accounts.audit import Actor
from accounts.models import APIKey, Membership, Organization, Project, Team
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from billing.models import Budget
from core.money import NANOS_PER_USD
from core.tenancy import organization_scope

BY = Actor.of_command("demo")
ORGANIZATION_USD = 80
# A team's slug: dollars a month, and who answers for it.
TEAMS = {
    "search": (31, "bob"),
    "support": (20, "alice"),
    "marketing": (10, "carol"),
    "platform": (3, "david"),
    "research": (14, "priya"),
}
EVALS_TOKENS, BOBS_TOKENS, NIGHTLY_USD = 4_200_000, 4_500_000, 3


def create(organization: Organization) -> None:
    """Budgets of teams, soft; and caps in tokens and dollars that hold."""
    with organization_scope(organization.pk):
        members = {one.user.email.split("@")[0]: one for one in Membership.objects.select_related("user")}
        for values in (
            {"scope": "organization", "amount": ORGANIZATION_USD * NANOS_PER_USD, "owner": members["fiona"]},
            *(_of_team(slug, dollars, members[short]) for slug, (dollars, short) in TEAMS.items()),
            {"scope": "project", "ref": Project.objects.get(slug="evals").pk, "amount": EVALS_TOKENS, "unit": "tokens",
             "is_hard": True, "owner": members["priya"]},
            {"scope": "member", "ref": members["bob"].pk, "name": "Bob's tokens", "amount": BOBS_TOKENS,
             "unit": "tokens", "is_hard": True},
            {"scope": "api_key", "ref": APIKey.objects.get(name="batch-nightly").pk,
             "amount": NIGHTLY_USD * NANOS_PER_USD, "is_hard": True},
        ):  # fmt: skip
            create_budget(organization, values, Reach.whole(), by=BY)
        # They were there for the months that are told of.
        Budget.objects.update(created_at=organization.created_at)


def _of_team(slug: str, dollars: int, owner: Membership) -> dict[str, Any]:
    ref = Team.objects.get(slug=slug).pk
    return {"scope": "team", "ref": ref, "amount": dollars * NANOS_PER_USD, "owner": owner}

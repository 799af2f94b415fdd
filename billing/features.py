"""What an organization's plan includes beside tokens."""

from __future__ import annotations

from django.utils.timezone import now

from accounts.models import Organization
from billing.contracts import Contract
from billing.models import Feature
from billing.plans import versions_on
from core.periods import local_day
from core.tenancy import unscoped


def includes(organization: Organization, feature: str) -> bool:
    """Whether the organization may use a feature today. Without a plan nothing is withheld."""
    if feature not in Feature.values:
        raise ValueError(f"{feature!r} is no feature of a plan")
    contract = Contract.load(organization)
    if contract is None:
        return True
    version = contract.version_on(contract.today())
    return version is None or feature in version.features


def plans_including(organization: Organization, feature: str) -> list[str]:
    """The names of plans with a feature, as they are today, in the order of the list."""
    with unscoped("plans are nobody's"):
        plans = versions_on(local_day(now(), organization.zone)).values()
    return [plan.name for plan in plans if feature in plan.features]

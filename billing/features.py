"""What an organization's plan includes beside tokens."""

from __future__ import annotations

from accounts.models import Organization
from billing.contracts import Contract
from billing.models import Feature


def includes(organization: Organization, feature: str) -> bool:
    """Whether the organization may use a feature today. Without a plan nothing is withheld."""
    if feature not in Feature.values:
        raise ValueError(f"{feature!r} is no feature of a plan")
    contract = Contract.load(organization)
    if contract is None:
        return True
    version = contract.version_on(contract.today())
    return version is None or feature in version.features

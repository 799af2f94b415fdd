"""What a page of an organization may rely on its request to carry."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.audit import Actor
from accounts.models import Impersonation, Membership, Organization, Role, User


class OrganizationRequest(HttpRequest):
    """A request under /o/<organization>/, as OrganizationMiddleware hands it to a view."""

    user: User
    id: str
    htmx: HtmxDetails
    organization: Organization
    membership: Membership
    role: Role
    actor: Actor
    # Only while an operator is in a member's place (accounts/impersonation.py).
    impersonation: Impersonation
    operator: User

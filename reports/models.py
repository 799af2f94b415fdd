"""What people keep of the pages: named views, where a person lands, and what a diagnosis found."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now

from accounts.models import Membership, Organization
from core.tenancy import TenantModel


class SavedView(TenantModel):
    """A page in a certain state, under a name: its owner's alone, or offered to everybody in the organization."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    owner = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    # The page's word in the address, and its parameters: {"range": ["7d"], "model": ["gpt-4o"]}
    page = models.CharField(max_length=40)
    parameters: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now)
    changed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint("owner", Lower("name"), name="saved_view_name_once")]

    def __str__(self) -> str:
        return self.name


class StartPage(TenantModel):
    """The view a person lands on in an organization, in the place of the overview."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    membership = models.OneToOneField(Membership, models.CASCADE, related_name="+")
    view = models.ForeignKey(SavedView, models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"{self.membership_id} lands on {self.view_id}"

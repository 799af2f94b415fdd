"""Comparisons that were kept: what some usage would have cost elsewhere, as it was told at one instant."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now

from accounts.models import Membership, Organization, Team
from core.tenancy import TenantModel


class KeptComparison(TenantModel):
    """Figures under a name, with all that they were made of; nothing of it changes any more.

    Whose usage it holds says who may see it: `of_member`'s alone, `of_team`'s, or everybody's when both are empty;
    `rights` are needed beside that (accounts.permissions.Right).
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    kept_by = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    of_member = models.ForeignKey(Membership, models.CASCADE, null=True, related_name="+")
    of_team = models.ForeignKey(Team, models.CASCADE, null=True, related_name="+")
    rights: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    name = models.CharField(max_length=80)
    kept_at = models.DateTimeField(default=now)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    timezone = models.CharField(max_length=64)
    # {"model": ["gpt-4o", null]}, as a query has them
    filters: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    # {"gpu_hour_usd": "2.5", …}, as an address has them
    gpus: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict)
    # reports.comparison_records.Kept
    figures: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint("kept_by", Lower("name"), name="kept_comparison_name_once")]
        indexes = [models.Index(fields=["organization", "-kept_at"], name="kept_comparison_by_time")]

    def __str__(self) -> str:
        return self.name

"""What the last proofs found."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import TenantModel


class Proof(TenantModel):
    """The last proof of one month of an organization (metering/prove.py)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    month = models.DateField()
    proved_at = models.DateTimeField(default=now)
    # Set while one is under way.
    requested_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(default=0)
    is_proved = models.BooleanField(default=False)
    events = models.BigIntegerField(default=0)
    # metering.prove.MonthProof
    result: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    proved_by_label = models.CharField(max_length=254, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "month"], name="proof_once_a_month")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"

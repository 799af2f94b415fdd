"""What the doors refused."""

from __future__ import annotations

from django.db import models

from accounts.models import Organization
from core.tenancy import TenantModel


class Refusal(TenantModel):
    """How often a key was refused for a reason on a day of UTC (metering/refused.py). Rows of deleted keys stay."""

    pk = models.CompositePrimaryKey("organization_id", "api_key_id", "day", "code")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    api_key_id = models.PositiveIntegerField()
    day = models.DateField()
    code = models.CharField(max_length=60)
    count = models.BigIntegerField()
    last_at = models.DateTimeField()
    # Of the last one.
    message = models.CharField(max_length=300)

    def __str__(self) -> str:
        return f"{self.code} × {self.count}"


class RefusedQuarter(TenantModel):
    """How often a key was refused for coming too fast, in the quarter hour from `quarter`: any zone's hours are whole
    ones of them."""

    pk = models.CompositePrimaryKey("organization_id", "api_key_id", "quarter")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    api_key_id = models.PositiveIntegerField()
    quarter = models.DateTimeField()
    count = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.count} at {self.quarter}"

"""Organizations whose calls the operator suspended by hand."""

from __future__ import annotations

from django.db import models

from accounts.models import Organization
from core.tenancy import TenantModel


class Suspension(TenantModel):
    """From when to when calls were refused, and why; one at a time. It is ended, never removed."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    # What members and refused calls are told.
    reason = models.CharField(max_length=200)
    begun_at = models.DateTimeField()
    begun_by_label = models.CharField(max_length=254)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by_label = models.CharField(max_length=254, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=models.Q(ended_at=None), name="suspended_once_at_a_time"
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None) | models.Q(ended_at__gte=models.F("begun_at")),
                name="suspension_ends_after",
            ),
        ]

    def __str__(self) -> str:
        return self.reason

"""Exports of providers that were held against the ledger."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from accounts.models import Organization
from core.tenancy import TenantModel


class ProviderStatement(TenantModel):
    """An upload, as what it says by day and model; the comparison is made anew whenever it is looked at."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    file_name = models.CharField(max_length=200)
    # SHA-256 of the file: the same export again is the same row.
    digest = models.CharField(max_length=64)
    provider = models.CharField(max_length=60)
    first_day = models.DateField()
    last_day = models.DateField()
    # Percent by which two sides may differ and still agree.
    tolerance = models.DecimalField(max_digits=4, decimal_places=2)
    # Rows of billing.reconciliation.statement.Stated, summed by day and model.
    rows = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())
    created_by_label = models.CharField(max_length=254)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "digest"], name="provider_statement_once"),
            models.CheckConstraint(
                condition=models.Q(tolerance__gte=0, tolerance__lte=50), name="provider_statement_tolerance"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} of {self.provider}"

"""The ledger's own small tables. Events and roll-ups are no models: metering/store and metering/query own them."""

from __future__ import annotations

from django.db import models

from accounts.models import Organization
from core.tenancy import TenantModel


class Label(TenantModel):
    """A text that events are told apart by (model, feature, …), kept once and referred to by number.

    `slot` is the color a chart gives it, from 1 to 10: the one it first got, wherever it ranks later.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    kind = models.PositiveSmallIntegerField()
    text = models.CharField(max_length=200)
    slot = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "kind", "text"], name="label_once")]

    def __str__(self) -> str:
        return self.text


class Ledger(TenantModel):
    """In which zone an organization's roll-ups are kept. Follows the organization's, as soon as they are rebuilt."""

    organization = models.OneToOneField(Organization, models.CASCADE, primary_key=True, related_name="+")
    timezone = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.organization_id} in {self.timezone}"

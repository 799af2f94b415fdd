"""What happened and is to be told: written in the transaction of what happened, handed to the channels behind it."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now

from accounts.models import Organization
from core.tenancy import TenantModel


class ToldFact(TenantModel):
    """A `core.facts.Fact`, kept. Only `spread_at` ever changes: when every channel has what it will send of it."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    # Programs know it by this one, in every attempt to tell them.
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=60)
    key = models.CharField(max_length=200)
    data = models.JSONField()
    scope = models.CharField(max_length=20)
    ref = models.PositiveIntegerField(default=0)
    people = models.JSONField(default=list)
    happened_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())
    spread_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "kind", "key"], name="fact_is_told_once")]
        indexes = [
            models.Index(fields=["recorded_at"], condition=models.Q(spread_at=None), name="fact_to_spread"),
            models.Index(fields=["organization", "-happened_at", "-id"], name="fact_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"

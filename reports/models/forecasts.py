"""What is likely to be used, as it was said last, with what it was made of."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import TenantModel


class ForecastScope(models.TextChoices):
    """Whose usage has forecasts of its own; a budget's where no single dimension tells it apart."""

    ORGANIZATION = "organization", "Organization"
    TEAM = "team", "Team"
    PROJECT = "project", "Project"
    MODEL = "model", "Model"
    MEMBER = "member", "Member"
    BUDGET = "budget", "Budget"


class ForecastMeasure(models.TextChoices):
    COST = "cost", "Cost"
    TOKENS = "tokens", "Tokens"


class Forecast(TenantModel):
    """The last forecast of one scope's usage in one measure, in tokens or nano-dollars; without days, there was too
    little history for one. Made anew each day, in the place of the one before (reports/forecasting/records.py).
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    # Of ForecastScope, or any dimension of usage by its name
    scope = models.CharField(max_length=12)
    # The entity's id or the text's label; 0 is the organization, or usage without a value of the dimension.
    ref = models.PositiveIntegerField(default=0)
    measure = models.CharField(max_length=6, choices=ForecastMeasure.choices)
    made_at = models.DateTimeField(default=now)
    # The day it was made on, the first that is forecast, in this zone.
    first_day = models.DateField()
    timezone = models.CharField(max_length=64)
    # [low, likely, high] of each day, and of all days up to each
    days: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)
    totals: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)
    method = models.TextField(blank=True)
    basis = models.TextField(blank=True)
    # reports.forecasting.outlook.Measured
    measured: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True)
    # reports.forecasting.horizons.Horizon of one day ahead, of two, …
    horizons: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)
    # Of what is not had again from the history by whoever reads it: its trials, in msgpack, compressed by zstd
    trials = models.BinaryField(null=True)
    # What each day had from this one on, as it was known then: all that the forecast and its back-test are made of
    history_from = models.DateField()
    history: models.JSONField[list[int], list[int]] = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "scope", "ref", "measure"], name="forecast_once")
        ]

    def __str__(self) -> str:
        return f"{self.measure} of {self.scope} {self.ref} from {self.first_day}"

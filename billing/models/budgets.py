"""What is meant to be spent, by whom; and what was said when it was."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now

from accounts.models import Membership, Organization
from core.days import within_years
from core.periods import FIRST_DAY, LAST_DAY
from core.tenancy import TenantModel
from metering.models import LimitUnit


class BudgetScope(models.TextChoices):
    """Whose usage counts, by the dimensions' names."""

    ORGANIZATION = "organization", "Organization"
    DEPARTMENT = "department", "Department"
    TEAM = "team", "Team"
    PROJECT = "project", "Project"
    MEMBER = "member", "Member"
    API_KEY = "api_key", "API key"


class BudgetPeriod(models.TextChoices):
    MONTH = "month", "Calendar month"
    CUSTOM = "custom", "Own dates"


def default_thresholds() -> list[dict[str, Any]]:
    return [
        {"percent": 75, "name": "warning"},
        {"percent": 90, "name": "caution"},
        {"percent": 95, "name": "critical"},
    ]


class Budget(TenantModel):
    """An amount in tokens or nano-dollars for a month, each month anew, or for dates of its own.

    It counts the usage of `scope` (`ref` is the entity's id, 0 for the organization), of one model or feature where
    they are given. What is left of a month is not carried over.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    name = models.CharField(max_length=120, blank=True)
    scope = models.CharField(max_length=12, choices=BudgetScope.choices)
    ref = models.PositiveIntegerField(default=0)
    model = models.CharField(max_length=200, blank=True)
    feature = models.CharField(max_length=200, blank=True)
    period = models.CharField(max_length=6, choices=BudgetPeriod.choices, default=BudgetPeriod.MONTH)
    # Days of the organization's zone, half-open; of a custom period.
    starts_on = models.DateField(null=True, blank=True, validators=[within_years])
    ends_on = models.DateField(null=True, blank=True, validators=[within_years])
    unit = models.CharField(max_length=6, choices=LimitUnit.choices, default=LimitUnit.COST)
    amount = models.BigIntegerField()
    # [{"percent": 75, "name": "warning"}, …], ascending.
    thresholds = models.JSONField(default=default_thresholds, blank=True)
    # Whether calls are refused beyond it; else it is only told.
    is_hard = models.BooleanField(default=False)
    owner = models.ForeignKey(Membership, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    created_by_label = models.CharField(max_length=254)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="budget_is_of_something"),
            models.CheckConstraint(
                condition=models.Q(scope="organization", ref=0) | ~models.Q(scope="organization") & models.Q(ref__gt=0),
                name="budget_names_whose_it_is",
            ),
            models.CheckConstraint(
                condition=models.Q(period="month", starts_on=None, ends_on=None)
                | models.Q(period="custom", starts_on__isnull=False, ends_on__gt=models.F("starts_on")),
                name="budget_has_its_period",
            ),
            # A day that cannot be told in the organization's zone would stop whoever asks for its usage.
            models.CheckConstraint(
                condition=models.Q(starts_on=None) | models.Q(starts_on__gte=FIRST_DAY, ends_on__lte=LAST_DAY),
                name="budget_of_known_years",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"Budget {self.pk}"


class BudgetCrossing(TenantModel):
    """A budget's threshold was reached: once a period. Rows are only ever added."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    budget = models.ForeignKey(Budget, models.PROTECT, related_name="crossings")
    period_starts_on = models.DateField()
    percent = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    # As they were then, in the budget's unit.
    amount = models.BigIntegerField()
    actual = models.BigIntegerField()
    crossed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "period_starts_on", "percent"], name="budget_threshold_once_a_period"
            )
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.budget_id}"

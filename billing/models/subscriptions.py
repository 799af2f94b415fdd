"""Who is on which plan since when, as the decisions that were made about it."""

from __future__ import annotations

from django.db import models

from accounts.models import Organization
from billing.models.plans import Plan
from core.tenancy import TenantModel


class Subscription(TenantModel):
    """When an organization's periods begin. An organization without one is on no plan: nothing bounds or charges it."""

    organization = models.OneToOneField(Organization, models.CASCADE, primary_key=True, related_name="+")
    # A month without that day begins its period on its last one.
    anchor_day = models.PositiveSmallIntegerField(default=1)
    started_on = models.DateField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(anchor_day__gte=1, anchor_day__lte=31), name="subscription_anchor_is_a_day"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} since {self.started_on}"


class ChangeKind(models.TextChoices):
    START = "start", "Started"
    TRIAL = "trial", "Trial started"
    UPGRADE = "upgrade", "Upgraded"
    DOWNGRADE = "downgrade", "Downgraded"
    CANCEL = "cancel", "Canceled"
    RESUME = "resume", "Resumed"
    EXTEND = "extend", "Trial extended"


class SubscriptionChange(TenantModel):
    """A decision: from a day on, this plan. A later decision holds over an earlier one. Rows are only ever added."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=9, choices=ChangeKind.choices)
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+")
    # Nothing is charged for such days, and what is over the allowance is refused.
    is_trial = models.BooleanField(default=False)
    # A day of the organization's zone.
    effective_on = models.DateField()
    decided_at = models.DateTimeField()
    decided_by_label = models.CharField(max_length=254)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "number"], name="subscription_change_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.effective_on}"

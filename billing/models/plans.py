"""What is sold: plans, each of them a row a version."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Overage(models.TextChoices):
    """What becomes of tokens over the allowance."""

    REFUSE = "refuse", "Refused"
    CHARGE = "charge", "Charged at model prices"
    # Nothing is included: each call is paid with credits, and refused without.
    CREDITS = "credits", "Paid with credits"


class Feature(models.TextChoices):
    TEAM_USAGE = "team_usage", "Team usage"


class Plan(models.Model):
    """A tier. All that can be said of it is in its versions."""

    code = models.SlugField(max_length=40, unique=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.code


class PlanVersion(models.Model):
    """What a plan is from a day on, until another version's day. Rows are only ever added."""

    plan = models.ForeignKey(Plan, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    effective_on = models.DateField()
    name = models.CharField(max_length=60)
    # Where it stands in the list, cheapest first.
    position = models.PositiveSmallIntegerField()
    # Whether organizations may choose it themselves; others are agreed with the operator.
    is_offered = models.BooleanField()
    # A period's fee in nano-dollars.
    base_fee_nanos = models.BigIntegerField()
    # Tokens a period; null is unlimited.
    allowance_tokens = models.BigIntegerField(null=True, blank=True)
    overage = models.CharField(max_length=7, choices=Overage.choices)
    # Null is unlimited.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    features = ArrayField(models.CharField(max_length=40, choices=Feature.choices), default=list, blank=True)
    trial_days = models.PositiveSmallIntegerField(default=0)
    made_at = models.DateTimeField(db_default=Now())
    made_by_label = models.CharField(max_length=254)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="plan_version_once"),
            models.CheckConstraint(
                condition=models.Q(base_fee_nanos__gte=0)
                & (models.Q(allowance_tokens=None) | models.Q(allowance_tokens__gte=0)),
                name="plan_version_not_negative",
            ),
            models.CheckConstraint(
                condition=~models.Q(overage="credits") | models.Q(allowance_tokens=0),
                name="plan_version_paid_with_credits_includes_nothing",
            ),
        ]

    def __str__(self) -> str:
        return self.name

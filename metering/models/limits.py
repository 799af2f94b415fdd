"""What may be used, how fast, and what is set aside for calls that are under way."""

from __future__ import annotations

from django.contrib.postgres.functions import TransactionNow
from django.db import models

from accounts.models import Organization
from core.periods import FIRST_DAY, LAST_DAY
from core.tenancy import TenantModel


class LimitKind(models.TextChoices):
    ALLOWANCE = "allowance", "Allowance"
    BUDGET = "budget", "Budget"
    CREDITS = "credits", "Credits"
    # What is owed: calls are let through when it is paid.
    PAYMENT = "payment", "Payment"
    # The operator's word, until they take it back.
    SUSPENDED = "suspended", "Suspended"


# Kinds that refuse every call, whatever was used.
REFUSING_KINDS = frozenset({LimitKind.PAYMENT, LimitKind.SUSPENDED})


class LimitUnit(models.TextChoices):
    TOKENS = "tokens", "Tokens"
    COST = "cost", "Cost"


class LimitPeriod(models.TextChoices):
    MONTH = "month", "Calendar month"
    FIXED = "fixed", "Fixed dates"


class Limit(TenantModel):
    """A cap that no admitted call may pass, if it is hard. Who sells or budgets pushes it; metering asks nobody.

    `amount` is tokens or nano-dollars: null is unlimited, 0 blocks. It counts the calls that all selectors match
    (0 and "" match any), in the calendar month or from `starts_on` until before `ends_on` (null: open end), days being
    those of the organization's zone. Credits are such a row too: `amount` is all that was granted, used is the cost
    since `starts_on`.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=9, choices=LimitKind.choices)
    # Who wrote it and will write it again: "plan", "budget:17".
    source = models.CharField(max_length=80)
    # What a refusal calls it.
    label = models.CharField(max_length=120)
    unit = models.CharField(max_length=6, choices=LimitUnit.choices)
    amount = models.BigIntegerField(null=True, blank=True)
    period = models.CharField(max_length=5, choices=LimitPeriod.choices, default=LimitPeriod.MONTH)
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)
    project_id = models.PositiveIntegerField(default=0)
    team_id = models.PositiveIntegerField(default=0)
    department_id = models.PositiveIntegerField(default=0)
    member_id = models.PositiveIntegerField(default=0)
    api_key_id = models.PositiveIntegerField(default=0)
    model = models.CharField(max_length=200, blank=True, default="")
    feature = models.CharField(max_length=200, blank=True, default="")
    # One that is not is only told of: what is beyond it is charged.
    is_hard = models.BooleanField(default=True, db_default=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "source"], name="limit_once_a_source"),
            models.CheckConstraint(
                condition=models.Q(amount__isnull=True) | models.Q(amount__gte=0), name="limit_amount_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(period="month", starts_on=None, ends_on=None)
                | models.Q(period="fixed", starts_on__isnull=False)
                & (models.Q(ends_on=None) | models.Q(ends_on__gt=models.F("starts_on"))),
                name="limit_has_its_period",
            ),
            models.CheckConstraint(
                condition=models.Q(starts_on=None)
                | models.Q(starts_on__gte=FIRST_DAY, starts_on__lte=LAST_DAY)
                & (models.Q(ends_on=None) | models.Q(ends_on__lte=LAST_DAY)),
                name="limit_of_known_years",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="credits") | models.Q(unit="cost"), name="limit_credits_are_money"
            ),
        ]

    def __str__(self) -> str:
        return self.label


class RateLimit(TenantModel):
    """How fast an organization may call, all of its keys together; null is unlimited, 0 blocks."""

    organization = models.OneToOneField(Organization, models.CASCADE, primary_key=True, related_name="+")
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.requests_per_minute} requests, {self.tokens_per_minute} tokens a minute"


class HoldSource(models.TextChoices):
    GATEWAY = "gateway", "Gateway"
    ADMISSION = "admission", "Admission"


class Hold(TenantModel):
    """What one admitted call may use at most, set aside until it is settled, released, or given up for lost.

    `estimate` is all that makes it an event (metering.limits.holds.Estimate), for the case that nobody settles it.
    """

    # Time-ordered, so that neighbors in the index are neighbors in time.
    id = models.UUIDField(primary_key=True)
    # No constraint: its check would lock the organization's row for every call there is.
    organization = models.ForeignKey(
        Organization, models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    event_id = models.CharField(max_length=200)
    source = models.CharField(max_length=9, choices=HoldSource.choices)
    held_at = models.DateTimeField(db_default=TransactionNow())
    occurred_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # An admission that was given back is remembered until it expires, so that giving it back again is no error.
    released_at = models.DateTimeField(null=True)
    project_id = models.PositiveIntegerField()
    team_id = models.PositiveIntegerField()
    department_id = models.PositiveIntegerField()
    member_id = models.PositiveIntegerField()
    api_key_id = models.PositiveIntegerField()
    model = models.CharField(max_length=200)
    feature = models.CharField(max_length=200)
    tokens = models.BigIntegerField()
    # Unknown for a model without a price, which only limits in tokens can admit.
    cost_nanos = models.BigIntegerField(null=True)
    estimate = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "event_id"], name="hold_once_an_event")]

    def __str__(self) -> str:
        return self.event_id


class UnpricedCall(TenantModel):
    """What limits in money count of a call that was let in under one and whose price turned out to be unknown.

    The event itself says None. The row goes when the event gets a price, or another supersedes it.
    """

    pk = models.CompositePrimaryKey("organization_id", "key")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    # The event's (metering_event_key).
    key = models.UUIDField()
    occurred_at = models.DateTimeField()
    project_id = models.PositiveIntegerField()
    team_id = models.PositiveIntegerField()
    department_id = models.PositiveIntegerField()
    member_id = models.PositiveIntegerField()
    api_key_id = models.PositiveIntegerField()
    model = models.CharField(max_length=200)
    feature = models.CharField(max_length=200)
    cost_nanos = models.BigIntegerField()

    class Meta:
        db_table = "metering_unpriced_call"
        indexes = [models.Index(fields=["organization", "occurred_at"], name="unpriced_call_by_time")]

    def __str__(self) -> str:
        return str(self.key)

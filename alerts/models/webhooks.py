"""Programs that are told: their addresses, what is on its way to them, and each attempt."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Organization
from alerts.models.facts import ToldFact
from core.tenancy import TenantModel


class DisabledBy(models.TextChoices):
    PERSON = "person", "Disabled by hand"
    # Days of nothing but failure.
    FAILING = "failing", "Disabled after days of failure"
    # It answered 410.
    GONE = "gone", "Disabled because it answered that it is gone"


class Webhook(TenantModel):
    """An address that is told of what happens, and what of it. Kinds are alerts/catalogue.py's; "*" is all of them."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    url = models.CharField(max_length=2000)
    description = models.CharField(max_length=200, blank=True)
    events = ArrayField(models.CharField(max_length=60))
    # Told usage.threshold when the allowance is used up to it; once a period.
    usage_threshold_percent = models.PositiveSmallIntegerField(null=True, blank=True)
    # The first day of the period it was told so of: messages are forgotten before a month is over.
    usage_told_of = models.DateField(null=True, blank=True)
    # Told credits.low below as many credits; in place of what the wallet calls low.
    credits_low_threshold = models.PositiveBigIntegerField(null=True, blank=True)
    credits_low_since = models.DateTimeField(null=True, blank=True)
    # core.encryption's. The former secret signs beside it until then.
    sealed = models.BinaryField()
    sealed_former = models.BinaryField(null=True)
    former_until = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_by = models.CharField(max_length=7, choices=DisabledBy.choices, blank=True)
    # Of the attempts since the last that succeeded: the first one's time, and how many.
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    # Until then nothing is sent; then one delivery, to see whether it answers again.
    open_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now)
    created_by_label = models.CharField(max_length=254)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(disabled_at=None, disabled_by="") | Q(disabled_at__isnull=False) & ~Q(disabled_by=""),
                name="webhook_is_disabled_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(former_until=None, sealed_former=None)
                | Q(former_until__isnull=False, sealed_former__isnull=False),
                name="webhook_former_secret_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.url


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Given up"


class WebhookDelivery(TenantModel):
    """One message to one address. `body` is what is signed and sent, the same in every attempt."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    # Null where the message is of no fact: a test, or a threshold that is the webhook's own.
    fact = models.ForeignKey(ToldFact, models.CASCADE, null=True, blank=True, related_name="+")
    # By it receivers tell what they have from what is new; the fact's where there is one.
    message_id = models.UUIDField(default=uuid.uuid4)
    kind = models.CharField(max_length=60)
    body = models.TextField()
    state = models.CharField(max_length=9, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    due_at = models.DateTimeField(default=now)
    # A worker is at it; when it has not concluded until then, it was killed.
    claimed_until = models.DateTimeField(null=True, blank=True)
    # Attempts in this course of the schedule; all of them.
    tries = models.PositiveSmallIntegerField(default=0)
    attempts_made = models.PositiveIntegerField(default=0)
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_problem = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=now)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["webhook", "message_id"], name="webhook_message_once"),
            models.CheckConstraint(
                condition=Q(state="waiting") | Q(claimed_until=None), name="webhook_claim_is_of_what_waits"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="webhook_delivery_waiting"),
            models.Index(fields=["webhook", "-id"], name="webhook_delivery_by_time"),
            models.Index(fields=["created_at"], name="webhook_delivery_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.webhook_id}"


class WebhookAttempt(TenantModel):
    """What was sent when, and what came back: headers and the beginning of the body, as they were. Only ever added."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    # Where it was sent: the webhook's address may be another by now.
    url = models.CharField(max_length=2000)
    sent_headers = models.JSONField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    # Null where no answer came.
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    headers = models.JSONField(default=dict)
    answer = models.TextField(blank=True)
    # Empty where it was taken.
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="webhook_attempt_numbered")]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.delivery_id}"

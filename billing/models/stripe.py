"""What is known of Stripe: an organization's customer and card there, our invoices there, and what Stripe told."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now

from accounts.models import Organization
from billing.models.invoices import Invoice
from core.tenancy import TenantModel


class StripeCustomer(TenantModel):
    """An organization at Stripe, and the card that pays for it as people know one; the rest is Stripe's alone."""

    organization = models.OneToOneField(Organization, models.CASCADE, primary_key=True, related_name="+")
    stripe_id = models.CharField(max_length=255, unique=True)
    # Stripe's id of the default card; empty: none.
    method_id = models.CharField(max_length=255, blank=True)
    card_brand = models.CharField(max_length=30, blank=True)
    card_last4 = models.CharField(max_length=4, blank=True)
    card_exp_month = models.PositiveSmallIntegerField(null=True, blank=True)
    card_exp_year = models.PositiveSmallIntegerField(null=True, blank=True)
    # The Checkout session whose card was made the default last: an older one that is told again changes nothing.
    session_id = models.CharField(max_length=255, blank=True)
    session_created_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.stripe_id


class StripeInvoice(TenantModel):
    """An invoice of ours at Stripe. Every call that makes a part of it is idempotent by `key`."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    invoice = models.OneToOneField(Invoice, models.PROTECT, related_name="at_stripe")
    key = models.UUIDField(default=uuid.uuid4, unique=True)
    # Null until Stripe has answered.
    stripe_id = models.CharField(max_length=255, null=True, blank=True, unique=True)
    # The page at Stripe that shows it and takes a card; empty before it is final there.
    pay_url = models.URLField(max_length=2000, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.stripe_id or str(self.key)


class StripeDispute(TenantModel):
    """A payment that a cardholder's bank questions, as it stands at Stripe."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    # Null where it paid for credits.
    invoice = models.ForeignKey(Invoice, models.PROTECT, null=True, blank=True, related_name="disputes")
    stripe_id = models.CharField(max_length=255, unique=True)
    payment_id = models.CharField(max_length=255)
    # In the currency's minor unit.
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    # Stripe's words: "fraudulent", "needs_response".
    reason = models.CharField(max_length=60)
    status = models.CharField(max_length=60)
    opened_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.stripe_id


class StripeEvent(TenantModel):
    """What Stripe told, stored before anything is done about it; nobody's until it is known whom it is about."""

    organization = models.ForeignKey(Organization, models.SET_NULL, null=True, blank=True, related_name="+")
    stripe_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=100)
    payload = models.JSONField()
    received_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True, blank=True)
    # Those that failed.
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["received_at"], condition=models.Q(processed_at=None), name="stripe_event_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.stripe_id}"

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
    # Name, e-mail and address as Stripe was told last (billing/providers/stripe/customers.py); empty: never.
    details = models.JSONField(default=dict, blank=True)
    # Stripe's id of the default card; empty: none.
    method_id = models.CharField(max_length=255, blank=True)
    card_brand = models.CharField(max_length=30, blank=True)
    card_last4 = models.CharField(max_length=4, blank=True)
    card_exp_month = models.PositiveSmallIntegerField(null=True, blank=True)
    card_exp_year = models.PositiveSmallIntegerField(null=True, blank=True)
    # The Checkout session whose card was made the default last: an older one that is told again changes nothing.
    session_id = models.CharField(max_length=255, blank=True)
    session_created_at = models.DateTimeField(null=True, blank=True)
    # The first day whose usage is told to Stripe's meter, where it is (billing/providers/stripe/metering.py).
    metered_from = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.stripe_id


class StripeInvoice(TenantModel):
    """An invoice of ours at Stripe, or what is due of it again. Every call that makes a part is idempotent by `key`."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="at_stripe")
    key = models.UUIDField(default=uuid.uuid4, unique=True)
    # Null until Stripe has answered.
    stripe_id = models.CharField(max_length=255, null=True, blank=True, unique=True)
    # The page at Stripe that shows it and takes a card; empty before it is final there.
    pay_url = models.URLField(max_length=2000, blank=True)
    # Of what is due again after money went back: how much, in minor units. Null: the whole invoice.
    rest = models.PositiveBigIntegerField(null=True, blank=True)
    # It was paid there, and asks for nothing any more, whatever goes back of it.
    is_paid = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["invoice"], condition=models.Q(is_paid=False), name="stripe_invoice_asks_once"
            )
        ]

    def __str__(self) -> str:
        return self.stripe_id or str(self.key)


class StripeSubscription(TenantModel):
    """An organization's plan as Stripe's portal shows it. It charges nothing (docs/decisions/0014-plans-at-stripe.md).

    The fields say how it stood there when it was last read or written: what differs later was decided there.
    """

    organization = models.OneToOneField(Organization, models.CASCADE, primary_key=True, related_name="+")
    # Of the call that makes it: a new one after it has ended.
    key = models.UUIDField(default=uuid.uuid4)
    # Null until Stripe has answered.
    stripe_id = models.CharField(max_length=255, null=True, blank=True, unique=True)
    # The version of the plan it shows, by the look-up key of its price.
    price = models.CharField(max_length=100, blank=True)
    # Stripe's word: "active", "trialing", "canceled".
    status = models.CharField(max_length=60, blank=True)
    ends_with_period = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.stripe_id or str(self.key)


class StripeMeterEvent(TenantModel):
    """Tokens that Stripe's meter is told of: what a day's usage of a model grew by, or shrank (below 0), since before.

    All of a day sum to what the ledger says of it. `identifier` is what Stripe counts each once by.
    """

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    # Of the organization's zone.
    day = models.DateField()
    model = models.CharField(max_length=200, blank=True)
    # Stripe's words: "input", "output".
    token_type = models.CharField(max_length=6)
    # From 0, of the day, model and type.
    number = models.PositiveIntegerField()
    tokens = models.BigIntegerField()
    identifier = models.CharField(max_length=100, unique=True)
    # When it happened, as Stripe is told: usage longer ago than Stripe takes happens when it is told.
    happened_at = models.DateTimeField()
    noted_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "day", "model", "token_type", "number"], name="stripe_meter_event_once"
            )
        ]
        indexes = [
            models.Index(fields=["organization", "id"], condition=models.Q(sent_at=None), name="stripe_meter_waiting")
        ]

    def __str__(self) -> str:
        return self.identifier


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

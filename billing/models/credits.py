"""Prepaid money: a ledger of entries that only grows, and from which grant each of them drew."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from accounts.models import Organization
from core.tenancy import TenantModel


class Wallet(TenantModel):
    """An organization's credits: what is low, and what is bought then. Its row is locked while an entry is made."""

    organization = models.OneToOneField(Organization, models.CASCADE, primary_key=True, related_name="+")
    # Below this much it is told that credits are low; null: never.
    low_below_nanos = models.BigIntegerField(null=True, blank=True)
    # When that was told; null again once there is more.
    low_since = models.DateTimeField(null=True, blank=True)
    # Below this much `top_up_nanos` are bought; both null: nothing is bought by itself.
    top_up_below_nanos = models.BigIntegerField(null=True, blank=True)
    top_up_nanos = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(low_below_nanos=None) | models.Q(low_below_nanos__gt=0),
                name="wallet_low_is_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(top_up_below_nanos=None, top_up_nanos=None)
                | models.Q(top_up_below_nanos__gt=0, top_up_nanos__gt=0),
                name="wallet_tops_up_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"Credits of {self.organization_id}"


class CreditKind(models.TextChoices):
    PURCHASE = "purchase", "Purchase"
    PROMOTION = "promotion", "Promotion"
    # Of usage; positive where usage was corrected.
    CONSUMPTION = "consumption", "Usage"
    # Promotional credits taken off an invoice; positive where a credit note gave them back.
    INVOICE = "invoice", "Invoice"
    EXPIRY = "expiry", "Expired"
    REFUND = "refund", "Refund"
    ADJUSTMENT = "adjustment", "Adjustment"


class CreditEntry(TenantModel):
    """One act, in nano-dollars, numbered without gaps, with the balance behind it.

    The database refuses an entry whose balance is not the one before plus its amount, or is below 0, and lets nobody
    change or remove one. Purchases, promotions and adjustments that add are the grants that later ones draw from.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=11, choices=CreditKind.choices)
    amount_nanos = models.BigIntegerField()
    balance_nanos = models.BigIntegerField()
    # What makes it happen once: a payment's id, "usage:2026-11-01#12", "expiry:7", "invoice:INV-2026-0007".
    source = models.CharField(max_length=200)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())
    # Of a grant: null is for ever.
    expires_at = models.DateTimeField(null=True, blank=True)
    # Of usage: the first day of the stretch of days that are paid with credits.
    usage_since = models.DateField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)
    recorded_by_label = models.CharField(max_length=254)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "number"], name="credit_entry_number_once"),
            models.UniqueConstraint(fields=["organization", "source"], name="credit_entry_source_once"),
            models.CheckConstraint(condition=models.Q(balance_nanos__gte=0), name="credit_balance_not_negative"),
            models.CheckConstraint(condition=~models.Q(amount_nanos=0), name="credit_entry_is_of_something"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.source}"


class CreditDraw(TenantModel):
    """What an entry took from a grant (below 0), or gave back to it. An entry that draws is the sum of its draws."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    entry = models.ForeignKey(CreditEntry, models.PROTECT, related_name="draws")
    grant = models.ForeignKey(CreditEntry, models.PROTECT, related_name="drawn")
    amount_nanos = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entry", "grant"], name="credit_draw_once")]

    def __str__(self) -> str:
        return f"{self.amount_nanos} of {self.grant_id}"


class TopUpStatus(models.TextChoices):
    DUE = "due", "Due"
    PAID = "paid", "Paid"
    FAILED = "failed", "Failed"
    WITHDRAWN = "withdrawn", "Withdrawn"


class TopUp(TenantModel):
    """Credits to be bought: the wallet's rule says so, or somebody ordered them. Whoever takes payment closes it."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    amount_nanos = models.BigIntegerField()
    status = models.CharField(max_length=9, choices=TopUpStatus.choices, default=TopUpStatus.DUE)
    # Who ordered it; empty: the wallet's rule.
    ordered_by_label = models.CharField(max_length=254, blank=True)
    # The card on file is charged for it; else it is paid at the provider's page, or by hand.
    charges_card = models.BooleanField(default=True)
    # The provider's id of the payment; empty: by hand, or not paid.
    payment_id = models.CharField(max_length=255, blank=True)
    # Why it was refused, in words for people.
    refusal = models.CharField(max_length=300, blank=True, db_default="")
    due_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization"], condition=models.Q(status="due"), name="top_up_due_once"),
            models.CheckConstraint(condition=models.Q(amount_nanos__gt=0), name="top_up_is_of_something"),
        ]

    def __str__(self) -> str:
        return f"Top-up of {self.amount_nanos}"

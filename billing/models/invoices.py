"""Invoices: what was charged for a period, stated once. Rows are only ever added; the rest follows from others.

An invoice is paid when its payments reach its sum, and void when a credit note takes it back.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from accounts.models import Organization
from core.tenancy import TenantModel


class InvoiceKind(models.TextChoices):
    INVOICE = "invoice", "Invoice"
    CREDIT_NOTE = "credit_note", "Credit note"


class InvoiceSeries(models.Model):
    """The last number of a series and year. Its row is locked while a number is taken, so that none is left out."""

    prefix = models.CharField(max_length=10)
    year = models.PositiveSmallIntegerField()
    last = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prefix", "year"], name="invoice_series_once")]

    def __str__(self) -> str:
        return f"{self.prefix}-{self.year}"


class Invoice(TenantModel):
    """Amounts are in the currency's minor unit. `document` is all that the paper states (billing/documents)."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=11, choices=InvoiceKind.choices)
    number = models.CharField(max_length=30, unique=True)
    issued_on = models.DateField()
    due_on = models.DateField(null=True, blank=True)
    period_start = models.DateField()
    # The last day of the period.
    period_end = models.DateField()
    currency = models.CharField(max_length=3)
    net = models.BigIntegerField()
    tax = models.BigIntegerField()
    gross = models.BigIntegerField()
    document = models.JSONField()
    # SHA-256 over the document.
    digest = models.CharField(max_length=64)
    corrects = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="credit_notes")
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    created_by_label = models.CharField(max_length=254)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(gross=models.F("net") + models.F("tax")), name="invoice_adds_up"),
            models.CheckConstraint(
                condition=models.Q(kind="invoice", corrects=None)
                | models.Q(kind="credit_note", corrects__isnull=False),
                name="credit_note_corrects_one",
            ),
            models.UniqueConstraint(fields=["corrects"], name="invoice_credited_once"),
        ]

    def __str__(self) -> str:
        return self.number


class LineKind(models.TextChoices):
    FEE = "fee", "Plan"
    INCLUDED = "included", "Included usage"
    USAGE = "usage", "Usage"
    # Searches, pictures, recordings: what is not told in tokens.
    TOOL = "tool", "Tools and units"
    LATE = "late", "Late usage"
    # What is owed to the customer: to the next invoice (above 0), or from earlier ones (below 0).
    CARRIED = "carried", "Carried over"
    CREDITS = "credits", "Credits"


class InvoiceLine(TenantModel):
    """`nanos` is what the line is worth exactly; `amount` that, rounded once to minor units.

    Lines of usage name the manifest of the events they were made from: those of their model, beyond the allowance.
    """

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=8, choices=LineKind.choices)
    description = models.CharField(max_length=300)
    model = models.CharField(max_length=200, blank=True)
    provider = models.CharField(max_length=60, blank=True)
    bucket = models.CharField(max_length=30, blank=True)
    quantity = models.BigIntegerField()
    femtos_per_unit = models.BigIntegerField(null=True, blank=True)
    nanos = models.BigIntegerField()
    amount = models.BigIntegerField()
    # Of late usage: the first day of the period it happened in.
    about = models.DateField(null=True, blank=True)
    events = models.BigIntegerField(null=True, blank=True)
    events_nanos = models.BigIntegerField(null=True, blank=True)
    events_digest = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["invoice", "position"], name="invoice_line_position_once")]

    def __str__(self) -> str:
        return self.description


class ClosedPeriod(TenantModel):
    """A period nothing is added to any more. `as_of` is the instant of its events; later ones are charged next.

    `used` are its tokens, `over_tokens` and `over_nanos` what of them was charged; later rows of the same period, one
    for each invoice that charged late usage of it, have the sums as they were then.
    """

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    starts_on = models.DateField()
    ends_on = models.DateField()
    # 0 when it was closed, and one more with each invoice that charged late usage of it.
    revision = models.PositiveSmallIntegerField(default=0)
    as_of = models.DateTimeField()
    # Null where there was nothing to bill.
    invoice = models.ForeignKey(Invoice, models.PROTECT, null=True, blank=True, related_name="+")
    used_tokens = models.BigIntegerField()
    # Where charging began, and what was included from then on; null where nothing over an allowance is charged.
    charged_from = models.DateField(null=True, blank=True)
    included_tokens = models.BigIntegerField(null=True, blank=True)
    over_tokens = models.BigIntegerField()
    over_nanos = models.BigIntegerField()
    over_events = models.BigIntegerField()
    over_digest = models.CharField(max_length=64)
    closed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "starts_on", "revision"], name="period_closed_once")
        ]

    def __str__(self) -> str:
        return f"{self.starts_on} to {self.ends_on}"


class InvoicePayment(TenantModel):
    """Money that came for an invoice, or went back (below 0)."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="payments")
    amount = models.BigIntegerField()
    received_on = models.DateField()
    # As people read it: "card ending 4242", "bank transfer".
    method = models.CharField(max_length=100)
    # What makes it count once: a provider's id of the payment, or what whoever recorded it gave.
    source = models.CharField(max_length=200)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    recorded_by_label = models.CharField(max_length=254)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "source"], name="invoice_payment_once"),
            models.CheckConstraint(condition=~models.Q(amount=0), name="invoice_payment_is_of_something"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} for {self.invoice_id}"


class InvoicePaper(TenantModel):
    """A PDF that was made. `states` is the SHA-256 of what it states, payments included; `digest` that of the file."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="papers")
    states = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    content = models.BinaryField()
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["invoice", "states"], name="invoice_paper_once")]

    def __str__(self) -> str:
        return f"{self.invoice_id} as of {self.made_at}"

"""Who sells and who buys, as invoices state them, and what decides the tax between them."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now

from accounts.models import Organization
from core.tenancy import TenantModel


class Seller(models.Model):
    """Who runs this installation and bills for it: one row. Invoices copy it."""

    name = models.CharField(max_length=200)
    street = models.TextField(max_length=300, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    city = models.CharField(max_length=100, blank=True)
    country = models.CharField(max_length=2)
    email = models.EmailField(blank=True)
    tax_number = models.CharField(max_length=40, blank=True)
    # For value added tax in its own country, and for consumers' abroad through the one-stop shop.
    is_registered = models.BooleanField(default=False)
    uses_one_stop_shop = models.BooleanField(default=False)
    # Fees and rates of tokens are gross: what is charged stays the same whatever the tax.
    prices_include_tax = models.BooleanField(default=False)
    payment_days = models.PositiveSmallIntegerField(default=14)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="seller_is_one")]

    def __str__(self) -> str:
        return self.name


class EnteredTaxRate(models.Model):
    """A rate the operator entered: taxes this product has no table of. Ended rather than changed."""

    country = models.CharField(max_length=2)
    # Empty: the whole country.
    region = models.CharField(max_length=10, blank=True)
    name = models.CharField(max_length=60)
    percent = models.DecimalField(max_digits=6, decimal_places=3, validators=[MinValueValidator(0)])
    since = models.DateField()
    until = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(percent__gte=0, percent__lt=100), name="entered_tax_rate_is_a_percent"
            ),
            models.CheckConstraint(
                condition=models.Q(until=None) | models.Q(until__gt=models.F("since")),
                name="entered_tax_rate_ends_after",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.percent}%"


class TaxStanding(models.TextChoices):
    CONFIRMED = "confirmed", "Confirmed"
    UNKNOWN_TO_REGISTER = "unknown_to_register", "Not in the register"
    NOT_ASKED = "not_asked", "Not checked yet"


class BillingProfile(TenantModel):
    """What of an organization matters for its invoices and tax, beside its address."""

    organization = models.OneToOneField(Organization, models.CASCADE, primary_key=True, related_name="+")
    region = models.CharField(max_length=10, blank=True)
    # In its full form, with the country ("DE136695976").
    tax_number = models.CharField(max_length=40, blank=True)
    tax_standing = models.CharField(max_length=20, choices=TaxStanding.choices, default=TaxStanding.NOT_ASKED)
    tax_checked_at = models.DateTimeField(null=True, blank=True)
    # The register's proof of the question, or who confirmed the number by hand.
    tax_reference = models.CharField(max_length=254, blank=True)
    # The operator's word on the number holds: the register is not asked about it.
    is_tax_decided = models.BooleanField(default=False, db_default=False)
    # When the register was last asked, and how often since it last told anything.
    tax_asked_at = models.DateTimeField(null=True, blank=True)
    tax_unanswered = models.PositiveSmallIntegerField(default=0, db_default=0)
    # The words of its certificate; only the operator enters one.
    exemption = models.CharField(max_length=200, blank=True)
    # Printed on invoices: an order's number.
    reference = models.CharField(max_length=60, blank=True)

    def __str__(self) -> str:
        return "Billing details"

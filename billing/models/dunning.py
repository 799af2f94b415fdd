"""What happened to an invoice whose payment was refused. Rows are only ever added."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from accounts.models import Organization
from billing.models.invoices import Invoice
from core.tenancy import TenantModel


class DunningKind(models.TextChoices):
    REFUSED = "refused", "Payment refused"
    SUSPENDED = "suspended", "Calls suspended"
    # Paid, or taken back: nothing is due any more.
    RECOVERED = "recovered", "Recovered"


class DunningFact(TenantModel):
    """`attempt` numbers an invoice's refusals from 1; the other kinds have the number of those before them."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="dunning")
    kind = models.CharField(max_length=9, choices=DunningKind.choices)
    attempt = models.PositiveSmallIntegerField()
    # Why, as the payment provider calls it and as people read it.
    code = models.CharField(max_length=60, blank=True)
    message = models.CharField(max_length=300, blank=True)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["invoice", "kind", "attempt"], name="dunning_fact_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.attempt}"

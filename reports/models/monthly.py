"""The report of a month, as it was made: for the organization, and for each team that somebody looks after."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import TenantModel


class ReportScope(models.TextChoices):
    """Whose usage it is of, by the dimensions' names."""

    ORGANIZATION = "organization", "Organization"
    TEAM = "team", "Team"


class MonthlyReport(TenantModel):
    """Asked for when its month is closed, or by somebody; its file is there once it is made, and then never changes.

    A month whose usage came late is told anew in another revision; the ones before stay. `label` is whose it is, as
    that was called then, and `timezone` where the month begins and ends.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    scope = models.CharField(max_length=12, choices=ReportScope.choices)
    # The team's id, 0 for the organization.
    ref = models.PositiveIntegerField(default=0)
    label = models.CharField(max_length=254)
    # Its first day.
    month = models.DateField()
    timezone = models.CharField(max_length=64)
    revision = models.PositiveSmallIntegerField(default=0)
    asked_at = models.DateTimeField(default=now)
    # Empty: the calendar.
    asked_by_label = models.CharField(max_length=254, blank=True)
    # Counted before each, so that one that kills its worker does not for ever.
    attempts = models.PositiveSmallIntegerField(default=0)
    attempted_at = models.DateTimeField(null=True)
    made_at = models.DateTimeField(null=True)
    # What it says came to, so that usage that came later shows.
    requests = models.BigIntegerField(null=True)
    total_tokens = models.BigIntegerField(null=True)
    known_cost_nanos = models.BigIntegerField(null=True)
    is_cost_known = models.BooleanField(default=True)
    before_nanos = models.BigIntegerField(null=True)
    content = models.BinaryField(null=True)
    # SHA-256 and length of the content.
    digest = models.CharField(max_length=64, blank=True)
    size_bytes = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "scope", "ref", "month", "revision"], name="monthly_report_once"
            ),
            models.CheckConstraint(
                condition=models.Q(scope="organization", ref=0) | models.Q(scope="team", ref__gt=0),
                name="monthly_report_names_whose_it_is",
            ),
            models.CheckConstraint(
                condition=models.Q(made_at=None, content=None) | models.Q(made_at__isnull=False, content__isnull=False),
                name="monthly_report_has_its_file",
            ),
        ]
        indexes = [models.Index(fields=["asked_at"], condition=models.Q(made_at=None), name="monthly_report_waiting")]

    def __str__(self) -> str:
        return f"{self.label}, {self.month:%B %Y}"

    @property
    def cost_nanos(self) -> int | None:
        """None where nothing of the usage has a price, and before it is made."""
        return self.known_cost_nanos if self.is_cost_known else None

"""What people keep of the pages: named views, where a person lands, and what a diagnosis found."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now

from accounts.models import Membership, Organization
from core.tenancy import TenantModel


class SavedView(TenantModel):
    """A page in a certain state, under a name: its owner's alone, or offered to everybody in the organization."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    owner = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    # The page's word in the address, and its parameters: {"range": ["7d"], "model": ["gpt-4o"]}
    page = models.CharField(max_length=40)
    parameters: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now)
    changed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint("owner", Lower("name"), name="saved_view_name_once")]

    def __str__(self) -> str:
        return self.name


class StartPage(TenantModel):
    """The view a person lands on in an organization, in the place of the overview."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    membership = models.OneToOneField(Membership, models.CASCADE, related_name="+")
    view = models.ForeignKey(SavedView, models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"{self.membership_id} lands on {self.view_id}"


class Symptom(models.TextChoices):
    """What somebody says is wrong."""

    MISSING = "missing", "Usage is missing"
    COST = "cost", "A cost is wrong"
    TOTALS = "totals", "Team totals differ"


class Diagnosis(TenantModel):
    """What was looked at for a symptom, and what was found then (reports/diagnosis)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    asked_by = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    # Of one's own usage alone; then it is shown to nobody without the right to see everybody's but its asker.
    is_own = models.BooleanField(default=False)
    symptom = models.CharField(max_length=10, choices=Symptom.choices)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # {"model": ["gpt-4o"]}, as the address of a page has them
    filters: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=now)
    # Moves with every check: one that stands still has lost its worker.
    advanced_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True)
    # reports.diagnosis.finding.Finding, one a check
    findings: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)

    class Meta:
        indexes = [models.Index(fields=["organization", "-created_at"], name="diagnosis_by_time")]

    def __str__(self) -> str:
        return f"{self.get_symptom_display()}, asked {self.created_at:%Y-%m-%d}"

"""What is worth changing about an organization's usage, with its evidence and what became of the advice."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Organization
from core.money import divide_half_even
from core.tenancy import TenantModel


class InsightState(models.TextChoices):
    OPEN = "open", "Open"
    DISMISSED = "dismissed", "Dismissed"
    DONE = "done", "Done"
    GONE = "gone", "Not found any more"


class Effort(models.TextChoices):
    """What taking the advice asks for: a setting, a change of code, a change of how work is done."""

    SMALL = "small", "Small"
    MEDIUM = "medium", "Medium"
    LARGE = "large", "Large"


class Insight(TenantModel):
    """A piece of advice of one kind (reports/advice) about one subject, as it was found last.

    Money is nano-dollars: `now_nanos` and `would_nanos` are sums over the evidence (what is not known to change counts
    in both), the savings those of a month of 30
    days, from `low_nanos` to `high_nanos`. They are null where following the advice saves nothing that can be counted.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=30)
    # What of the organization's usage it is about, as its kind names it: once among those of the kind.
    subject = models.CharField(max_length=400)
    title = models.CharField(max_length=300)
    text = models.TextField()
    caveat = models.TextField(blank=True)
    # [label, value] pairs in words: what counted, with the thresholds
    terms: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)
    effort = models.CharField(max_length=6, choices=Effort.choices)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    evidence_count = models.PositiveIntegerField()
    now_nanos = models.BigIntegerField(null=True)
    would_nanos = models.BigIntegerField(null=True)
    low_nanos = models.BigIntegerField(null=True)
    likely_nanos = models.BigIntegerField(null=True)
    high_nanos = models.BigIntegerField(null=True)
    # What all of the organization's usage cost in the same time.
    cost_nanos = models.BigIntegerField()
    found_at = models.DateTimeField()
    checked_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=InsightState.choices, default=InsightState.OPEN)
    # When it was dismissed or done, by whom, why, and what it promised then.
    settled_at = models.DateTimeField(null=True)
    settled_by_label = models.CharField(max_length=254, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    settled_nanos = models.BigIntegerField(null=True)
    # Of advice that is done: what the work it speaks of cost in the window before, and costs since.
    before_units = models.BigIntegerField(null=True)
    before_nanos = models.BigIntegerField(null=True)
    since_units = models.BigIntegerField(null=True)
    since_nanos = models.BigIntegerField(null=True)
    measured_from = models.DateTimeField(null=True)
    measured_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "kind", "subject"], name="insight_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=["dismissed", "done"], settled_at__isnull=False)
                | models.Q(state__in=["open", "gone"], settled_at=None),
                name="insight_settled_at_a_time",
            ),
        ]
        indexes = [models.Index(fields=["organization", "state"], name="insight_by_state")]

    def __str__(self) -> str:
        return self.title

    @property
    def realized_nanos(self) -> int | None:
        """What the work since would have cost at the rate of before, less what it did; None while none is measured."""
        if not self.before_units or self.before_nanos is None or self.since_units is None or self.since_nanos is None:
            return None
        return divide_half_even(self.before_nanos * self.since_units, self.before_units) - self.since_nanos


class InsightEvidence(TenantModel):
    """Up to a thousand pieces of an insight's evidence, side by side, by time: mostly calls by their event ids.

    `now_nanos` is what one cost, `would_nanos` what it would; null where it has no cost.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    insight = models.ForeignKey(Insight, models.CASCADE, related_name="evidence")
    part = models.PositiveIntegerField()
    ids = ArrayField(models.TextField())
    times = ArrayField(models.DateTimeField())
    now_nanos = ArrayField(models.BigIntegerField(null=True))
    would_nanos = ArrayField(models.BigIntegerField(null=True))
    notes = ArrayField(models.TextField(blank=True))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["insight", "part"], name="insight_evidence_once")]

    def __str__(self) -> str:
        return f"Part {self.part} of insight {self.insight_id}"


class AdviceRound(TenantModel):
    """The last time an organization's usage was looked through for advice."""

    organization = models.OneToOneField(Organization, models.CASCADE, related_name="+")
    # Somebody, or the clock, asked for a round that has not begun or is under way.
    asked_at = models.DateTimeField(null=True)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cost_nanos = models.BigIntegerField(null=True)
    # What all that is open would save of these calls, each call counted once (at the advice that saves most of it).
    together_nanos = models.BigIntegerField(null=True)
    # Kinds that could not be looked for: what they found earlier stands.
    failed = ArrayField(models.CharField(max_length=30), default=list)

    def __str__(self) -> str:
        return f"Advice for {self.organization_id}"

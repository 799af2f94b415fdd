"""What is watched, and what was found: rules about usage, and each time one of them fired."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from accounts.models import Organization
from core.tenancy import TenantModel


class RuleScope(models.TextChoices):
    """Whose usage is watched, by the dimensions' names."""

    ORGANIZATION = "organization", "Organization"
    DEPARTMENT = "department", "Department"
    TEAM = "team", "Team"
    PROJECT = "project", "Project"
    MEMBER = "member", "Member"
    API_KEY = "api_key", "API key"
    MODEL = "model", "Model"
    FEATURE = "feature", "Feature"
    INTEGRATION = "integration", "Integration"


# Scopes that are texts of events; the others are rows of accounts.
TEXT_SCOPES = frozenset({RuleScope.MODEL, RuleScope.FEATURE, RuleScope.INTEGRATION})


class Window(models.TextChoices):
    """What a rule looks at, one after the other, as the clock of the organization's zone divides time."""

    QUARTER = "15m", "Quarter hour"
    HOUR = "hour", "Hour"
    DAY = "day", "Day"
    MONTH = "month", "Calendar month"
    # The plan's own month, which its allowance is for.
    BILLING = "billing", "Billing period"
    # A level has no length: it is what it is at a moment.
    MOMENT = "moment", "At any moment"


class AlertRule(TenantModel):
    """A condition (alerts/conditions) on the usage of a scope.

    `ref` is the entity's id, or 0; `value` is the text of a model, feature or integration. `threshold` and `minimum`
    are in the condition's units: tokens, nano-dollars, hundredths of a percent, milliseconds, hours, counts.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    name = models.CharField(max_length=120, blank=True)
    condition = models.CharField(max_length=20)
    scope = models.CharField(max_length=12, choices=RuleScope.choices, default=RuleScope.ORGANIZATION)
    ref = models.PositiveIntegerField(default=0)
    value = models.CharField(max_length=200, blank=True)
    window = models.CharField(max_length=7, choices=Window.choices)
    threshold = models.BigIntegerField()
    # Less than this is too little to judge by; of conditions that have such.
    minimum = models.BigIntegerField(null=True, blank=True)
    # How long after it was told the same is told again while it goes on and nobody has taken note; null: never.
    renotify_minutes = models.PositiveIntegerField(null=True, blank=True)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())
    created_by_label = models.CharField(max_length=254)
    archived_at = models.DateTimeField(null=True, blank=True)
    # Windows before this one are not judged: it was not a rule then, or another one.
    watches_from = models.DateTimeField()
    # Up to when usage was judged, and when the clock alone may change what is found.
    judged_until = models.DateTimeField()
    due_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(threshold__gte=0), name="rule_threshold_not_negative"),
            models.CheckConstraint(
                condition=models.Q(scope="organization", ref=0, value="")
                | models.Q(scope__in=["model", "feature", "integration"], ref=0) & ~models.Q(value="")
                | models.Q(scope__in=["department", "team", "project", "member", "api_key"], ref__gt=0, value=""),
                name="rule_names_whose_it_is",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(archived_at=None, is_enabled=True), name="rule_by_due_time"
            )
        ]

    def __str__(self) -> str:
        return self.name or f"Rule {self.pk}"


class AlertState(models.TextChoices):
    OPEN = "open", "Open"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    SNOOZED = "snoozed", "Snoozed"
    RESOLVED = "resolved", "Resolved"


class Resolution(models.TextChoices):
    """Why an alert is over."""

    OVER = "over", "What it was about is over"
    BY_HAND = "by_hand", "Resolved by hand"
    RULE_CHANGED = "rule_changed", "Its rule was changed, paused or archived"


class Alert(TenantModel):
    """A rule fired: for what, in which of its windows, against what. Times and figures stay as they were told.

    `about` is what the rule found among its scope's usage (a model, a measure), or empty: the scope itself. What it was
    about is copied, so that an alert reads the same when the rule or the entity has another name.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    rule = models.ForeignKey(AlertRule, models.PROTECT, related_name="alerts")
    condition = models.CharField(max_length=20)
    scope = models.CharField(max_length=12, choices=RuleScope.choices)
    ref = models.PositiveIntegerField(default=0)
    value = models.CharField(max_length=200, blank=True)
    label = models.CharField(max_length=254)
    about = models.CharField(max_length=220, blank=True)
    window = models.CharField(max_length=7, choices=Window.choices)
    # The first window it fired for.
    period_starts_at = models.DateTimeField()
    period_ends_at = models.DateTimeField()
    threshold = models.BigIntegerField()
    # The furthest it went, in which window, and what that was held against, in the units of what is measured.
    peak_starts_at = models.DateTimeField()
    peak_ends_at = models.DateTimeField()
    actual = models.BigIntegerField()
    bound = models.BigIntegerField()
    # What was to be expected, where the condition knows.
    expected = models.BigIntegerField(null=True)
    # What the furthest window consists of (alerts/evaluation/explaining.py).
    explanation = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=AlertState.choices, default=AlertState.OPEN)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField()
    # The end of the last window it held for, as far as that was read.
    held_until = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=12, choices=Resolution.choices, blank=True)
    # How many facts were told of it, when the last one was, and whether that one said that it holds.
    told = models.PositiveIntegerField(default=0)
    told_at = models.DateTimeField(null=True)
    is_told = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "about", "period_starts_at", "threshold"], name="alert_once_a_period"
            ),
            models.UniqueConstraint(
                fields=["rule", "about"], condition=~models.Q(state="resolved"), name="alert_open_once"
            ),
            models.CheckConstraint(
                condition=models.Q(state="resolved", resolved_at__isnull=False)
                | ~models.Q(state="resolved") & models.Q(resolved_at=None),
                name="alert_resolved_at_a_time",
            ),
            models.CheckConstraint(
                condition=models.Q(state="snoozed", snoozed_until__isnull=False)
                | ~models.Q(state="snoozed") & models.Q(snoozed_until=None),
                name="alert_snoozed_until_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-opened_at", "-id"], name="alert_by_time"),
            models.Index(fields=["organization"], condition=~models.Q(state="resolved"), name="alert_open"),
        ]

    def __str__(self) -> str:
        return f"Alert {self.pk}"


class ActKind(models.TextChoices):
    OPENED = "opened", "Opened"
    TOLD_AGAIN = "told_again", "Told again"
    REOPENED = "reopened", "Held again"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    SNOOZED = "snoozed", "Snoozed"
    WOKEN = "woken", "Snooze over"
    RESOLVED = "resolved", "Resolved"


class AlertAct(TenantModel):
    """What became of an alert, step by step. Rows are only ever added."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="acts")
    at = models.DateTimeField()
    kind = models.CharField(max_length=12, choices=ActKind.choices)
    # Who did it; empty: the evaluator.
    by_label = models.CharField(max_length=254, blank=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.alert_id}"

"""What people ask to be made of their usage, and the files that came of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now

from accounts.models import Membership, Organization, Team
from core.tenancy import TenantModel

# How long a file is kept once it is made.
KEPT = dt.timedelta(days=30)


class ResultState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Being made"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"
    EXPIRED = "expired", "Expired"


UNDER_WAY = (ResultState.QUEUED, ResultState.RUNNING)


class CustomReport(TenantModel):
    """A report that somebody put together, under a name: its owner's alone, or offered to the organization."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    owner = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    # As the address of the page has them: {"range": ["last-month"], "by": ["team", "model"]}
    parameters: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now)
    changed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint("owner", Lower("name"), name="custom_report_name_once")]

    def __str__(self) -> str:
        return self.name


class Frequency(models.TextChoices):
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "Every week"
    MONTHLY = "monthly", "Every month"
    CRON = "cron", "By a cron expression"


class ReportSchedule(TenantModel):
    """When a report is made by itself, with its owner's rights at that moment, and who is told."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    report = models.ForeignKey(CustomReport, models.CASCADE, related_name="schedules")
    owner = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    file_format = models.CharField(max_length=10)
    frequency = models.CharField(max_length=10, choices=Frequency.choices)
    # Five fields in the organization's zone, of every frequency (reports/custom/timing.py).
    cron = models.CharField(max_length=100)
    # Ids of memberships.
    receivers = ArrayField(models.IntegerField(), default=list)
    # Whose usage it was of when it was set: ("organization", 0), ("team", 7), ("member", 3). When its owner sees
    # another one's by now, it is paused.
    scope = models.CharField(max_length=12)
    ref = models.IntegerField(default=0)
    # The next time it is due; None while it is paused.
    next_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    # In words for people; empty where somebody paused it.
    pause_reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        indexes = [models.Index(fields=["next_at"], name="report_schedule_by_time")]

    def __str__(self) -> str:
        return f"{self.report_id} by {self.cron}"


class Result(TenantModel):
    """A file of an organization: asked for, made by a task, kept for a while (reports/custom/results.py).

    Whose usage it holds says who may have it: `of_member`'s alone, `of_team`'s, or everybody's when both are empty;
    `rights` are needed beside that (accounts.permissions.Right).
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    # None for what nobody asked for by hand.
    asked_by = models.ForeignKey(Membership, models.CASCADE, null=True, related_name="+")
    of_member = models.ForeignKey(Membership, models.CASCADE, null=True, related_name="+")
    of_team = models.ForeignKey(Team, models.CASCADE, null=True, related_name="+")
    rights: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    # What it was made of, where that is a saved report; and the time a schedule had it made for.
    report = models.ForeignKey(CustomReport, models.SET_NULL, null=True, related_name="+")
    schedule = models.ForeignKey(ReportSchedule, models.SET_NULL, null=True, related_name="+")
    due_at = models.DateTimeField(null=True)
    # reports.custom.MAKERS, and what it is to make
    maker = models.CharField(max_length=20)
    asked: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    # What people read: "Cost by model, 1–30 Nov 2026"
    title = models.CharField(max_length=200)
    file_name = models.CharField(max_length=200)
    content_type = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=ResultState.choices, default=ResultState.QUEUED)
    # Why it failed, in words for people.
    problem = models.TextField(blank=True)
    created_at = models.DateTimeField(default=now)
    started_at = models.DateTimeField(null=True)
    # Moves while it is made: one that stands still has lost its worker.
    advanced_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    # The worker that makes it; one that was thought dead finds another name here and gives up.
    worker = models.CharField(max_length=32, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    rows_done = models.BigIntegerField(default=0)
    # None while nobody knows.
    rows_estimated = models.BigIntegerField(null=True)
    # Of the file, once there is one. Its name on the disk cannot be guessed.
    stored_as = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="result_by_time"),
            models.Index(fields=["state", "advanced_at"], name="result_by_state"),
        ]
        constraints = [models.UniqueConstraint(fields=["schedule", "due_at"], name="result_once_when_due")]

    def __str__(self) -> str:
        return self.title

    @property
    def is_under_way(self) -> bool:
        return self.state in UNDER_WAY

"""What people ask to be made of their usage, and the files that came of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import models
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

    def __str__(self) -> str:
        return self.title

    @property
    def is_under_way(self) -> bool:
        return self.state in UNDER_WAY

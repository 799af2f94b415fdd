"""Calls that people wrote down themselves."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.timezone import now

from accounts.models import Membership, Organization
from core.tenancy import TenantModel

EVENT_PREFIX = "note_"
LONGEST_TEXT = 1000


class UsageNote(TenantModel):
    """What a person wrote beside a call they noted. The call itself is an event like any other (metering/notes.py)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    membership = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    # Made where the note was written: with it a note counts once, however often it is sent.
    note_id = models.UUIDField(default=uuid.uuid4)
    text = models.CharField(max_length=LONGEST_TEXT, blank=True)
    # What its author says the call cost. Never part of a total: costs follow from prices.
    stated_cost_nanos = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "note_id"], name="usage_note_once")]
        indexes = [models.Index(fields=["membership", "-id"], name="usage_note_by_author")]

    def __str__(self) -> str:
        return self.event_id

    @property
    def event_id(self) -> str:
        return f"{EVENT_PREFIX}{self.note_id}"

"""What members are told, when they want to be, and what is on its way to them."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Membership, Organization, validate_timezone
from alerts.models.chat import ChatChannel
from alerts.models.facts import ToldFact
from alerts.models.push import PushDevice
from core.tenancy import TenantModel


class Way(models.TextChoices):
    """How a member is told."""

    INBOX = "inbox", "Inbox"
    EMAIL = "email", "E-mail"
    PUSH = "push", "Push"


class Rhythm(models.TextChoices):
    """How often somebody wants e-mail. What is urgent comes at once in every case."""

    EACH = "each", "Each message at once"
    DAILY = "daily", "One e-mail a day"
    WEEKLY = "weekly", "One e-mail a week"
    URGENT = "urgent", "Only what is urgent"


class Notice(TenantModel):
    """A fact in a member's inbox. What it says is made of the fact, which does not change."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    fact = models.ForeignKey(ToldFact, models.CASCADE, related_name="+")
    member = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    # The fact's, so that an inbox is filtered without it.
    kind = models.CharField(max_length=60)
    created_at = models.DateTimeField(default=now)
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fact", "member"], name="notice_once")]
        indexes = [
            models.Index(fields=["member", "-id"], name="notice_of_member"),
            models.Index(fields=["member"], condition=Q(read_at=None), name="notice_unread"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.member_id}"


class Preference(TenantModel):
    """A member's own word about a kind and a way, where it is not left to their role."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    member = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=60)
    way = models.CharField(max_length=5, choices=Way.choices)
    is_on = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["member", "kind", "way"], name="preference_once")]

    def __str__(self) -> str:
        return f"{self.kind} by {self.way}: {'on' if self.is_on else 'off'}"


class Timing(TenantModel):
    """When a member wants to be told. Without a row: each message at once, at any hour."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    member = models.OneToOneField(Membership, models.CASCADE, related_name="+")
    # Empty: the organization's.
    timezone = models.CharField(max_length=64, blank=True, validators=[validate_timezone])
    # Clock times; from the evening into the morning where the first is the later one.
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    rhythm = models.CharField(max_length=6, choices=Rhythm.choices, default=Rhythm.EACH)
    digest_at = models.TimeField(default=dt.time(8))
    # Of a weekly digest: 0 is Monday.
    digest_weekday = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_until=None)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False) & ~Q(quiet_from=models.F("quiet_until")),
                name="quiet_hours_begin_and_end",
            ),
            models.CheckConstraint(condition=Q(digest_weekday__lt=7), name="digest_is_on_a_weekday"),
        ]

    def __str__(self) -> str:
        return f"timing of {self.member_id}"


class Dispatch(TenantModel):
    """One message to be sent, of one fact to one place, as often as it takes.

    It waits until `sent_at` or `given_up_at`, and is not tried before `due_at`.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    fact = models.ForeignKey(ToldFact, models.CASCADE, related_name="+")
    # A name of alerts.channels.SENDERS.
    channel = models.CharField(max_length=20)
    member = models.ForeignKey(Membership, models.CASCADE, null=True, related_name="+")
    device = models.ForeignKey(PushDevice, models.CASCADE, null=True, related_name="+")
    chat = models.ForeignKey(ChatChannel, models.CASCADE, null=True, related_name="dispatches")
    # The same in every attempt, so that what arrives twice is recognized.
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # Goes with others of the member's in one e-mail, when that is due.
    is_in_digest = models.BooleanField(default=False)
    due_at = models.DateTimeField(default=now)
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    # Why the last attempt failed.
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["fact", "member"], condition=Q(device=None, chat=None), name="email_of_fact_once"
            ),
            models.UniqueConstraint(fields=["fact", "device"], name="push_of_fact_once"),
            models.UniqueConstraint(fields=["fact", "chat"], name="chat_of_fact_once"),
            models.CheckConstraint(
                condition=Q(channel="email", member__isnull=False, device=None, chat=None)
                | Q(channel="push", member__isnull=False, device__isnull=False, chat=None)
                | Q(channel="chat", member=None, device=None, chat__isnull=False),
                name="dispatch_has_its_recipient",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(sent_at=None, given_up_at=None), name="dispatch_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.channel} of {self.fact_id}"

"""Rooms of chat programs that an organization is told in."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import TenantModel


class Dialect(models.TextChoices):
    """In which form a receiver wants its messages."""

    SLACK = "slack", "Slack"
    TEAMS = "teams", "Microsoft Teams"
    MATTERMOST = "mattermost", "Mattermost"


class ChatChannel(TenantModel):
    """An incoming webhook of a chat program. Its address is a secret: who knows it can write into the room."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    dialect = models.CharField(max_length=10, choices=Dialect.choices)
    # The address, by core.encryption; and what of it is shown.
    sealed = models.BinaryField()
    host = models.CharField(max_length=260)
    hint = models.CharField(max_length=8, blank=True)
    kinds = ArrayField(models.CharField(max_length=60))
    # Only what is about this team; a team that is gone is about nothing. None is everything.
    team_ref = models.PositiveIntegerField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now)
    last_sent_at = models.DateTimeField(null=True)
    # What went wrong last; empty since something arrived.
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint("organization", Lower("name"), name="chat_channel_name_once")]

    def __str__(self) -> str:
        return self.name

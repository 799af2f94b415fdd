"""Where a person is told, and the key that says it is us."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now

from accounts.models import User


class PushKey(models.Model):
    """The installation's one key pair for push services (VAPID); its private half is core.encryption's."""

    ONLY = 1

    sealed = models.BinaryField()
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"push key of {self.created_at:%Y-%m-%d}"


class PushDevice(models.Model):
    """A browser that somebody allowed to be told in. The endpoint is its push service's address for it."""

    user = models.ForeignKey(User, models.CASCADE, related_name="push_devices")
    endpoint = models.CharField(max_length=2000, unique=True)
    # The browser's public key and secret, base64url as browsers write them: what is sent is encrypted for it alone.
    p256dh = models.CharField(max_length=120)
    auth = models.CharField(max_length=40)
    user_agent = models.CharField(max_length=400, blank=True)
    created_at = models.DateTimeField(default=now)
    last_sent_at = models.DateTimeField(null=True)
    # What the push service said when it last refused; empty since it last took something.
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "-created_at"], name="push_device_by_user")]

    def __str__(self) -> str:
        return f"device {self.pk} of {self.user_id}"

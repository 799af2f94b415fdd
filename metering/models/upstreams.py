"""Where the gateway sends an organization's calls."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import TenantModel


class Protocol(models.TextChoices):
    """Which requests an upstream understands."""

    OPENAI = "openai", "OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"


def every_model() -> list[str]:
    return ["*"]


class Upstream(TenantModel):
    """A model server that the gateway may send an organization's calls to."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    protocol = models.CharField(max_length=10, choices=Protocol.choices)
    # For openai it includes the version ("https://api.openai.com/v1"), for anthropic it does not.
    base_url = models.CharField(max_length=500)
    # core.encryption's; a server of one's own may need none.
    credential = models.BinaryField(null=True)
    # The last characters of the credential, so that people can tell which one it is.
    credential_hint = models.CharField(max_length=4, blank=True)
    # Whose usage objects and prices apply. Empty: whose address it is (metering/gateway/providers.py).
    provider = models.CharField(max_length=60, blank=True)
    # Smaller is asked first.
    position = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(32_767)])
    timeout_seconds = models.PositiveSmallIntegerField(
        default=600, validators=[MinValueValidator(1), MaxValueValidator(3600)]
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(auto_now=True)
    # Names of models it serves, with * for any characters. The last field, since it hides Django's `models`.
    models = ArrayField(models.CharField(max_length=200), default=every_model)

    class Meta:
        constraints = [models.UniqueConstraint("organization", Lower("name"), name="upstream_name_once")]

    def __str__(self) -> str:
        return self.name

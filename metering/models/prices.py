"""The dated price book: what a model's tokens and units cost, from when to when, and for whom.

A version is never changed but for its end, and its rates not at all: an event points at the version it was rated
at, and its receipt must recompute to the same figure forever. The database holds to that (migration 0001).
"""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.contrib.postgres.functions import TransactionNow
from django.db import models
from django.db.models.functions import Coalesce

from accounts.models import Organization
from core.tenancy import TenantManager, TenantModel
from metering.events import BUCKETS


class PriceKind(models.TextChoices):
    LIST = "list", "List price"
    OVERRIDE = "override", "Own price of a listed model"
    CUSTOM = "custom", "Custom model"


# What a rate may be a price of. Buckets: one token. Units: one search, image or request; an hour of audio or video;
# an hour of the GPUs that serve the call. Hours, not seconds: list prices by the hour are no whole number per second.
PRICED_UNITS = ("web_searches", "images", "requests", "media_hours", "gpu_hours")
PRICED_BUCKETS = (*BUCKETS, *PRICED_UNITS)


class PublishedManager(TenantManager):
    """The scope's own rows and those of nobody, which are everybody's to read."""

    def get_queryset(self) -> models.QuerySet[Any]:
        own = super().get_queryset()
        return models.Manager.get_queryset(self).filter(
            models.Q(organization=None) | models.Q(pk__in=own.order_by().values("pk"))
        )


class PriceVersion(TenantModel):
    """The price of one model in one period, `valid_from` ≤ t < `valid_to`. Versions of a model never overlap.

    Without an organization it is a public list price, everybody's to read. A version that was found wrong keeps its
    rows and gets an empty period (`valid_to` = `valid_from`).
    """

    organization = models.ForeignKey(Organization, models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=8, choices=PriceKind.choices)
    provider = models.CharField(max_length=60, blank=True)
    model = models.CharField(max_length=200)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True)
    # Known to cost nothing; without it a version that has no rates leaves its calls unpriced.
    is_free = models.BooleanField(default=False)
    source = models.CharField(max_length=80)
    created_at = models.DateTimeField(db_default=TransactionNow())

    objects: ClassVar[TenantManager] = TenantManager()
    published: ClassVar[PublishedManager] = PublishedManager()

    class Meta:
        indexes = [models.Index(fields=["organization", "provider", "model", "valid_from"], name="price_by_model")]
        constraints = [
            models.CheckConstraint(
                name="price_period_forward",
                condition=models.Q(valid_to=None) | models.Q(valid_to__gte=models.F("valid_from")),
            ),
            models.CheckConstraint(
                name="price_list_is_public",
                condition=models.Q(organization=None, kind="list")
                | models.Q(organization__isnull=False, kind__in=["override", "custom"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} from {self.valid_from:%Y-%m-%d}"


class PriceRate(TenantModel):
    """The price of one unit of one bucket, in femto-dollars (10⁻¹⁵), under the conditions its other columns name."""

    # The version's, repeated so that row-level security needs no join.
    organization = models.ForeignKey(Organization, models.CASCADE, null=True, related_name="+")
    version = models.ForeignKey(PriceVersion, models.CASCADE, related_name="rates")
    bucket = models.CharField(max_length=16, choices=[(name, name) for name in PRICED_BUCKETS])
    # "" is the standard tier; else batch, flex, priority, fast.
    service_tier = models.CharField(max_length=20, blank=True)
    # The whole call is charged at this rate when its prompt has more tokens than this.
    above_tokens = models.PositiveIntegerField(default=0)
    # A daily window in UTC, half-open, possibly across midnight; from midnight to midnight: all day.
    starts_at = models.TimeField(default=dt.time(0))
    ends_at = models.TimeField(default=dt.time(0))
    femtos_per_unit = models.PositiveBigIntegerField()
    # Where the figure comes from when it is not the source's own, e.g. "twice the input rate".
    note = models.CharField(max_length=120, blank=True)

    objects: ClassVar[TenantManager] = TenantManager()
    published: ClassVar[PublishedManager] = PublishedManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "bucket", "service_tier", "above_tokens", "starts_at"], name="price_rate_once"
            ),
            models.CheckConstraint(name="price_rate_bucket", condition=models.Q(bucket__in=PRICED_BUCKETS)),
        ]

    def __str__(self) -> str:
        return f"{self.bucket} {self.service_tier}".strip()


class PriceAlias(TenantModel):
    """Another exact name of a priced model: the catalogue's, or an organization's (a deployment's name)."""

    organization = models.ForeignKey(Organization, models.CASCADE, null=True, related_name="+")
    # The provider as events name it; an organization's alias may leave it empty: any.
    provider = models.CharField(max_length=60, blank=True)
    alias = models.CharField(max_length=200)
    target_provider = models.CharField(max_length=60)
    model = models.CharField(max_length=200)
    source = models.CharField(max_length=80)
    created_at = models.DateTimeField(db_default=TransactionNow())

    class Meta:
        constraints = [
            models.UniqueConstraint(Coalesce("organization_id", 0), "provider", "alias", name="price_alias_once")
        ]

    def __str__(self) -> str:
        return f"{self.alias} → {self.target_provider}/{self.model}"

"""What spans told of calls lately, so that a call which several spans report is counted once."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import TenantModel


class TracedCallState(models.TextChoices):
    CLAIMED = "claimed", "to be written, or being written"
    STORED = "stored", "written"
    # Its event came in by another door, or was corrected there: spans change nothing any more.
    FOREIGN = "foreign", "not the spans' to change"


class TracedCall(TenantModel):
    """A model call that spans reported in the last day. Written and read by metering/ingest/otlp/memory.py."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    # The id of its first event; corrections have "~1", "~2", … behind it.
    event_id = models.CharField(max_length=200)
    trace_id = models.CharField(max_length=32)
    response_id = models.CharField(max_length=200, null=True)  # noqa: DJ001 (null is no id; there are many of them)
    # JSON of metering.ingest.otlp: list[joining.Sighting] and report.Report.
    sightings = models.TextField()
    report = models.TextField()
    revision = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=TracedCallState.choices)
    seen_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "event_id"], name="traced_call_once")]
        indexes = [
            models.Index(fields=["organization", "trace_id"], name="traced_call_by_trace"),
            models.Index(
                fields=["organization", "response_id"],
                name="traced_call_by_answer",
                condition=models.Q(response_id__isnull=False),
            ),
            models.Index(fields=["seen_at"], name="traced_call_by_age"),
        ]

    def __str__(self) -> str:
        return self.event_id

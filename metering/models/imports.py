"""Imports of files: their course, what came of them, and the uploaded bytes while they are needed."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.timezone import now

from accounts.models import Organization, User
from core.tenancy import TenantModel


class ImportStatus(models.TextChoices):
    UPLOADED = "uploaded", "Uploaded"
    CHECKING = "checking", "Checking"
    CHECKED = "checked", "Checked"
    RUNNING = "running", "Importing"
    FINISHED = "finished", "Imported"
    FAILED = "failed", "Failed"


class UsageImport(TenantModel):
    """One file and what became of its rows.

    `rows_done` and `tally` are written in the transaction of the batch they speak of, so a killed import goes on
    where it stopped and counts nothing twice.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    # How the importer was called then: an e-mail, or a command.
    created_by_label = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=now)
    file_name = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField()
    file_format = models.CharField(max_length=5)
    recognized_as = models.CharField(max_length=60, blank=True)
    # metering.imports.mapping.ColumnMap
    mapping: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    project = models.CharField(max_length=60, blank=True)
    status = models.CharField(max_length=10, choices=ImportStatus.choices, default=ImportStatus.UPLOADED)
    # Why it failed, in words for people.
    problem = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    # Moves with every batch: an import that stands still has lost its worker.
    advanced_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # The worker that carries it on; one that was thought dead finds another name here and gives up.
    worker = models.CharField(max_length=32, blank=True)
    rows_done = models.BigIntegerField(default=0)
    bytes_done = models.BigIntegerField(default=0)
    # metering.imports.tally.Tally
    tally: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    # The tally of the dry run; empty until it is through.
    forecast: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["organization", "-created_at"], name="import_by_time")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_under_way(self) -> bool:
        return self.status in (ImportStatus.CHECKING, ImportStatus.RUNNING)


class ImportChunk(TenantModel):
    """A piece of an uploaded file. In the database, where every worker can read it and row-level security guards it."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    usage_import = models.ForeignKey(UsageImport, models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["usage_import", "number"], name="import_chunk_once")]

    def __str__(self) -> str:
        return f"{self.usage_import_id}/{self.number}"


class ImportProblem(TenantModel):
    """A row that was not stored, and why. The first of them are kept; all are counted."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    usage_import = models.ForeignKey(UsageImport, models.CASCADE, related_name="problems")
    row = models.BigIntegerField()
    column = models.CharField(max_length=200, blank=True)
    field = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=60)
    message = models.CharField(max_length=500)
    value = models.CharField(max_length=100, blank=True)

    class Meta:
        indexes = [models.Index(fields=["usage_import", "row"], name="import_problem_by_row")]

    def __str__(self) -> str:
        return f"row {self.row}: {self.code}"

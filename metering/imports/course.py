"""The course of an uploaded file: looked into, checked by a dry run, imported; by a task, which may be killed."""

from __future__ import annotations

import datetime as dt
import itertools
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from django.utils.timezone import now

from core.tenancy import organization_scope
from metering.imports.dry_run import Rehearsal
from metering.imports.mapping import MappingError
from metering.imports.reader import FileError, Reader, Row
from metering.imports.records import KeptFile, RecordJournal, TakenOverError, mapping_of, tally_of
from metering.imports.run import Importer, StoppedError
from metering.imports.tally import Tally
from metering.models import ImportChunk, ImportProblem, ImportStatus, UsageImport

logger = structlog.get_logger(__name__)

SAMPLE_ROWS = 200
# A worker moves an import on every few seconds; one that was silent for this long is dead.
PATIENCE = dt.timedelta(minutes=2)
# Files whose import never ran are not kept for longer.
UPLOAD_LIFETIME = dt.timedelta(days=7)


class Sample(msgspec.Struct, frozen=True):
    """The beginning of a file."""

    file_format: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def values(self) -> list[dict[str, Any]]:
        return [row.values for row in self.rows if row.problem is None]


def sample(reader: Reader, most: int = SAMPLE_ROWS) -> Sample:
    """The first rows, and the columns: of JSON lines, those that the first rows have. Raises FileError."""
    rows = tuple(itertools.islice(reader, most))
    columns: Sequence[str] = reader.columns
    if reader.format == "jsonl":
        columns = list(dict.fromkeys(name for row in rows for name in row.values))
        if not columns and rows:
            raise FileError(
                f"No line at the beginning is a JSON object. {rows[0].problem.message}"
                if rows[0].problem
                else "The lines are empty objects."
            )
    if not rows:
        raise FileError("The file has a header and no rows.")
    return Sample(reader.format, tuple(columns), rows)


def reader_of(record: UsageImport) -> Reader:
    return Reader(KeptFile(record), record.file_format or None)  # type: ignore[arg-type]


def check_import(organization_id: int, import_id: int) -> None:
    """A dry run of the whole file; the outcome goes to `forecast`."""
    record = _take(organization_id, import_id, ImportStatus.CHECKING, {"rows_done": 0, "bytes_done": 0, "forecast": {}})
    if record is not None:
        received_at = now()
        importer = Importer(
            organization_id,
            mapping_of(record),
            Rehearsal(organization_id, received_at),
            project=record.project or None,
            received_at=received_at,
        )
        _carry(record, importer, RecordJournal(record, "forecast"), ImportStatus.CHECKED)


def run_import(organization_id: int, import_id: int) -> None:
    """Import the file, from where an earlier worker left it."""
    record = _take(organization_id, import_id, ImportStatus.RUNNING)
    if record is not None:
        importer = Importer(organization_id, mapping_of(record), project=record.project or None)
        _carry(
            record,
            importer,
            RecordJournal(record),
            ImportStatus.FINISHED,
            after_row=record.rows_done,
            tally=tally_of(record.tally) if record.tally else None,
        )


def _take(
    organization_id: int, import_id: int, status: ImportStatus, fields: dict[str, Any] | None = None
) -> UsageImport | None:
    """The import, from now on in this worker's name; None when there is nothing to do any more."""
    with organization_scope(organization_id):
        record: UsageImport | None = UsageImport.objects.select_for_update().filter(pk=import_id, status=status).first()
        if record is None:
            return None
        if fields:
            ImportProblem.objects.filter(usage_import=record).delete()
        record.worker = secrets.token_hex(8)
        record.started_at = record.started_at or now()
        record.advanced_at = now()
        for name, value in (fields or {}).items():
            setattr(record, name, value)
        record.save(update_fields=["worker", "started_at", "advanced_at", *(fields or {})])
    return record


def _carry(
    record: UsageImport,
    importer: Importer,
    journal: RecordJournal,
    done: ImportStatus,
    *,
    after_row: int = 0,
    tally: Tally | None = None,
) -> None:
    try:
        importer.run(reader_of(record), journal, after_row=after_row, tally=tally)
    except TakenOverError:
        logger.info("import_taken_over", import_id=record.pk)
        return
    except (FileError, MappingError, StoppedError) as error:
        _end(record, ImportStatus.FAILED, str(error))
        return
    _end(record, done)


def _end(record: UsageImport, status: ImportStatus, problem: str = "") -> None:
    with organization_scope(record.organization_id):
        ended = UsageImport.objects.filter(pk=record.pk, worker=record.worker).update(
            status=status, problem=problem, finished_at=now(), bytes_done=record.size_bytes
        )
        if ended and status is ImportStatus.FINISHED:
            ImportChunk.objects.filter(usage_import=record).delete()


def stalled() -> list[tuple[int, int, str]]:
    """Imports whose worker is gone: (organization, import, status). Needs a scope.

    Those of a killed command end here: their file is not with us.
    """
    lost = UsageImport.objects.filter(
        status__in=(ImportStatus.CHECKING, ImportStatus.RUNNING), advanced_at__lt=now() - PATIENCE
    )
    lost.filter(chunks=None).update(
        status=ImportStatus.FAILED, problem="The command ended before the file did. Run it again.", finished_at=now()
    )
    return list(lost.values_list("organization_id", "id", "status"))


def forget_old_uploads() -> int:
    """Remove files that were uploaded and not imported. Needs a scope."""
    old = UsageImport.objects.filter(created_at__lt=now() - UPLOAD_LIFETIME).exclude(
        status__in=(ImportStatus.CHECKING, ImportStatus.RUNNING)
    )
    removed, _ = ImportChunk.objects.filter(usage_import__in=old).delete()
    return removed

"""Imports as rows: made from a command or an upload, carried forward batch by batch, cleared away."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from core.tenancy import organization_scope
from metering.imports.mapping import ColumnMap
from metering.imports.tally import RowProblem, Tally
from metering.models import ImportChunk, ImportProblem, UsageImport

CHUNK_BYTES = 1 << 20
LARGEST_UPLOAD = 100 * 1024 * 1024
KEPT_PROBLEMS = 10_000


class TakenOverError(Exception):
    """Another worker carries this import on; what this one was about to write is undone."""


def create_import(
    organization: Organization, file_name: str, size_bytes: int, *, by: Actor, **fields: Any
) -> UsageImport:
    """Needs the organization's scope."""
    record: UsageImport = UsageImport.objects.create(
        organization=organization,
        file_name=file_name[-200:] or "file",
        size_bytes=size_bytes,
        created_by=by.user,
        created_by_label=by.label[:254],
        **fields,
    )
    return record


def audit_start(record: UsageImport, by: Actor) -> None:
    audit.record(
        by,
        "usage.import",
        record,
        audit.creation(record, ("file_name", "size_bytes", "project")),
        label=record.file_name,
    )


def keep_file(record: UsageImport, chunks: Iterable[bytes]) -> None:
    """Store an uploaded file beside its import. `chunks` may be of any size; memory holds one piece at a time."""
    number, rest = 0, bytearray()
    for chunk in chunks:
        rest += chunk
        while len(rest) >= CHUNK_BYTES:
            _keep(record, number, bytes(rest[:CHUNK_BYTES]))
            del rest[:CHUNK_BYTES]
            number += 1
    if rest:
        _keep(record, number, bytes(rest))


def _keep(record: UsageImport, number: int, content: bytes) -> None:
    ImportChunk.objects.create(
        organization_id=record.organization_id, usage_import=record, number=number, content=content
    )


class KeptFile(io.RawIOBase):
    """An uploaded file, read piece by piece; every piece in a transaction of its own."""

    def __init__(self, record: UsageImport) -> None:
        self._record = record
        self._number = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            with organization_scope(self._record.organization_id):
                chunk = ImportChunk.objects.filter(usage_import=self._record, number=self._number).first()
            if chunk is None:
                return 0
            self._rest = memoryview(bytes(chunk.content))
            self._number += 1
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def mapping_of(record: UsageImport) -> ColumnMap:
    return msgspec.convert(record.mapping, ColumnMap)


def tally_of(document: dict[str, Any]) -> Tally:
    return msgspec.convert(document, Tally)


class RecordJournal:
    """Writes an import's course to its row, in the transaction of the batch. `column` takes the tally."""

    def __init__(self, record: UsageImport, column: str = "tally") -> None:
        self._record = record
        self._column = column

    def advance(self, rows_done: int, bytes_done: int, tally: Tally, problems: Sequence[RowProblem]) -> None:
        record = self._record
        moved = UsageImport.objects.filter(pk=record.pk, worker=record.worker).update(
            rows_done=rows_done,
            bytes_done=bytes_done,
            advanced_at=now(),
            **{self._column: msgspec.to_builtins(tally)},
        )
        if not moved:
            raise TakenOverError
        if problems:
            kept = ImportProblem.objects.filter(usage_import=record).count()
            keep_problems(record, problems[: max(0, KEPT_PROBLEMS - kept)])


def keep_problems(record: UsageImport, problems: Sequence[RowProblem]) -> None:
    ImportProblem.objects.bulk_create(
        ImportProblem(
            organization_id=record.organization_id,
            usage_import=record,
            row=problem.row,
            column=(problem.column or "")[:200],
            field=(problem.field or "")[:200],
            code=problem.code[:60],
            message=problem.message[:500],
            value=(problem.value or "")[:100],
        )
        for problem in problems
    )

"""Rows through the pipeline: batches of events, each stored in a transaction of its own.

What a batch did and how far the file is read are told to `Journal.advance` inside that transaction, so that they
are committed together or not at all.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec
import psycopg
import structlog
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection
from psycopg import errors

from core.tenancy import organization_scope
from metering import pipeline
from metering.directory import Directory
from metering.events import BUCKETS, Usage, UsageEvent
from metering.imports.identity import Occurrences, fingerprint, row_id
from metering.imports.mapping import ColumnMap, RowError, Writer
from metering.imports.reader import FileError, Reader, Row
from metering.imports.tally import RowProblem, Tally
from metering.ingest.batch import parse_value
from metering.pipeline import Rated, Sender
from metering.pricing.book import PriceBook
from metering.store.base import Problem
from metering.store.postgres import StaleClockError

logger = structlog.get_logger(__name__)

BATCH_EVENTS = 4_000
# Rows that are left out move the progress on as well.
BATCH_ROWS = 50_000
# A value that cannot be stored, as opposed to a database that cannot be used.
_BAD_VALUE = (DataError, IntegrityError, psycopg.DataError, psycopg.IntegrityError)
_DATABASE = (DatabaseError, InterfaceError, psycopg.Error)
_SPLIT = (*BUCKETS, "web_searches", "images", "media_ms")


class Journal(Protocol):
    """Where an import writes down what it does."""

    def advance(self, rows_done: int, bytes_done: int, tally: Tally, problems: Sequence[RowProblem]) -> None:
        """A batch is done. Runs in its transaction; an exception undoes the batch."""


Store = Callable[[Sequence[UsageEvent]], list[Rated]]


class StoppedError(Exception):
    """The database fails. What was reported to the journal is stored; the rest is not."""

    def __init__(self, row: int, error: Exception) -> None:
        words = str(error).strip().splitlines() or [type(error).__name__]
        super().__init__(
            f"The database failed at row {row:,} ({words[0]}). Rows before it are stored. Run the same import again."
        )


class Pending(msgspec.Struct, frozen=True):
    """A row on its way: its event, and how many calls it stands for."""

    row: int
    event: UsageEvent
    requests: int


class Importer:
    """One run over a file. `tally` is what the journal knows of, whatever happens meanwhile."""

    def __init__(
        self,
        organization_id: int,
        mapping: ColumnMap,
        store: Store | None = None,
        *,
        project: str | None = None,
        received_at: dt.datetime | None = None,
        batch_events: int = BATCH_EVENTS,
    ) -> None:
        self.tally = Tally()
        self._organization_id = organization_id
        self._mapping = mapping
        self._writer = Writer(mapping, project)
        self._received_at = received_at or dt.datetime.now(dt.UTC)
        self._batch_events = batch_events
        self._store = store or Recorder(organization_id)
        self._occurrences = Occurrences()
        self._begin_batch()

    def run(self, reader: Reader, journal: Journal, *, after_row: int = 0, tally: Tally | None = None) -> Tally:
        """Read the whole file. Rows up to `after_row` are known to be stored: with their `tally`, go on behind them."""
        self.tally = tally or self.tally
        last = after_row
        self._begin_batch()
        try:
            for row in reader:
                if row.number <= after_row:
                    self._recall(row)
                    continue
                self._read(row)
                last = row.number
                self._rows += 1
                is_full = self._events >= self._batch_events or len(self._problems) >= self._batch_events
                if is_full or self._rows >= BATCH_ROWS:
                    self._flush(last, reader, journal)
        except FileError:
            self._flush(last, reader, journal)  # what came before the damage
            raise
        else:
            self._flush(last, reader, journal)
        finally:
            self._occurrences.close()
        return self.tally

    def _begin_batch(self) -> None:
        self._draft = _copy(self.tally)
        self._pending: list[Pending] = []
        self._problems: list[RowProblem] = []
        self._events = self._rows = 0

    # ── A row ──

    def _recall(self, row: Row) -> None:
        """A row that an earlier run stored: only its place among identical rows matters."""
        if row.problem is None and self._writer.is_wanted(row.values):
            try:
                document, _ = self._writer.document(row.values)
            except RowError:
                return
            if not document.get("id"):
                self._id_for(row)

    def _read(self, row: Row) -> None:
        tally = self._draft
        if row.problem is not None:
            tally.rows += 1
            self._refuse(RowProblem(row.number, row.problem.code, row.problem.message))
            return
        if not self._writer.is_wanted(row.values):
            tally.skipped += 1
            return
        try:
            document, requests = self._writer.document(row.values)
        except RowError as error:
            tally.rows += 1
            self._refuse(RowProblem(row.number, error.code, error.message, error.field, error.column, error.value))
            return
        if not requests:
            tally.skipped += 1
            return
        tally.rows += 1
        if not document.get("id"):
            document["id"] = self._id_for(row)
        parsed = parse_value(document, is_strict=False, received_at=self._received_at)
        if parsed.event is not None:
            self._pending.append(Pending(row.number, parsed.event, requests))
            self._events += requests
        elif parsed.problem is not None:
            self._refuse(self._described(row.number, parsed.problem))

    def _id_for(self, row: Row) -> str:
        name = fingerprint(row.values, self._mapping.context)
        return row_id(name, self._occurrences.next(name))

    def _refuse(self, problem: RowProblem) -> None:
        self._draft.invalid += 1
        self._problems.append(problem)

    def _described(self, row: int, problem: Problem) -> RowProblem:
        column = self._mapping.column_of(problem.param)
        return RowProblem(row, problem.code, problem.message, problem.param, column)

    # ── A batch ──

    def _flush(self, last_row: int, reader: Reader, journal: Journal) -> None:
        refused, before = self._problems, self._draft
        for attempt in (1, 2):
            self._draft, self._problems = _copy(before), list(refused)
            try:
                with organization_scope(self._organization_id):
                    self._settle()
                    journal.advance(last_row, reader.bytes_read, self._draft, self._problems)
            except _DATABASE as error:
                if attempt == 2 or not _is_passing(error):
                    raise StoppedError(self._pending[0].row if self._pending else last_row, error) from error
                if connection.connection is None or connection.connection.closed:
                    connection.close()
            else:
                break
        self.tally = self._draft
        self._begin_batch()

    def _settle(self) -> None:
        reported = 0
        calls = ((one.row, event) for one in self._pending for event in spread(one.event, one.requests))
        while batch := list(itertools.islice(calls, self._batch_events)):
            for row, event, rated in self._stored(batch):
                self._draft.add(event.model, event.occurred_at, rated)
                problem = rated.appended.problem if rated.appended else rated.problem
                if problem is not None and row != reported:
                    reported = row  # once, however many calls the row sums up
                    self._problems.append(self._described(row, problem))

    def _stored(self, batch: Sequence[tuple[int, UsageEvent]]) -> Iterator[tuple[int, UsageEvent, Rated]]:
        """Store them; where the database refuses a value, find the one that it refuses and report it."""
        try:
            rated = self._store([event for _, event in batch])
        except _BAD_VALUE as error:
            if len(batch) == 1:
                row, _ = batch[0]
                logger.warning("import_row_refused", row=row, error=str(error))
                self._draft.failed += 1
                message = f"The database refuses these values: {str(error).splitlines()[0]}"
                self._problems.append(RowProblem(row, "unstorable", message))
                return
            middle = len(batch) // 2
            yield from self._stored(batch[:middle])
            yield from self._stored(batch[middle:])
        else:
            for (row, event), one in zip(batch, rated, strict=True):
                yield row, event, one


class Recorder:
    """Stores events by the pipeline; reloads its directory when that may not be true any more."""

    def __init__(self, organization_id: int) -> None:
        self._organization_id = organization_id
        self._book = PriceBook.load()
        self._directory: Directory | None = None

    def __call__(self, events: Sequence[UsageEvent]) -> list[Rated]:
        for attempt in (1, 2):
            if self._directory is None:
                self._directory = Directory.load(self._organization_id)
            try:
                rated = pipeline.record(self._directory, self._book, Sender(), events, dt.datetime.now(dt.UTC))
            except StaleClockError:
                self._directory = None
                if attempt == 2:
                    raise
            except BaseException:
                # Labels learned in a transaction that is undone are not there.
                self._directory = None
                raise
            else:
                return rated
        raise AssertionError("unreachable")


def spread(event: UsageEvent, requests: int) -> Iterator[UsageEvent]:
    """A row that sums up several calls as that many events: exact in sum, each share as even as whole tokens allow."""
    if requests == 1:
        yield event
        return
    usage = event.usage
    shares = {} if usage is None else {name: divmod(getattr(usage, name), requests) for name in _SPLIT}
    for place in range(requests):
        counts = {name: share + (place < rest) for name, (share, rest) in shares.items()}
        yield msgspec.structs.replace(
            event,
            event_id=f"{event.event_id}/{place + 1}",
            usage=None if usage is None else Usage(**counts),
            raw_usage=None,
            is_estimated=True,
        )


def _copy(tally: Tally) -> Tally:
    return msgspec.convert(msgspec.to_builtins(tally), Tally)


def _is_passing(error: Exception) -> bool:
    """Whether trying once more may help: the connection was lost, or another writer was in the way."""
    causes = (error, error.__cause__)
    if any(
        isinstance(cause, errors.DeadlockDetected | errors.SerializationFailure | errors.LockNotAvailable)
        for cause in causes
    ):
        return True
    return connection.connection is None or bool(connection.connection.closed)

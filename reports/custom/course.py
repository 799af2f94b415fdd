"""The course of a result: taken by a worker, written aside, called ready once it is whole; begun anew after a kill.

The file gets its name first and the row learns of it then, so that what is called ready is there. A worker that dies
leaves a row that stands still; beat gives it to another one, which begins anew, `MOST_ATTEMPTS` times in all.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from typing import cast

import structlog
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from django.utils.timezone import now

from core.errors import ApiError
from core.tenancy import organization_scope, unscoped
from reports.custom import MAKERS, storage
from reports.custom.results import Maker, UnmakeableError
from reports.custom.storage import Written
from reports.models import Result, ResultState
from reports.models.custom import KEPT, UNDER_WAY

logger = structlog.get_logger(__name__)

# A worker moves a result on every few seconds; one that was silent for this long is dead.
PATIENCE = dt.timedelta(minutes=2)
MOST_ATTEMPTS = 3
LARGEST_BYTES = 5 * 1024**3
# A row outlives its file, so that a link from a mail still says what became of it.
REMEMBERED = dt.timedelta(days=180)
GIVEN_UP = "The server could not make it, several times over. Ask for it again, or for less at once."
_PAUSE_SECONDS = 1.0


class StoppedError(Exception):
    """It was canceled, or another worker makes it: this one is to stop."""


class Making:
    """A result on its way, as who makes it sees it."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.rows = 0
        self._estimated = result.rows_estimated
        self._told_at = time.monotonic()

    def advance(self, rows: int = 0, estimated: int | None = None) -> None:
        """`rows` more are done, of about `estimated` in all where that is known. Raises StoppedError."""
        self.rows += rows
        self._estimated = self._estimated if estimated is None else estimated
        if time.monotonic() - self._told_at >= _PAUSE_SECONDS:
            self._told_at = time.monotonic()
            self._tell()

    def _tell(self) -> None:
        with organization_scope(self.result.organization_id):
            moved = _held(self.result).update(rows_done=self.rows, rows_estimated=self._estimated, advanced_at=now())
        if not moved:
            raise StoppedError


def make_result(organization_id: int, result_id: int) -> None:
    """Make it, unless it is made, canceled, or in the hands of a worker that moves."""
    result = _take(organization_id, result_id)
    if result is None:
        return
    making = Making(result)
    try:
        maker = cast("Maker", import_string(MAKERS[result.maker]))
        with storage.writing(organization_id, result_id) as written:
            _write(maker, making, written)
            written.keep()
            _finish(making, maker, written)
    except StoppedError:
        logger.info("result_stopped", result_id=result_id)
    except (UnmakeableError, ApiError) as error:
        _fail(result, str(error))
    except Exception:
        # Of the database, of the disk, a mistake of ours: it is tried again with the next beats.
        logger.exception("result_not_made", result_id=result_id, attempt=result.attempts)
        _give_back(result)


def _write(maker: Maker, making: Making, written: Written) -> None:
    for chunk in maker.make(making):
        written.write(chunk)
        if written.size_bytes > LARGEST_BYTES:
            raise UnmakeableError(f"It is larger than {LARGEST_BYTES >> 30} GB. Ask for a shorter range.")
        making.advance()


def _take(organization_id: int, result_id: int) -> Result | None:
    """The result, from now on in this worker's hands."""
    with organization_scope(organization_id):
        result: Result | None = (
            Result.objects.select_for_update(of=("self",)).filter(pk=result_id, state=ResultState.QUEUED).first()
        )
        if result is None:
            return None
        result.state = ResultState.RUNNING
        result.worker = secrets.token_hex(8)
        result.attempts += 1
        result.started_at = result.started_at or now()
        result.advanced_at = now()
        result.rows_done = 0
        result.save(update_fields=["state", "worker", "attempts", "started_at", "advanced_at", "rows_done"])
    return result


def _held(result: Result) -> QuerySet[Result]:
    """It, while it is in this worker's hands."""
    return Result.objects.filter(pk=result.pk, worker=result.worker, state=ResultState.RUNNING)


# ── Ends ──


def _finish(making: Making, maker: Maker, written: Written) -> None:
    """Raises StoppedError for a file that came too late, which is removed."""
    result = making.result
    with organization_scope(result.organization_id):
        ended = _held(result).update(
            state=ResultState.READY,
            stored_as=written.name,
            size_bytes=written.size_bytes,
            sha256=written.sha256,
            rows_done=making.rows,
            finished_at=now(),
            expires_at=now() + KEPT,
        )
        if ended:
            result.refresh_from_db()
            maker.ended(result)
    if not ended:
        storage.remove(result.organization_id, written.name)
        raise StoppedError


def _fail(result: Result, problem: str) -> None:
    with organization_scope(result.organization_id):
        ended = _held(result).update(state=ResultState.FAILED, problem=problem, finished_at=now())
        if ended:
            result.refresh_from_db()
            cast("Maker", import_string(MAKERS[result.maker])).ended(result)


def _give_back(result: Result) -> None:
    if result.attempts >= MOST_ATTEMPTS:
        _fail(result, GIVEN_UP)
        return
    with organization_scope(result.organization_id):
        _held(result).update(state=ResultState.QUEUED, advanced_at=now())


# ── What beat does ──


def stalled(at: dt.datetime) -> list[tuple[int, int]]:
    """(organization, result) of those that nobody makes, which may be made again: their task or worker is lost."""
    with unscoped("beat looks after every organization's results"):
        lost = Result.objects.select_for_update(of=("self",)).filter(state__in=UNDER_WAY, advanced_at__lt=at - PATIENCE)
        found = list(lost)
        again = [result for result in found if result.attempts < MOST_ATTEMPTS]
        # Whoever had one in hand finds it taken away.
        Result.objects.filter(pk__in=[result.pk for result in again]).update(
            state=ResultState.QUEUED, worker="", advanced_at=at
        )
    for result in found:
        if result.attempts >= MOST_ATTEMPTS:
            _fail(result, GIVEN_UP)
    return [(result.organization_id, result.pk) for result in again]


def expire(at: dt.datetime) -> None:
    """Delete the files whose time has come, then rows that nobody asks for any more."""
    with unscoped("beat deletes what every organization kept long enough"):
        old = Result.objects.filter(state=ResultState.READY, expires_at__lt=at)
        gone = list(old.values_list("organization_id", "pk", "stored_as"))
        Result.objects.filter(pk__in=[pk for _, pk, _ in gone]).update(state=ResultState.EXPIRED, stored_as="")
        Result.objects.filter(expires_at__lt=at - REMEMBERED).exclude(state__in=UNDER_WAY).delete()
    for organization_id, _, name in gone:
        storage.remove(organization_id, name)


def sweep(at: dt.datetime) -> int:
    """Remove files without a row."""
    with unscoped("beat compares the disk with every organization's results"):
        ready = Result.objects.filter(state=ResultState.READY)
        known = set(ready.values_list("organization_id", "stored_as"))
    return storage.sweep(known, at)

"""Files of organizations on the disk, below the data directory: written aside, and there as a whole or not at all.

Each ledger has a folder of its own, each organization one in it, and a file has a name that cannot be guessed. Every
process that makes files or hands them out needs this folder (docs/guides/operations.md).
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from django.conf import settings
from django.db import connection

logger = structlog.get_logger(__name__)

FOLDER = "results"
_PART = ".part"
# No file takes longer to be written.
_FORGOTTEN_AFTER = dt.timedelta(days=1)


class Written:
    """A file that is being written. It has its name once `keep` has returned."""

    def __init__(self, organization_id: int, result_id: int) -> None:
        self.name = secrets.token_hex(24)
        self.size_bytes = 0
        self._path = path_of(organization_id, self.name)
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._part = self._path.with_name(f"{result_id}-{self.name}{_PART}")
        self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size_bytes += len(chunk)

    def keep(self) -> None:
        """On the disk for good, under its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """What was not kept goes."""
        self._file.close()
        self._part.unlink(missing_ok=True)


@contextmanager
def writing(organization_id: int, result_id: int) -> Iterator[Written]:
    """The file of a result; what a killed worker left of it goes."""
    for path in path_of(organization_id, "").glob(f"{result_id}-*{_PART}"):
        path.unlink(missing_ok=True)
    written = Written(organization_id, result_id)
    try:
        yield written
    finally:
        written.discard()


def path_of(organization_id: int, name: str) -> Path:
    return _root() / str(organization_id) / name


def remove(organization_id: int, name: str) -> None:
    path_of(organization_id, name).unlink(missing_ok=True)


def sweep(known: set[tuple[int, str]], at: dt.datetime) -> int:
    """Remove what no row speaks of any more: of killed workers, of organizations that are gone. Returns how many."""
    removed = 0
    kept = {(str(organization_id), name) for organization_id, name in known}
    for path in _root().glob("*/*"):
        if (path.parent.name, path.name) in kept:
            continue
        if dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) < at - _FORGOTTEN_AFTER:
            path.unlink(missing_ok=True)
            removed += 1
    if removed:
        logger.info("result_files_swept", files=removed)
    return removed


def _root() -> Path:
    return Path(settings.DATA_DIR) / FOLDER / _ledger()


@functools.cache
def _ledger() -> str:
    """The name of the ledger that the database holds; files of another one are none of ours."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tokenledger_installation_id()")
        return str(cursor.fetchone()[0])

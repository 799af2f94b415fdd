"""What the gateway owes the ledger, on local disk: calls under way and calls answered but not stored yet.

A journal of records, appended with one write each, so that it survives the end of the process at any moment, also by
`kill -9`; what could not be stored at once is flushed to the disk itself. Every process has a journal of its own and
keeps it locked while it lives. A journal nobody locks is a dead process's: whoever finds it takes its debts over.

A record is its length and checksum, then MessagePack. A record that was cut off ends its journal.
"""

from __future__ import annotations

import fcntl
import os
import struct
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from metering.events import UsageEvent
from metering.pipeline import Sender

logger = structlog.get_logger(__name__)

# Beyond this a journal is begun anew with what is still owed, which is little.
LARGEST_BYTES = 16 * 1024 * 1024
_SUFFIX = ".journal"
_HEAD = struct.Struct("<II")


class Debt(msgspec.Struct, frozen=True, tag="debt"):
    """An event to be stored. `is_open`: its call is under way, and this is what is kept if nothing more is heard."""

    organization_id: int
    sender: Sender
    event: UsageEvent
    is_open: bool
    hold_id: uuid.UUID | None = None


class Paid(msgspec.Struct, frozen=True, tag="paid"):
    event_id: str


_DECODER = msgspec.msgpack.Decoder(Debt | Paid)
_ENCODER = msgspec.msgpack.Encoder()


class Spool:
    """Not safe for threads: one event loop's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owed: dict[str, Debt] = {}
        self._file = -1
        self._path = folder
        self._size = 0

    def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._begin()

    def close(self) -> None:
        """Debts that are left stay on the disk for the next process."""
        if not self._owed:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, debt: Debt) -> None:
        """A later debt for the same event takes the place of the earlier one."""
        self._owed[debt.event.event_id] = debt
        self._append(_ENCODER.encode(debt))

    def pay(self, event_id: str) -> None:
        """The event is stored, or was never to be."""
        if self._owed.pop(event_id, None) is not None:
            self._append(_ENCODER.encode(Paid(event_id)))
            if self._size > LARGEST_BYTES:
                self._begin()

    def flush(self) -> None:
        """Blocks until the disk has it."""
        os.fdatasync(self._file)

    def adopt(self) -> list[Debt]:
        """Take over what processes that ended without a word left behind."""
        adopted: list[Debt] = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            file = _lock(path)
            if file is None:
                continue
            try:
                debts = _owed(path)
                for debt in debts:
                    self.owe(msgspec.structs.replace(debt, is_open=False))
                self.flush()
                path.unlink(missing_ok=True)
                adopted += debts
            finally:
                os.close(file)
        if adopted:
            logger.warning("spool_adopted", events=len(adopted))
        return adopted

    def _append(self, record: bytes) -> None:
        data = _HEAD.pack(len(record), zlib.crc32(record)) + record
        written = os.write(self._file, data)
        if written != len(data):
            raise OSError(f"the spool took {written} of {len(data)} bytes")
        self._size += len(data)

    def _begin(self) -> None:
        """A new journal with what is owed; it is locked before it can be seen, and the old one goes after that."""
        before, old_path = self._file, self._path
        name = uuid.uuid4().hex
        unseen = self._folder / f"{name}.new"
        self._file = os.open(unseen, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._size = 0
        for debt in self._owed.values():
            self._append(_ENCODER.encode(debt))
        self._path = unseen.rename(self._folder / f"{name}{_SUFFIX}")
        if before >= 0:
            old_path.unlink(missing_ok=True)
            os.close(before)


def _lock(path: Path) -> int | None:
    """The journal, locked; None when its process lives, or somebody else was faster."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def _owed(path: Path) -> list[Debt]:
    owed: dict[str, Debt] = {}
    for record in _records(path):
        if isinstance(record, Debt):
            owed[record.event.event_id] = record
        else:
            owed.pop(record.event_id, None)
    return list(owed.values())


def _records(path: Path) -> Iterator[Debt | Paid]:
    data = path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        record = data[at + _HEAD.size : at + _HEAD.size + length]
        at += _HEAD.size + length
        if len(record) < length or zlib.crc32(record) != checksum:
            logger.error("spool_cut_off", path=str(path), at=at)
            return
        yield _DECODER.decode(record)

"""What the gateway owes the ledger, on local disk: calls under way and calls answered but not stored yet.

A journal of records, appended with one write each, so that it survives the end of the process at any moment, also by
`kill -9`; what could not be stored at once is flushed to the disk itself. Every process has a journal of its own and
keeps it locked while it lives. A journal nobody locks is a dead process's: whoever finds it takes its debts over.
Each ledger has a folder of its own, because debts name organizations by their numbers.

A record is its length and checksum, then MessagePack. A record that was cut off ends its journal. What cannot be read
of a dead process's journal is kept aside, for people.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import math
import os
import struct
import time
import uuid
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from metering import telemetry
from metering.events import UsageEvent
from metering.pipeline import Sender

logger = structlog.get_logger(__name__)

# Beyond this a journal is begun anew with what is still owed, once that is little of it.
LARGEST_BYTES = 16 * 1024 * 1024
# How often a journal that could not be written is tried to be begun anew.
PAUSE_SECONDS = 1.0
_SUFFIX = ".journal"
_ASIDE = ".unreadable"
_HEAD = struct.Struct("<II")


class Debt(msgspec.Struct, frozen=True, tag="debt"):
    """An event to be stored. `is_open`: nothing more was heard of its call than that it was about to be made."""

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
    """Not safe for threads: one event loop's. `root` is shared by the processes of a machine.

    While the disk refuses, debts are kept in memory, and come into the journal once it can be written again.
    """

    def __init__(self, root: Path) -> None:
        self._root = self._folder = root
        self._owed: dict[str, bytes] = {}
        self._owed_bytes = 0
        self._file = -1
        self._path = root
        self._size = 0
        # The journal lacks something that is owed or paid.
        self._is_behind = True
        self._try_again_at = math.inf
        self._refused: set[Path] = set()

    def open(self, ledger: str) -> None:
        """Begin a journal of the ledger of this name. Raises OSError."""
        self._folder = self._root / ledger
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._begin()
        for path in self._root.glob(f"*/*{_SUFFIX}"):
            if path.parent != self._folder:
                logger.warning("spool_of_another_ledger", path=str(path))

    def close(self) -> None:
        """Debts that are left stay on the disk for the next process."""
        if self._file < 0:
            return
        if not self._owed:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1
        self._is_behind, self._try_again_at = True, math.inf

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, *debts: Debt) -> bool:
        """A later debt for the same event takes the place of the earlier one. Returns whether the journal has it."""
        try:
            records = {debt.event.event_id: _framed(_ENCODER.encode(debt)) for debt in debts}
        except OverflowError:
            # A number of an upstream's beyond all bounds, which MessagePack has not. It is stored nevertheless.
            logger.exception("spool_unwritable_event", event_ids=[debt.event.event_id for debt in debts])
            return False
        for event_id, record in records.items():
            self._forget(event_id)
            self._owed[event_id] = record
            self._owed_bytes += len(record)
        return self._append(b"".join(records.values()))

    def pay(self, event_ids: Iterable[str]) -> None:
        """The events are stored, or were never to be. A record that is lost lets an heir store one again, once."""
        paid = [event_id for event_id in event_ids if self._forget(event_id)]
        if paid:
            self._append(b"".join(_framed(_ENCODER.encode(Paid(event_id))) for event_id in paid))

    async def flush(self) -> bool:
        """Returns, once the disk has it, whether it has."""
        if self._is_behind and not self._catch_up():
            return False
        # Of its own, because the journal may be begun anew meanwhile.
        file = os.dup(self._file)
        try:
            await asyncio.to_thread(_flush, file)
        except OSError as error:
            self._fell_behind(error)
            return False
        return True

    async def adopt(self) -> AsyncIterator[list[Debt]]:
        """Take over what processes that ended without a word left behind, one process after the other."""
        if self._file < 0:
            return
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            try:
                debts = await self._adopt(path)
            except OSError as error:
                # Another user's, perhaps, and alive: it is left where it is.
                if path not in self._refused:
                    self._refused.add(path)
                    telemetry.SPOOL_UNREADABLE.inc()
                    logger.exception("spool_refused", path=str(path), error=repr(error))
                continue
            if debts:
                logger.warning("spool_adopted", path=str(path), events=len(debts))
                yield debts

    async def _adopt(self, path: Path) -> list[Debt]:
        """The debts of one journal, once they are in this one and that one is gone; none when that cannot be yet."""
        file = _lock(path)
        if file is None:
            return []
        try:
            with open(file, "rb", closefd=False) as journal:
                debts, is_whole = _read(journal.read(), path)
            if debts and not (self.owe(*debts) and await self.flush()):
                for debt in debts:
                    self._forget(debt.event.event_id)
                return []
            _put_away(path, is_whole=is_whole)
            return debts
        finally:
            os.close(file)

    # ── The journal ──

    def _forget(self, event_id: str) -> bool:
        record = self._owed.pop(event_id, None)
        if record is None:
            return False
        self._owed_bytes -= len(record)
        return True

    def _append(self, data: bytes) -> bool:
        if self._is_behind:
            return self._catch_up()
        try:
            _write(self._file, data, self._size)
        except OSError as error:
            self._fell_behind(error)
            return False
        self._size += len(data)
        if self._size > LARGEST_BYTES and self._size > 2 * self._owed_bytes:
            self._begin_anew()
        return True

    def _fell_behind(self, error: OSError) -> None:
        telemetry.SPOOL_FAILURES.inc()
        if not self._is_behind:
            logger.error("spool_unwritable", path=str(self._path), owed=len(self._owed), error=repr(error))
        self._is_behind = True
        self._try_again_at = time.monotonic() + PAUSE_SECONDS

    def _catch_up(self) -> bool:
        return time.monotonic() >= self._try_again_at and self._begin_anew()

    def _begin_anew(self) -> bool:
        try:
            self._begin()
        except OSError as error:
            self._fell_behind(error)
            return False
        return True

    def _begin(self) -> None:
        """A new journal with what is owed; it is locked before it can be seen, and the old one goes after that."""
        name = uuid.uuid4().hex
        unseen = self._folder / f"{name}.new"
        file = os.open(unseen, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self._owed:
                _write(file, b"".join(self._owed.values()), 0)
                # The old one may have been flushed.
                os.fdatasync(file)
            path = unseen.rename(self._folder / f"{name}{_SUFFIX}")
        except OSError:
            os.close(file)
            unseen.unlink(missing_ok=True)
            raise
        before, old_path = self._file, self._path
        self._file, self._path, self._size = file, path, self._owed_bytes
        self._is_behind = False
        if before >= 0:
            try:
                old_path.unlink(missing_ok=True)
            finally:
                os.close(before)


def _framed(record: bytes) -> bytes:
    return _HEAD.pack(len(record), zlib.crc32(record)) + record


def _write(file: int, data: bytes, at: int) -> None:
    """Append at the file's end, which is `at`: all of it, or nothing and OSError."""
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(file, left) :]
    except OSError:
        # Where not even this is possible, nothing more is written to the file.
        with suppress(OSError):
            os.ftruncate(file, at)
        raise


def _flush(file: int) -> None:
    try:
        os.fdatasync(file)
    finally:
        os.close(file)


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
    if os.fstat(file).st_nlink == 0:
        # Its process began a new one, or an heir was faster, between the two.
        os.close(file)
        return None
    return file


def _put_away(path: Path, *, is_whole: bool) -> None:
    """A journal whose debts are in another. Where it cannot be, they are found again, which changes nothing."""
    if not is_whole:
        telemetry.SPOOL_UNREADABLE.inc()
    try:
        if is_whole:
            path.unlink(missing_ok=True)
        else:
            path.rename(path.with_suffix(_ASIDE))
    except OSError as error:
        logger.exception("spool_not_put_away", path=str(path), error=repr(error))


def _read(data: bytes, path: Path) -> tuple[list[Debt], bool]:
    """What a journal says is owed, and whether all of it could be read."""
    owed: dict[str, Debt] = {}
    at, is_whole = 0, True
    while at < len(data):
        record = _record(data, at)
        if record is None:
            logger.error("spool_cut_off", path=str(path), at=at)
            return list(owed.values()), False
        try:
            found = _DECODER.decode(record)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Written by another version of this program. What comes after it is sound.
            logger.exception("spool_record_unreadable", path=str(path), at=at)
            is_whole = False
        else:
            if isinstance(found, Debt):
                owed[found.event.event_id] = found
            else:
                owed.pop(found.event_id, None)
        at += _HEAD.size + len(record)
    return list(owed.values()), is_whole


def _record(data: bytes, at: int) -> bytes | None:
    """The record that begins there; None for one that was cut off or is damaged."""
    if at + _HEAD.size > len(data):
        return None
    length, checksum = _HEAD.unpack_from(data, at)
    record = data[at + _HEAD.size : at + _HEAD.size + length]
    return record if len(record) == length and zlib.crc32(record) == checksum else None


# ── Looked at from outside ──


class Backlog(msgspec.Struct, frozen=True):
    """What the journals of this machine owe, those of living processes too..

    `waiting` are answered and not stored, the oldest of `oldest_at`; `under_way` were about to be made when last heard
    of. `unreadable` are journals that were put aside for people.
    """

    waiting: int
    under_way: int
    oldest_at: dt.datetime | None
    unreadable: int


def read_backlog(root: Path) -> Backlog:
    """Raises OSError where the disk refuses."""
    debts = [debt for path in sorted(root.glob(f"*/*{_SUFFIX}")) for debt in _owed_in(path)]
    waiting = [debt.event.occurred_at for debt in debts if not debt.is_open]
    return Backlog(
        len(waiting), len(debts) - len(waiting), min(waiting, default=None), len(list(root.glob(f"*/*{_ASIDE}")))
    )


def _owed_in(path: Path) -> Iterable[Debt]:
    """A journal's debts. It may be growing: a record that is not whole yet is nobody's mistake."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()  # its process has just settled everything
    owed: dict[str, Debt] = {}
    at = 0
    while (record := _record(data, at)) is not None:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            found = _DECODER.decode(record)
            if isinstance(found, Debt):
                owed[found.event.event_id] = found
            else:
                owed.pop(found.event_id, None)
        at += _HEAD.size + len(record)
    return owed.values()

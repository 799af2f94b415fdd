"""The spool keeps what is owed across the end of a process at any moment, and gives it to one heir only."""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import os
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metering.events import Usage, UsageEvent
from metering.gateway import spool as spools
from metering.gateway.spool import Debt, Spool
from metering.pipeline import Sender


def debt(event_id: str, *, is_open: bool = False, tokens: int = 5) -> Debt:
    event = UsageEvent(
        event_id=event_id, occurred_at=dt.datetime(2026, 6, 1, tzinfo=dt.UTC), model="gpt-4o",
        usage=Usage(input=tokens),
        raw_usage={"prompt_tokens": tokens}, detail={"files": [{"id": "f", "name": None}]}, body_hash=b"\x00\xff",
    )  # fmt: skip
    return Debt(1, Sender(2, 3, 4), event, is_open=is_open)


LEDGER = "a-ledger"


def journals(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.journal"))


def set_aside(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.unreadable"))


def new_spool(root: Path, ledger: str = LEDGER) -> Spool:
    spool = Spool(root)
    spool.open(ledger)
    return spool


def adopt(spool: Spool) -> list[Debt]:
    async def all_of_them() -> list[Debt]:
        return [debt async for debts in spool.adopt() for debt in debts]

    return asyncio.run(all_of_them())


def adopted_ids(spool: Spool) -> list[str]:
    return [debt.event.event_id for debt in adopt(spool)]


def flush(spool: Spool) -> bool:
    return asyncio.run(spool.flush())


@contextmanager
def full_disk(room: int = 0) -> Iterator[None]:
    """No file of this process may grow beyond `room` bytes: writes come to a stop in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def abandon(spool: Spool) -> None:
    """As the end of its process would."""
    os.close(spool._file)


def test_debts_survive_and_have_one_heir(tmp_path: Path) -> None:
    first = new_spool(tmp_path)
    first.owe(debt("a", is_open=True))
    first.owe(debt("b", is_open=True))
    first.owe(debt("b", tokens=9))
    first.owe(debt("c"))
    first.pay(["c"])
    heir, other = new_spool(tmp_path), new_spool(tmp_path)
    assert adopt(heir) == []  # it lives
    abandon(first)
    adopted = adopt(heir)
    assert [(one.event.event_id, one.event.usage, one.is_open) for one in adopted] == [
        ("a", Usage(input=5), True), ("b", Usage(input=9), False),
    ]  # fmt: skip
    assert adopted[1] == debt("b", tokens=9)
    assert adopt(other) == []
    assert len(heir) == 2
    abandon(heir)
    # What was heard of a call is known however often it is inherited.
    assert [(one.event.event_id, one.is_open) for one in adopt(other)] == [("a", True), ("b", False)]


def test_nothing_owed_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.owe(debt("a"))
    spool.pay(["a"])
    spool.close()
    assert list((tmp_path / LEDGER).iterdir()) == []


def test_a_closed_spool_with_debts_is_inherited(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.owe(debt("a"))
    spool.close()
    assert adopted_ids(new_spool(tmp_path)) == ["a"]


def test_a_long_journal_begins_anew_with_what_is_owed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "LARGEST_BYTES", 20_000)
    spool = new_spool(tmp_path)
    spool.owe(debt("kept", is_open=True))
    (path,) = journals(tmp_path)
    for number in range(200):
        spool.owe(debt(f"e{number}"))
        spool.pay([f"e{number}"])
    (later,) = journals(tmp_path)
    assert later != path
    assert later.stat().st_size < 40_000
    abandon(spool)
    assert adopted_ids(new_spool(tmp_path)) == ["kept"]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_record_that_was_cut_off_ends_the_journal(tmp_path: Path, cut: int) -> None:
    spool = new_spool(tmp_path)
    spool.owe(debt("a"))
    spool.owe(debt("b"))
    abandon(spool)
    (path,) = journals(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert adopted_ids(new_spool(tmp_path)) == ["a"]
    # Somebody may make out what the rest was.
    assert [kept.name for kept in set_aside(tmp_path)] == [path.with_suffix(".unreadable").name]


def test_a_damaged_record_ends_the_journal(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.owe(debt("a"))
    size = spool._size
    spool.owe(debt("b"))
    abandon(spool)
    (path,) = journals(tmp_path)
    data = bytearray(path.read_bytes())
    data[size + 20] ^= 0xFF
    path.write_bytes(bytes(data))
    assert adopted_ids(new_spool(tmp_path)) == ["a"]
    assert [kept.read_bytes() for kept in set_aside(tmp_path)] == [bytes(data)]


KILLED = """
import os, signal, sys
from pathlib import Path
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
from tests.metering.gateway.test_spool import debt, new_spool
spool = new_spool(Path(sys.argv[1]))
for number in range(50):
    spool.owe(debt(f"e{number:02}"))
spool.pay(["e07"])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_all_of_it(tmp_path: Path) -> None:
    environ = os.environ | {"DEBUG": "1", "TOKENLEDGER_EMBEDDED": "off", "DATABASE_URL": "postgres://nowhere/none"}
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert adopted_ids(new_spool(tmp_path)) == [f"e{number:02}" for number in range(50) if number != 7]


# ── Journals that are not as they should be ──


def leave(root: Path, name: str, *event_ids: str) -> Path:
    """A journal of a process that ended, under a name that says when it is found."""
    spool = new_spool(root)
    spool.owe(*map(debt, event_ids))
    abandon(spool)
    return spool._path.rename(spool._path.with_name(f"{name}.journal"))


def test_a_record_of_another_version_keeps_nothing_from_being_adopted(tmp_path: Path) -> None:
    foreign = leave(tmp_path, "1", "a")
    record = msgspec.msgpack.encode({"type": "debt", "organization_id": 1})
    head = struct.pack("<II", len(record), zlib.crc32(record))
    foreign.write_bytes(head + record + foreign.read_bytes())
    leave(tmp_path, "2", "b")
    heir = new_spool(tmp_path)
    assert adopted_ids(heir) == ["a", "b"]
    assert [kept.name for kept in set_aside(tmp_path)] == ["1.unreadable"]
    assert adopt(heir) == []


def test_what_cannot_be_opened_is_passed_over(tmp_path: Path) -> None:
    leave(tmp_path, "1", "a")
    (tmp_path / LEDGER / "2.journal").mkdir()
    leave(tmp_path, "3", "b")
    heir = new_spool(tmp_path)
    assert adopted_ids(heir) == ["a", "b"]
    assert adopt(heir) == []
    assert (tmp_path / LEDGER / "2.journal").is_dir()


def test_what_was_adopted_is_told_before_the_next_journal_is_looked_at(tmp_path: Path) -> None:
    """Should the heir end in between, it owes what it took and nobody lost anything."""
    leave(tmp_path, "1", "a")
    later = leave(tmp_path, "2", "b")
    heir = new_spool(tmp_path)

    async def first() -> list[Debt]:
        async for debts in heir.adopt():
            return debts
        return []

    assert [one.event.event_id for one in asyncio.run(first())] == ["a"]
    assert later.exists()
    abandon(heir)
    assert sorted(adopted_ids(new_spool(tmp_path))) == ["a", "b"]


def test_an_owner_that_begins_anew_while_somebody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal that is open here is no file any more when its lock is free."""
    owner, heir = new_spool(tmp_path), new_spool(tmp_path)
    owner.owe(debt("a"))
    lock, opened = fcntl.flock, str(owner._path)

    def begins_anew(file: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB and str(Path(f"/proc/self/fd/{file}").readlink()) == opened:
            owner._begin()
        lock(file, operation)

    monkeypatch.setattr(spools.fcntl, "flock", begins_anew)
    assert adopt(heir) == []
    assert not Path(opened).exists()
    abandon(owner)
    monkeypatch.undo()
    assert adopted_ids(heir) == ["a"]


def test_a_ledger_does_not_get_what_is_owed_to_another(tmp_path: Path) -> None:
    abandon_me = new_spool(tmp_path, "one")
    abandon_me.owe(debt("a"))
    abandon(abandon_me)
    assert adopt(new_spool(tmp_path, "another")) == []
    assert adopted_ids(new_spool(tmp_path, "one")) == ["a"]


# ── Disks that refuse ──


def test_a_write_that_stops_halfway_spoils_nothing(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    assert spool.owe(debt("a"))
    with full_disk(spool._size + 30):
        assert not spool.owe(debt("b"))
        assert not spool.owe(debt("c"))
    assert spool._path.stat().st_size == spool._size
    spool._try_again_at = time.monotonic()
    assert spool.owe(debt("d"))
    abandon(spool)
    assert adopted_ids(new_spool(tmp_path)) == ["a", "b", "c", "d"]
    assert set_aside(tmp_path) == []


def test_what_was_owed_meanwhile_comes_to_the_disk_with_the_next_flush(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    with full_disk():
        assert not spool.owe(debt("a"))
        assert not flush(spool)
    spool._try_again_at = time.monotonic()
    assert flush(spool)
    abandon(spool)
    assert adopted_ids(new_spool(tmp_path)) == ["a"]


def test_a_full_disk_does_not_swallow_what_is_adopted(tmp_path: Path) -> None:
    left = leave(tmp_path, "1", "a")
    heir = new_spool(tmp_path)
    with full_disk():
        assert adopt(heir) == []
        assert len(heir) == 0
    assert left.exists()
    heir._try_again_at = time.monotonic()
    flush(heir)
    assert adopted_ids(heir) == ["a"]


def test_before_its_ledger_is_known_a_spool_keeps_debts_in_memory(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert not spool.owe(debt("a"))
    assert not flush(spool)
    assert adopt(spool) == []
    spool.open(LEDGER)
    abandon(spool)
    assert adopted_ids(new_spool(tmp_path)) == ["a"]


def test_a_number_beyond_all_bounds_is_no_error_of_the_disk(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    one = debt("a")
    event = msgspec.structs.replace(one.event, raw_usage={"prompt_tokens": 2**70})
    assert not spool.owe(msgspec.structs.replace(one, event=event))
    assert spool.owe(debt("b"))


# ── Speed ──


def writes_of(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    write = os.write

    def counted(file: int, data: Any) -> int:
        sizes.append(len(data))
        return write(file, data)

    monkeypatch.setattr(spools.os, "write", counted)
    return sizes


def test_many_are_paid_with_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = new_spool(tmp_path)
    for number in range(500):
        spool.owe(debt(f"e{number}"))
    sizes = writes_of(monkeypatch)
    spool.pay([f"e{number}" for number in range(500)] + ["unheard of"])
    assert len(sizes) == 1
    abandon(spool)
    assert adopt(new_spool(tmp_path)) == []


def test_a_journal_full_of_debts_is_not_begun_anew_with_each_payment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "LARGEST_BYTES", 20_000)
    spool = new_spool(tmp_path)
    for number in range(400):
        spool.owe(debt(f"e{number}"))
    sizes = writes_of(monkeypatch)
    for number in range(400):
        spool.pay([f"e{number}"])
    # Each time half of what there was: 1/2 + 1/4 + … of it.
    assert sum(sizes) < 2.5 * 400 * len(spools._ENCODER.encode(debt("e100")))
    assert len([size for size in sizes if size > 1_000]) < 10
    assert spool._size < 60_000

"""The spool keeps what is owed across the end of a process at any moment, and gives it to one heir only."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

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


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


def new_spool(folder: Path) -> Spool:
    spool = Spool(folder)
    spool.open()
    return spool


def abandon(spool: Spool) -> None:
    """As the end of its process would."""
    os.close(spool._file)


def test_debts_survive_and_have_one_heir(tmp_path: Path) -> None:
    first = new_spool(tmp_path)
    first.owe(debt("a", is_open=True))
    first.owe(debt("b", is_open=True))
    first.owe(debt("b", tokens=9))
    first.owe(debt("c"))
    first.pay("c")
    heir, other = new_spool(tmp_path), new_spool(tmp_path)
    assert heir.adopt() == []  # it lives
    abandon(first)
    adopted = heir.adopt()
    assert [(one.event.event_id, one.event.usage, one.is_open) for one in adopted] == [
        ("a", Usage(input=5), True), ("b", Usage(input=9), False),
    ]  # fmt: skip
    assert adopted[1] == debt("b", tokens=9)
    assert other.adopt() == []
    assert len(heir) == 2
    abandon(heir)
    assert [one.event.event_id for one in other.adopt()] == ["a", "b"]


def test_nothing_owed_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.owe(debt("a"))
    spool.pay("a")
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_closed_spool_with_debts_is_inherited(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.owe(debt("a"))
    spool.close()
    assert [one.event.event_id for one in new_spool(tmp_path).adopt()] == ["a"]


def test_a_long_journal_begins_anew_with_what_is_owed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "LARGEST_BYTES", 20_000)
    spool = new_spool(tmp_path)
    spool.owe(debt("kept", is_open=True))
    (path,) = journals(tmp_path)
    for number in range(200):
        spool.owe(debt(f"e{number}"))
        spool.pay(f"e{number}")
    (later,) = journals(tmp_path)
    assert later != path
    assert later.stat().st_size < 40_000
    abandon(spool)
    assert [one.event.event_id for one in new_spool(tmp_path).adopt()] == ["kept"]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_record_that_was_cut_off_ends_the_journal(tmp_path: Path, cut: int) -> None:
    spool = new_spool(tmp_path)
    spool.owe(debt("a"))
    spool.owe(debt("b"))
    abandon(spool)
    (path,) = journals(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert [one.event.event_id for one in new_spool(tmp_path).adopt()] == ["a"]


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
    assert [one.event.event_id for one in new_spool(tmp_path).adopt()] == ["a"]


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
spool.pay("e07")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_all_of_it(tmp_path: Path) -> None:
    environ = os.environ | {"DEBUG": "1", "TOKENLEDGER_EMBEDDED": "off", "DATABASE_URL": "postgres://nowhere/none"}
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    found = [one.event.event_id for one in new_spool(tmp_path).adopt()]
    assert found == [f"e{number:02}" for number in range(50) if number != 7]

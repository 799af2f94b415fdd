"""What the demo started ends with it, and what it cannot use it names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from config import embedded
from config.demo.environment import join, prepare

ROOT = Path(__file__).resolve().parents[2]
SUPERVISE = """
import sys
sys.path.insert(0, {root!r})
from config.demo.supervisor import Supervisor
supervisor = Supervisor()
for number in range(2):
    supervisor.start("sleeper", ["sleep", "1000"])
print(*(child.pid for _, child in supervisor._children), flush=True)
if sys.stdin.readline():
    supervisor.stop()
else:
    sys.stdin.read()
"""


def supervised() -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE.format(root=str(ROOT))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, [int(number) for number in process.stdout.readline().split()]


def wait_until_gone(numbers: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(n) and psutil.Process(n).status() != psutil.STATUS_ZOMBIE for n in numbers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_supervisor_leaves_no_child() -> None:
    process, children = supervised()
    assert len(children) == 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until_gone(children)


def test_a_stopped_supervisor_leaves_no_child() -> None:
    process, children = supervised()
    process.communicate("stop\n")
    assert process.returncode == 0
    wait_until_gone(children)


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "manage.py", "demo", *arguments]
    return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False, timeout=60)


def test_what_cannot_be_used_is_named_in_one_line(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    refused = demo("--data-dir", str(taken / "below"))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"{taken}/below cannot be used" in refused.stderr
    refused = demo("--data-dir", str(tmp_path / "data"), "--port", "70000")
    assert refused.returncode == 1
    assert refused.stderr.strip() == "CommandError: --port is a number from 1 to 65535."


def test_the_secret_is_made_once_and_shared_with_the_commands_beside(tmp_path: Path) -> None:
    first: dict[str, str] = {}
    second: dict[str, str] = {}
    beside = {"TOKENLEDGER_DATA_DIR": str(tmp_path / "data")}
    prepare(["demo", "--data-dir", str(tmp_path / "data")], first)
    prepare(["demo", f"--data-dir={tmp_path / 'data'}"], second)
    join(beside)
    assert len(first["SECRET_KEY"]) == 64
    assert first["SECRET_KEY"] == second["SECRET_KEY"] == beside["SECRET_KEY"]
    assert (tmp_path / "data/demo.env").stat().st_mode & 0o777 == 0o600


def test_sockets_lie_where_nobody_else_can_have_put_them(tmp_path: Path) -> None:
    place = embedded._redis_socket(tmp_path / "redis").parent
    try:
        assert place.stat().st_mode & 0o777 == 0o700
        place.chmod(0o755)
        with pytest.raises(embedded.EmbeddedServerError, match="somebody else's"):
            embedded._redis_socket(tmp_path / "redis")
        place.rmdir()
        place.symlink_to(tmp_path)
        with pytest.raises(embedded.EmbeddedServerError, match="somebody else's"):
            embedded._redis_socket(tmp_path / "redis")
    finally:
        place.unlink() if place.is_symlink() else place.rmdir()

"""The embedded engines: shared while used, gone when not, whatever happened to their users."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from config import embedded

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import os, sys, time
sys.path.insert(0, {root!r})
from config import embedded
embedded.provide(durable=False)
print(os.environ["DATABASE_URL"], os.environ["REDIS_URL"], flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the engines of a directory until told to leave."""

    def __init__(self, directory: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        environment["TOKENLEDGER_DATA_DIR"] = str(directory)
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD.format(root=str(ROOT))],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.urls = self.process.stdout.readline().split()
        assert len(self.urls) == 2

    def leave(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def die(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def servers(directory: Path) -> list[psutil.Process]:
    """The engines whose files are in a directory; postgres names it, Redis works in it."""
    found = []
    for process in psutil.process_iter():
        try:
            is_postgres = str(directory) in " ".join(process.cmdline()) and process.name() == "postgres"
            is_redis = process.name() == "redis-server" and process.cwd().startswith(str(directory))
        except psutil.Error:
            continue
        if is_postgres or is_redis:
            found.append(process)
    return found


def wait_until_gone(directory: Path) -> None:
    deadline = time.monotonic() + 20
    while servers(directory):
        assert time.monotonic() < deadline, servers(directory)
        time.sleep(0.1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    # pytest's own directories are closed to the account that root lends to PostgreSQL.
    for path in (tmp_path, *tmp_path.parents[:3]):
        if path != Path("/tmp") and path.owner() == Path.home().owner():
            path.chmod(0o755)
    return tmp_path / "data"


def test_two_users_share_one_server_and_the_last_one_stops_it(directory: Path) -> None:
    first, second = User(directory), User(directory)
    assert first.urls == second.urls
    first.leave()
    assert servers(directory)
    second.leave()
    wait_until_gone(directory)


def test_what_a_killed_user_left_is_found_and_stopped_by_the_next(directory: Path) -> None:
    first = User(directory)
    first.die()
    assert servers(directory)
    second = User(directory)
    assert second.urls == first.urls
    second.leave()
    wait_until_gone(directory)


def test_given_urls_are_left_alone(directory: Path) -> None:
    environ = {"DATABASE_URL": "postgres://a/b", "REDIS_URL": "redis://c", "TOKENLEDGER_DATA_DIR": str(directory)}
    embedded.provide(environ)
    assert environ["DATABASE_URL"] == "postgres://a/b"
    assert not directory.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends its servers another account")
def test_root_in_a_directory_nobody_else_may_enter(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    user = User(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    user.leave()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends its servers another account")
def test_root_with_packages_nobody_else_may_enter(tmp_path: Path) -> None:
    """A checkout below /root, or below what mktemp makes: the binaries run from a copy, with their libraries."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installed = embedded._postgres_binaries()
    for name in (installed.parent.name, f"{installed.parent.name}.libs"):
        shutil.copytree(installed.parent.with_name(name), closed / name, symlinks=True)
    account = embedded._server_account()
    own = closed / installed.parent.name / installed.name
    os.utime(own)
    data, install = embedded._reachable(closed / "data", own, account)
    try:
        assert install != own
        said = subprocess.run(
            [install / "bin/initdb", "--version"],
            capture_output=True,
            text=True,
            cwd="/",
            **embedded._identity(account),
        )
        assert said.stdout.startswith("initdb (PostgreSQL) 18"), said.stderr
    finally:
        home = Path("/var/lib/tokenledger")
        shutil.rmtree(home / install.relative_to(home).parts[0])
        data.rmdir()

"""Processes that are measured: databases of the benchmark's own, servers on free ports, and what they cost."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90.0
STOP_SECONDS = 15.0
UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")


def own_databases(kept: Path | None = None, **environ: str) -> Path:
    """Start a durable PostgreSQL and a Redis for this process alone, in `kept` or a folder that goes with the process.

    Returns the folder.
    """
    from config import embedded

    directory = kept or Path(tempfile.mkdtemp(prefix="tokenledger-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    os.environ |= {"TOKENLEDGER_DATA_DIR": str(directory), "DEBUG": "0", "SECRET_KEY": "only-for-the-benchmark",
                   "DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "WARNING"} | environ  # fmt: skip
    for name in ("DATABASE_URL", "REDIS_URL", "TOKENLEDGER_EMBEDDED"):
        os.environ.pop(name, None)
    if kept is None:
        # Registered before the servers' own hooks, so it runs after they have stopped.
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
    embedded.provide()
    return directory


def connect() -> Any:
    """The owner's connection to the benchmark's database, which sees every organization's rows."""
    import psycopg

    return psycopg.connect(os.environ["DATABASE_URL"].replace("postgres://", "postgresql://"), autocommit=True)


# ── Servers ──


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def serving(
    command: Sequence[str], port: int, *, environ: Mapping[str, str] | None = None, cores: Sequence[int] = ()
) -> Iterator[psutil.Process]:
    """Run a server until it is no longer wanted; yields once it answers on `port`.

    `environ` is all of its environment, this process' unless given; `cores` are those it may use.
    """
    process = subprocess.Popen(command, cwd=ROOT, env=environ)
    try:
        if cores:
            os.sched_setaffinity(process.pid, cores)
        _wait_for(process, port)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode} before it served")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{process.args!r} does not answer on port {port}")


@contextmanager
def application(
    name: str, *, factory: bool = False, environ: Mapping[str, str] | None = None, cores: Sequence[int] = ()
) -> Iterator[tuple[int, psutil.Process]]:
    """An ASGI application behind uvicorn as in production; yields its port and its process.

    `environ` is what it has beside this process' environment.
    """
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", name, "--host", "127.0.0.1", "--port", str(port), *UVICORN]
    command += ["--factory"] if factory else []
    with serving(command, port, environ={**os.environ, **(environ or {})}, cores=cores) as process:
        yield port, process


# ── What they cost ──


def cpu_seconds(process: psutil.Process) -> float:
    """Of a process that lives, its threads included."""
    times = process.cpu_times()
    return float(times.user + times.system)


def postmaster() -> psutil.Process:
    """The database's first process; its children do the work."""
    with connect() as connection:
        return psutil.Process(psutil.Process(connection.info.backend_pid).ppid())


def cpu_seconds_of_children(process: psutil.Process) -> float:
    """Of those that live and of those that have ended."""
    times = process.cpu_times()
    total = float(times.children_user + times.children_system)
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += cpu_seconds(child)
    return total

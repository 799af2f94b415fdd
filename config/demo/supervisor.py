"""Runs the demo's processes and ends all of them, however it is ended itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from config import embedded
from config.env import BASE_DIR

MANAGE = [sys.executable, str(BASE_DIR / "manage.py")]
STOP_SECONDS = 10


class DemoError(Exception):
    """The demo cannot start; the message says why in one line."""


def start_over(directory: Path) -> None:
    """Remove what a demo keeps. Raises DemoError while one runs there."""
    if not embedded.is_idle(directory):
        raise DemoError(f"A demo still runs on {directory}. Stop it first.")
    for name in ("postgres", "redis", "media", "static", "stripe", "mail"):
        path = directory / name
        if path.exists():
            embedded.remove(path)


def prepare_database(fresh_secret_file: Path, model_port: int) -> None:
    """Migrate, bring prices up to date, and write the demo organization where there is none."""
    command = [*MANAGE, "prepare_demo", "--secret-file", str(fresh_secret_file), "--model-port", str(model_port)]
    # In a group of its own, so that Ctrl-C reaches only us and it ends without a traceback.
    child = subprocess.Popen(command, start_new_session=True)
    try:
        code = child.wait()
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    if code:
        raise DemoError("The demo's data could not be prepared; the lines above say why.")


# Reads the children's ids until we say "done". Without that word we have been killed, and it ends them.
_HEIR = """
while read -r id; do [ "$id" = done ] && exit; ids="$ids -$id"; done
[ -z "$ids" ] && exit
kill -s TERM -- $ids
sleep 10
kill -s KILL -- $ids
"""


class Supervisor:
    """Child processes, each in a group of its own, so that Ctrl-C reaches only us and we end them in order."""

    def __init__(self) -> None:
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []
        hears, self._tells_heir = os.pipe()
        quiet = subprocess.DEVNULL
        self._heir = subprocess.Popen(
            ["/bin/sh", "-c", _HEIR], stdin=hears, stdout=quiet, stderr=quiet, start_new_session=True
        )
        os.close(hears)
        # A plain flag: a handler runs between two steps of the main thread, where an Event's lock may be held.
        self._is_asked_to_stop = False

    def start(self, name: str, command: list[str]) -> None:
        child = subprocess.Popen(command, cwd=BASE_DIR, stdin=subprocess.DEVNULL, start_new_session=True)
        self._children.append((name, child))
        self._tell_heir(str(child.pid))

    def _tell_heir(self, word: str) -> None:
        with suppress(BrokenPipeError):
            os.write(self._tells_heir, f"{word}\n".encode())

    def run(self, ready_url: str, announce: Callable[[], None]) -> int:
        """Wait for the first page, announce it, stay until a signal or the end of a child. Returns the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop_asked)
        try:
            if self._wait_until(lambda: _answers(ready_url)):
                announce()
            while not self._is_asked_to_stop:
                time.sleep(0.2)
                ended = self._first_ended()
                if ended:
                    name, code = ended
                    print(f"The {name} process ended with code {code}; stopping the rest.", file=sys.stderr)
                    return 1
            return 0
        finally:
            self.stop()

    def _stop_asked(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._is_asked_to_stop = True

    def _wait_until(self, is_ready: Callable[[], bool]) -> bool:
        while not self._is_asked_to_stop and self._first_ended() is None:
            if is_ready():
                return True
            time.sleep(0.2)
        return False

    def _first_ended(self) -> tuple[str, int] | None:
        return next(((name, code) for name, child in self._children if (code := child.poll()) is not None), None)

    def stop(self) -> None:
        """End the children, last started first; what does not listen is killed with its group."""
        for _, child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for _, child in self._children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self._tell_heir("done")
        self._heir.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  (our own address)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def collect_static(directory: Path) -> None:
    """Hashed and compressed files for whitenoise, once per version of the sources."""
    newest = max(path.stat().st_mtime_ns for path in (BASE_DIR / "static").rglob("*"))
    stamp = directory / "static" / ".made-of"
    if stamp.exists() and stamp.read_text() == str(newest):
        return
    shutil.rmtree(directory / "static", ignore_errors=True)
    if subprocess.run([*MANAGE, "collectstatic", "--noinput", "--verbosity=0"], check=False).returncode:
        raise DemoError("The static files could not be collected; the lines above say why.")
    stamp.write_text(str(newest))

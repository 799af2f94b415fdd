"""The demo as a user starts it: one command, and a log-in for each of its people."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "northbound-demo"
ORGANIZATION = "northbound-labs"
OPERATOR = "oscar@operator.test"
PATIENCE_SECONDS = 240


class Demo:
    def __init__(self, directory: Path, *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.log = directory.with_suffix(".log")
        command = [sys.executable, "manage.py", "demo", "--port", str(self.port), "--data-dir", str(directory)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, *arguments],
                cwd=ROOT,
                env=kept,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # As from a terminal: Ctrl-C reaches the whole group.
                process_group=0,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "is running at" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)
        found = re.search(r"API key\s+(tl_\w+)", self.log.read_text())
        assert found
        self.headers = {"Authorization": f"Bearer {found[1]}"}

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=self.headers, timeout=30)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, headers=self.headers, timeout=30)

    def log_in(self, email: str) -> httpx.Client:
        return log_in(self.url, email)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def interrupt(self) -> None:
        children = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, signal.SIGINT)
        assert self.process.wait(60) == 0, self.log.read_text()
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive


def log_in(url: str, email: str) -> httpx.Client:
    """A browser without scripts, in which one of the demo's people has logged in."""
    browser = httpx.Client(base_url=url, timeout=60)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/accounts/login/").text)
    assert token
    form = {"login": email, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    answer = browser.post("/accounts/login/", data=form, headers={"Referer": url})
    assert answer.status_code == 302, f"{email} cannot log in"
    return browser


@contextmanager
def directory_of_a_demo() -> Iterator[Path]:
    """Not pytest's own: another test run closes that one's parents to the account PostgreSQL runs under."""
    with tempfile.TemporaryDirectory(prefix="tokenledger-demo-") as parent:
        Path(parent).chmod(0o755)
        yield Path(parent) / "demo"


def html_at(browser: httpx.Client, path: str) -> str:
    """As tests/browser/pages.py follows it. A long file is not read to its end."""
    with browser.stream("GET", path) as answer:
        if answer.is_redirect:
            return f'<a href="{answer.headers["location"]}">'
        if answer.status_code == 200 and answer.headers.get("content-type", "").startswith("text/html"):
            return answer.read().decode()
    return ""

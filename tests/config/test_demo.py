"""The demo as a new user meets it: one command, a page, figures that are there again the next time."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 240
ALL_TIME = "/v1/usage/query?from=2020-01-01&to=2100-01-01&interval=none"


class Demo:
    def __init__(self, directory: Path, *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.log = directory.with_suffix(".log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "manage.py",
                    "demo",
                    "--port",
                    str(self.port),
                    "--data-dir",
                    str(directory),
                    *arguments,
                ],
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
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=self.headers, timeout=30)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.port}{path}", json=body, headers=self.headers, timeout=30)

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


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not pytest's own: another test run closes that one's parents to the account PostgreSQL runs under."""
    with tempfile.TemporaryDirectory(prefix="tokenledger-demo-") as parent:
        Path(parent).chmod(0o755)
        yield Path(parent) / "demo"


def left_behind(directory: Path) -> list[str]:
    """What still runs a moment later: PostgreSQL says that it has ended just before it has."""
    deadline = time.monotonic() + 20
    while (found := running(directory)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def running(directory: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and str(directory) in " ".join(process.cmdline()):
                found.append(" ".join(process.cmdline())[:100])
        except psutil.Error:
            continue
    return found


def test_it_starts_shows_true_figures_stops_whole_and_finds_its_data_again(directory: Path) -> None:
    with Demo(directory, "--no-traffic") as demo:
        with httpx.Client(base_url=f"http://127.0.0.1:{demo.port}", follow_redirects=True, timeout=30) as browser:
            page = browser.get("/accounts/login/").text
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            assert token
            form = {"login": "alice@northbound.test", "password": "northbound-demo", "csrfmiddlewaretoken": token[1]}
            overview = browser.post("/accounts/login/", data=form, headers={"Referer": str(browser.base_url)})
            assert overview.url.path == "/o/northbound-labs/overview"
            assert "Tokens this month" in overview.text
        usage = demo.get("/v1/usage").json()
        # The page and the API read the same ledger.
        assert f"{usage['total_tokens']:,}" in overview.text
        year = demo.get(ALL_TIME).json()["totals"]
        assert year["requests"] > 20_000
        used = call_models(demo)
        demo.interrupt()
    assert left_behind(directory) == []

    with Demo(directory, "--no-traffic") as again:
        totals = again.get(ALL_TIME).json()["totals"]
        assert totals["requests"] == year["requests"] + 2
        assert totals["total_tokens"] == year["total_tokens"] + used
        # Its model listens elsewhere now, and the upstreams have followed.
        call_models(again)
        again.interrupt()
    assert left_behind(directory) == []


def call_models(demo: Demo) -> int:
    """A call by each protocol, through the gateway, as the printed line has it. Returns the tokens they used."""
    before = demo.get(ALL_TIME).json()["totals"]["total_tokens"]
    printed = re.search(r"curl (\S+)/v1/chat/completions .* -d '(.*)'", demo.log.read_text())
    assert printed
    assert printed[1] == f"http://localhost:{demo.port}"
    chat = demo.post("/v1/chat/completions", json.loads(printed[2]))
    assert chat.status_code == 200, chat.text
    assert "the demo's own model" in chat.json()["choices"][0]["message"]["content"]
    question = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
    message = demo.post("/v1/messages", question)
    assert message.status_code == 200, message.text
    usage = message.json()["usage"]
    used: int = chat.json()["usage"]["total_tokens"] + usage["input_tokens"] + usage["output_tokens"]
    deadline = time.monotonic() + 10
    while demo.get(ALL_TIME).json()["totals"]["total_tokens"] < before + used:
        assert time.monotonic() < deadline, "the calls were not metered"
        time.sleep(0.1)
    return used

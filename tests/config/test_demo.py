"""The demo as a new user meets it: one command, a page, figures that are there again the next time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.demo import Demo, directory_of_a_demo

ALL_TIME = "/v1/usage/query?from=2020-01-01&to=2100-01-01&interval=none"


@pytest.fixture
def directory() -> Iterator[Path]:
    with directory_of_a_demo() as directory:
        yield directory


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
        with closing(demo.log_in("alice@northbound.test")) as browser:
            overview = browser.get("/", follow_redirects=True)
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

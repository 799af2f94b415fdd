"""A process of its own that calls under limits: `python -m tests.metering.limits.process ORGANIZATION NAME ACT`.

Acts: `hold` calls until refused, `settle` each at less than was held, or `hang` with ten calls held, to be killed.
Says that it is ready, waits for a line, and prints one of JSON: what was granted.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings

ROOT = Path(__file__).resolve().parents[3]
CLIENTS = 64
SIZE = 7


def start(organization_id: int, name: str, act: str) -> subprocess.Popen[str]:
    """On the database of this test."""
    database = settings.DATABASES["default"]
    url = f"postgres://{database['USER']}:{database['PASSWORD']}@/{database['NAME']}?host={database['HOST']}"
    if database["PORT"]:
        url += f"&port={database['PORT']}"
    own = {"DATABASE_URL": url, "TOKENLEDGER_EMBEDDED": "off", "DEBUG": "1", "LOG_LEVEL": "ERROR",
           "DJANGO_SETTINGS_MODULE": "config.settings"}  # fmt: skip
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")} | own
    command = [sys.executable, "-m", "tests.metering.limits.process", str(organization_id), name, act]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(*processes: subprocess.Popen[str]) -> None:
    """Let them begin as soon as all are ready."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=60)
    found: dict[str, Any] = json.loads(out)
    return found


async def hold_until_refused(desk: Any, name: str) -> list[str]:
    """64 clients at once; the ids of the calls that were let in."""
    from core.errors import ApiError
    from tests.metering.limits.calls import call

    granted: list[str] = []

    async def client(number: int) -> None:
        for turn in range(1_000):
            event = call(f"{name}-{number}-{turn}", SIZE)
            held = await desk.try_hold(event)
            if isinstance(held, ApiError):
                return
            granted.append(event.event_id)

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return granted


async def settle_until_refused(desk: Any, name: str) -> list[str]:
    """64 clients at once, each call taking at most what it held; a client ends when nothing but use is in its way."""
    from core.errors import ApiError
    from tests.metering.limits.calls import call, done

    granted: list[str] = []

    async def client(number: int) -> None:
        for turn in range(10_000):
            event = call(f"{name}-{number}-{turn}", SIZE)
            held = await desk.try_hold(event)
            if isinstance(held, ApiError):
                if held.headers["x-should-retry"] == "false":
                    return
                await asyncio.sleep(0.01)
                continue
            granted.append(event.event_id)
            await desk.settle(done(event, random.choice((0, 3, SIZE))), held)

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return granted


async def _hang(desk: Any, name: str) -> list[str]:
    from tests.metering.limits.calls import call

    for number in range(10):
        await desk.hold(call(f"{name}-{number}", 10))
    print(json.dumps({"granted": [f"{name}-{number}" for number in range(10)]}), flush=True)
    await asyncio.sleep(600)
    return []


ACTS = {"hold": hold_until_refused, "settle": settle_until_refused, "hang": _hang}


def main() -> None:
    import django

    django.setup()
    from types import SimpleNamespace

    from tests.metering.limits.calls import with_desk

    organization_id, name, act = int(sys.argv[1]), sys.argv[2], ACTS[sys.argv[3]]
    settings_of = {"lease_seconds": 1.5, "sweep_seconds": 3_600.0} if sys.argv[3] == "hang" else {}
    organization: Any = SimpleNamespace(id=organization_id)

    async def when_told(desk: Any) -> list[str]:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return await act(desk, name)

    granted = with_desk(organization, when_told, **settings_of)
    print(json.dumps({"granted": granted}), flush=True)


if __name__ == "__main__":
    main()

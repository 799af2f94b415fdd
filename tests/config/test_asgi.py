"""The ASGI process: who gets which request, and what it keeps open between them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import asyncio, httpx
from config.asgi import application

async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://localhost") as client:
        for _ in range(12):
            assert (await client.get("/readyz")).status_code == 200
        refused = await client.get("/v1/chat/completions")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert (await client.get("/v1/events")).status_code == 401

asyncio.run(main())
print("done", flush=True)
input()
"""


def test_requests_leave_no_connections_behind() -> None:
    environ = os.environ | {"DEBUG": "1", "PGAPPNAME": "connections-left-behind"}
    asking = subprocess.Popen(
        [sys.executable, "-c", ASK], cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert asking.stdout is not None
    assert asking.stdout.readline() == "done\n"
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [environ["PGAPPNAME"]]
        ).fetchone()
    asking.communicate("\n")
    assert left == (0,)

"""A trickle of live calls, sent over HTTP like anybody's."""

from __future__ import annotations

import datetime as dt
import json
import random
import time
import urllib.error
import urllib.request
from typing import Any
from zoneinfo import ZoneInfo

from config.demo.organization import ZONE
from config.demo.usage import calls_of_hour


def send_forever(url: str, secret: str) -> None:
    """Post a call every few seconds until the process is stopped. A server that is away is waited for."""
    chance = random.Random()  # noqa: S311  (lifelike, not secret)
    while True:
        time.sleep(chance.uniform(3.0, 9.0))
        calls = _calls(chance, dt.datetime.now(dt.UTC))
        request = urllib.request.Request(  # noqa: S310  (the demo's own address)
            f"{url}/v1/events?results=none",
            data=json.dumps({"events": calls}).encode(),
            headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
        except (urllib.error.URLError, OSError) as error:
            print(f"demo traffic: {error}; trying again", flush=True)
            time.sleep(5)


def _calls(chance: random.Random, now: dt.datetime) -> list[dict[str, Any]]:
    """A call of the kind this hour brings, dated now; livelier than the history, so that one sees it move."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    pool = list(calls_of_hour(hour, now, ZoneInfo(ZONE), scale=5.0))
    picked = chance.choices(pool, k=1) if pool else []
    return [call | {"id": f"live_{chance.randrange(16**12):012x}", "occurred_at": now.isoformat()} for call in picked]

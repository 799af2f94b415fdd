"""How long to wait before trying again."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Optional

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 30.0
# What a server may ask for; beyond this it is rather a mistake, and asking again costs little.
LONGEST_ASKED_SECONDS = 300.0


def delay(attempt: int, retry_after: Optional[float]) -> float:
    """Seconds before attempt number `attempt` + 1, the first being 0.

    Doubles, with full jitter so that many clients do not come back together; never earlier than the server asked.
    """
    ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt, 16))
    jittered = random.uniform(0.0, ceiling)  # noqa: S311 (spreads load, guards nothing)
    if retry_after is None:
        return jittered
    return min(retry_after, LONGEST_ASKED_SECONDS) + min(jittered, 1.0)


def retry_after(headers: Mapping[str, str], now: Optional[dt.datetime] = None) -> Optional[float]:
    """What Retry-After asks for, in seconds from now: a number or an HTTP date. None without one that can be read."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=dt.timezone.utc)
    return max(0.0, (at - (now or dt.datetime.now(dt.timezone.utc))).total_seconds())

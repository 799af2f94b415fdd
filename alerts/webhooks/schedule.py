"""When what was not taken is sent again: the schedule Standard Webhooks suggests, each wait drawn a little longer."""

from __future__ import annotations

import datetime as dt
import random
from email.utils import parsedate_to_datetime

SECOND, MINUTE, HOUR = 1, 60, 3600
# Behind the first attempt, which is made at once: ten in about three days.
WAITS = (
    5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip
# So that what failed together does not come together again.
LARGEST_JITTER = 0.1
LONGEST_ASKED_SECONDS = 24 * HOUR


def wait(tries: int, asked_seconds: int | None = None) -> dt.timedelta | None:
    """Until the next attempt after `tries` that failed; None when there is none.

    `asked_seconds` is the receiver's wish (Retry-After): it makes waits longer, up to a day, and never shorter.
    """
    if tries > len(WAITS):
        return None
    seconds = WAITS[tries - 1] * random.uniform(1, 1 + LARGEST_JITTER)  # noqa: S311
    if asked_seconds is not None:
        seconds = max(seconds, min(asked_seconds, LONGEST_ASKED_SECONDS))
    return dt.timedelta(seconds=seconds)


def asked_seconds(retry_after: str, at: dt.datetime) -> int | None:
    """Of a Retry-After header, which has seconds or a date; None for anything else."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    try:
        moment = parsedate_to_datetime(text)
        return max(0, round((moment - at).total_seconds()))
    except (TypeError, ValueError, OverflowError):
        return None

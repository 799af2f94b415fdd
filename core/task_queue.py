"""What waits for workers, what they have taken, what failed of late, and whether beat and workers live.

Read from the broker itself, with a bound on time and on how much is looked at. Failures and signs of life are written
there by the processes that have them, because results are not kept.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import redis
import structlog
from celery.signals import before_task_publish, task_failure
from django.conf import settings

from core.periods import UTC

logger = structlog.get_logger(__name__)

HEARTBEAT = "core.heartbeat"
HEARTBEAT_SECONDS = 30
TIMEOUT_SECONDS = 2
# How many waiting tasks are looked at by name; all of them are counted.
MOST_NAMED = 1_000
MOST_FAILURES = 200
_TICK, _BEAT, _FAILED = "tl:tasks:beat", "tl:tasks:worker", "tl:tasks:failed"
# Where Celery's transport keeps what a worker has taken and not finished.
_TAKEN = "unacked"


class Failure(msgspec.Struct, frozen=True):
    """A task that raised, at `at`, without what it was called with."""

    name: str
    id: str
    at: dt.datetime
    error: str


class QueueState(msgspec.Struct, frozen=True):
    """`waiting` and `taken` count tasks by name; `waiting_total` is exact also where not all were looked at.

    `beat_at` is when beat last handed out a heartbeat, `worker_at` when a worker last did one; None before the first.
    """

    waiting_total: int
    waiting: dict[str, int]
    taken: dict[str, int]
    failures: tuple[Failure, ...]
    beat_at: dt.datetime | None
    worker_at: dt.datetime | None


def client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        decode_responses=True,
    )


def read_queue() -> QueueState:
    """Raises redis.RedisError while the broker cannot be reached."""
    name = settings.CELERY_TASK_DEFAULT_QUEUE
    with client() as broker, broker.pipeline(transaction=False) as pipe:
        pipe.llen(name)
        pipe.lrange(name, 0, MOST_NAMED - 1)
        pipe.hvals(_TAKEN)
        pipe.lrange(_FAILED, 0, MOST_FAILURES - 1)
        pipe.mget(_TICK, _BEAT)
        total, waiting, taken, failed, (tick, beat) = pipe.execute()
    return QueueState(
        waiting_total=total,
        waiting=_by_name(json.loads(text) for text in waiting),
        taken=_by_name(json.loads(text)[0] for text in taken),
        failures=tuple(msgspec.json.decode(text, type=Failure) for text in failed),
        beat_at=_moment(tick),
        worker_at=_moment(beat),
    )


def _by_name(messages: Iterable[Any]) -> dict[str, int]:
    names = Counter(str(message.get("headers", {}).get("task", "unknown")) for message in messages)
    return dict(names.most_common())


def _moment(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


# ── Written by beat and workers ──


def beat_of_a_worker() -> None:
    """A worker has come to do the heartbeat: so the way from beat through the queue is open."""
    _write(_BEAT)


@before_task_publish.connect  # type: ignore[untyped-decorator]
def note_tick(sender: str | None = None, **_: Any) -> None:
    if sender == HEARTBEAT:
        _write(_TICK)


@task_failure.connect  # type: ignore[untyped-decorator]
def note_failure(sender: Any = None, task_id: str = "", exception: BaseException | None = None, **_: Any) -> None:
    name = getattr(sender, "name", None) or "unknown"
    failure = Failure(name, task_id, _now(), f"{type(exception).__name__}: {exception}"[:300])
    try:
        with client() as broker:
            broker.lpush(_FAILED, msgspec.json.encode(failure).decode())
            broker.ltrim(_FAILED, 0, MOST_FAILURES - 1)
    except redis.RedisError as error:
        logger.warning("failure_not_noted", task=name, error=str(error))


def _write(key: str) -> None:
    try:
        with client() as broker:
            broker.set(key, _now().isoformat())
    except redis.RedisError as error:
        logger.warning("sign_of_life_not_noted", key=key, error=str(error))


def _now() -> dt.datetime:
    return dt.datetime.now(UTC)


def recent(failures: Sequence[Failure], since: dt.datetime) -> list[Failure]:
    return [failure for failure in failures if failure.at >= since]

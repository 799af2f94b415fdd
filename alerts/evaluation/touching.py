"""Organizations whose usage has changed are evaluated once some seconds later, however much came in meanwhile.

Who stores does not wait: a thread tells the queue. A mark in Redis says that an evaluation is on its way; it goes as
that begins, or by itself. What is lost (Redis restarts, a process ends) is caught up with by beat.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection

import redis
import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = structlog.get_logger(__name__)

TASK = "alerts.evaluate"
# How long usage gathers before it is judged.
WAIT_SECONDS = 2
# A mark whose task was lost hides no usage for longer.
MARK_SECONDS = 30
PAUSE_SECONDS = 0.5
TIMEOUT_SECONDS = 2.0
LOG_AGAIN_SECONDS = 60.0


class Toucher:
    """Hands evaluations to the queue, from a thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: set[int] = set()
        self._thread: threading.Thread | None = None

    def touch(self, organization_ids: Collection[int]) -> None:
        with self._changed:
            self._waiting.update(organization_ids)
            if self._thread is None:
                self._thread = threading.Thread(target=self._tell, name="touched-usage", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _tell(self) -> None:
        log_again_at = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                ids, self._waiting = self._waiting, set()
            try:
                enqueue(ids)
            except (RedisError, OperationalError) as error:
                if time.monotonic() >= log_again_at:
                    log_again_at = time.monotonic() + LOG_AGAIN_SECONDS
                    logger.warning("evaluations_not_enqueued", error=repr(error))
            time.sleep(PAUSE_SECONDS)


def enqueue(organization_ids: Collection[int]) -> int:
    """An evaluation for each that has none on its way. Returns how many. Raises RedisError, OperationalError."""
    sent = 0
    with _client() as client:
        for organization_id in sorted(organization_ids):
            if client.set(_mark(organization_id), 1, nx=True, ex=MARK_SECONDS):
                current_app.send_task(TASK, (organization_id,), countdown=WAIT_SECONDS)
                sent += 1
    return sent


def forget(organization_id: int) -> None:
    """Its evaluation begins: what comes from now on needs another."""
    try:
        with _client() as client:
            client.delete(_mark(organization_id))
    except RedisError as error:
        logger.warning("evaluation_mark_stays", error=repr(error))


def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
    )


def _mark(organization_id: int) -> str:
    return f"tl:evaluate:{organization_id}"


_toucher = Toucher()


def touch(organization_ids: Collection[int]) -> None:
    """Their usage has changed."""
    _toucher.touch(organization_ids)


def _begin_anew() -> None:
    # A forked process has neither the thread nor a say in the lock.
    global _toucher
    _toucher = Toucher()


os.register_at_fork(after_in_child=_begin_anew)

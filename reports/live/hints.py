"""Hints that an organization's totals have changed, or a person's inbox, from every process to every one that shows.

Two channels of Redis; a message is the ids of organizations or people, and no figure: whoever hears it reads the totals
again. Nothing is kept, so a message that is lost (Redis restarts, a process ends) delays what people see until the
next one or the next pulse (feeds.py), and falsifies nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import redis
import structlog
from django.conf import settings
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

logger = structlog.get_logger(__name__)

CHANNEL = "tl:usage"
INBOXES = "tl:inboxes"
# Of a process, whatever it stores: at most four messages a second.
PAUSE_SECONDS = 0.25
TIMEOUT_SECONDS = 2.0
PING_SECONDS = 10.0
LOG_AGAIN_SECONDS = 60.0


class Announcer:
    """Tells Redis whose totals changed, from a thread of its own: who stores does not wait for it."""

    def __init__(self, channel: str = CHANNEL) -> None:
        self._channel = channel
        self._changed = threading.Condition()
        self._waiting: set[int] = set()
        self._thread: threading.Thread | None = None

    def announce(self, whose: Collection[int]) -> None:
        with self._changed:
            self._waiting.update(whose)
            if self._thread is None:
                self._thread = threading.Thread(target=self._tell, name="usage-hints", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _tell(self) -> None:
        log_again_at = 0.0
        client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                ids, self._waiting = self._waiting, set()
            try:
                client.publish(self._channel, " ".join(map(str, ids)))
            except RedisError as error:
                if time.monotonic() >= log_again_at:
                    log_again_at = time.monotonic() + LOG_AGAIN_SECONDS
                    logger.warning("usage_hints_lost", error=repr(error))
            time.sleep(PAUSE_SECONDS)


_announcer, _inboxes = Announcer(), Announcer(INBOXES)


def announce(organization_ids: Collection[int]) -> None:
    """Hint that the totals of these organizations have changed."""
    _announcer.announce(organization_ids)


def announce_inboxes(user_ids: Collection[int]) -> None:
    """Hint that these people have been told something, or have read it."""
    _inboxes.announce(user_ids)


def _begin_anew() -> None:
    # A forked process has neither the thread nor a say in the lock.
    global _announcer, _inboxes
    _announcer, _inboxes = Announcer(), Announcer(INBOXES)


os.register_at_fork(after_in_child=_begin_anew)


class Listener:
    """Hears the hints on one event loop, over one connection however many wait for them.

    `heard` and `heard_inboxes` are called with the ids of a message, or with None when messages may have been missed.
    """

    def __init__(
        self,
        heard: Callable[[Collection[int] | None], None],
        heard_inboxes: Callable[[Collection[int] | None], None],
    ) -> None:
        self._heard = {CHANNEL: heard, INBOXES: heard_inboxes}
        self._task: asyncio.Task[None] | None = None
        self.is_hearing = False

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="usage-hints")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _listen(self) -> None:
        while True:
            try:
                async with AsyncRedis.from_url(settings.REDIS_URL, socket_connect_timeout=TIMEOUT_SECONDS) as client:
                    await self._hear(client)
            except (RedisError, OSError, TimeoutError) as error:
                logger.warning("usage_hints_unheard", error=repr(error))
            finally:
                self.is_hearing = False
            await asyncio.sleep(1)

    async def _hear(self, client: AsyncRedis) -> None:
        async with client.pubsub() as subscription:
            await subscription.subscribe(*self._heard)
            is_asked = False
            while True:
                message = await subscription.get_message(timeout=PING_SECONDS)
                if message is None:
                    if is_asked:
                        raise TimeoutError("Redis does not answer")
                    await subscription.ping()
                elif message["type"] == "subscribe":
                    self.is_hearing = True
                    self._heard[message["channel"].decode()](None)
                elif message["type"] == "message":
                    self._heard[message["channel"].decode()]({int(word) for word in message["data"].split()})
                is_asked = message is None

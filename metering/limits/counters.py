"""The windows of request rates, in Redis: one script (rates.lua), asked in pipelines, and not asked while it is away.

Questions that come while others are under way share the next pipeline, as events share transactions: one at a time
is under way, and the cost of a trip is spread over all who wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from metering.telemetry import RATE_LIMIT_FAILURES

logger = structlog.get_logger(__name__)

SCRIPT = Path(__file__).with_name("rates.lua").read_text()
SCRIPT_DIGEST = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
# Of a trip; who comes while one is under way hears of its failure too.
TIMEOUT_SECONDS = 0.1
# In a row, before Redis is taken to be away: one alone may be a busy moment of this very process.
MOST_TIMEOUTS = 2
ASK_AGAIN_SECONDS = 1.0
LOG_AGAIN_SECONDS = 60.0

Words = tuple[str | int, ...]


class CountersAwayError(Exception):
    """Redis is away. Whether anything was counted is unknown."""


class _Question(msgspec.Struct):
    words: Words
    answer: asyncio.Future[list[int] | None]


class Counters:
    def __init__(self, url: str) -> None:
        # Bare, for there is one user: the pool's client costs twice as much a trip. One timer for a trip (in _send)
        # instead of one for each reply.
        self._connection: AbstractConnection = ConnectionPool.from_url(
            url, socket_timeout=None, socket_connect_timeout=None, retry=Retry(NoBackoff(), 0)
        ).make_connection()  # type: ignore[no-untyped-call]
        self._waiting: list[_Question] = []
        self._sender: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop
        # Nobody asks before then; 0 while Redis answers.
        self._away_until = 0.0
        self._timeouts = 0
        self._log_again_at = 0.0

    def start(self) -> None:
        """Called on the event loop that will ask. Connects when something is asked: without limits nothing is."""
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        if self._sender is not None:
            await self._sender
        await self._connection.disconnect()

    async def ask(self, command: str, keys: Sequence[str], now: str, *arguments: int) -> list[int] | None:
        """What the script answers. `now` is in Unix seconds, empty for Redis' own clock. Raises CountersAwayError."""
        if self._away_until and not self._may_try():
            raise CountersAwayError
        question = _Question((len(keys), *keys, command, now, *arguments), self._loop.create_future())
        self._waiting.append(question)
        if self._sender is None:
            self._sender = self._loop.create_task(self._send(), name="rates")
        return await question.answer

    def _may_try(self) -> bool:
        """Whether this is the one that asks Redis again; meanwhile the others go on without."""
        now = self._loop.time()
        if now < self._away_until:
            return False
        self._away_until = now + ASK_AGAIN_SECONDS
        return True

    async def _send(self) -> None:
        batch: list[_Question] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                self._answer(batch, await self._replies(batch))
        finally:
            # Whatever has stopped it: nobody waits for a sender that is gone, and the next to ask starts another.
            self._sender = None
            for question in (*batch, *self._waiting):
                if not question.answer.done():
                    question.answer.set_exception(CountersAwayError())
            self._waiting = []

    async def _replies(self, batch: list[_Question]) -> list[Any]:
        """A reply a question; those that came meanwhile share a failure."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._run([question.words for question in batch])
        except Exception as error:  # noqa: BLE001 (whoever waits must hear of it, whatever it is)
            batch += self._waiting
            self._waiting = []
            with suppress(Exception):  # it is of no more use, however it goes
                await self._connection.disconnect(nowait=True)
            return [error] * len(batch)

    async def _run(self, calls: Sequence[Words]) -> list[Any]:
        """A reply a call, errors of single calls among them."""
        replies = await self._evaluate(calls)
        missed = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missed:
            await self._trip([("SCRIPT", "LOAD", SCRIPT)])
            for at, reply in zip(missed, await self._evaluate([calls[at] for at in missed]), strict=True):
                replies[at] = reply
        return replies

    async def _evaluate(self, calls: Sequence[Words]) -> list[Any]:
        return await self._trip([("EVALSHA", SCRIPT_DIGEST, *words) for words in calls])

    async def _trip(self, commands: Sequence[Words]) -> list[Any]:
        connection = self._connection
        if connection.is_connected and await connection.can_read():
            await connection.disconnect()  # the server has closed it meanwhile
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [await self._reply() for _ in commands]

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:
            return error

    def _answer(self, batch: Sequence[_Question], replies: Sequence[Any]) -> None:
        error = next((reply for reply in replies if isinstance(reply, Exception)), None)
        if error is not None:
            self._fail(error)
        else:
            self._timeouts = 0
            if self._away_until:
                self._away_until = 0.0
                logger.warning("rate_limits_recovered")
        for question, reply in zip(batch, replies, strict=True):
            if question.answer.done():  # its request has gone away
                continue
            if isinstance(reply, RedisError | OSError | TimeoutError):
                question.answer.set_exception(CountersAwayError())
            elif isinstance(reply, Exception):
                question.answer.set_exception(reply)
            else:
                question.answer.set_result(reply)

    def _fail(self, error: Exception) -> None:
        RATE_LIMIT_FAILURES.inc()
        now = self._loop.time()
        if isinstance(error, TimeoutError):
            self._timeouts += 1
        if self._away_until or not isinstance(error, TimeoutError) or self._timeouts >= MOST_TIMEOUTS:
            self._away_until = now + ASK_AGAIN_SECONDS
        if now >= self._log_again_at:
            self._log_again_at = now + LOG_AGAIN_SECONDS
            logger.warning("rate_limits_unavailable", error=repr(error))

"""Delivery of tracked events: a daemon thread that sends batches until each event is acknowledged or refused.

An event keeps its id through all attempts, so whatever becomes of an answer it counts once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional

from tokenledger.backoff import delay
from tokenledger.connection import Answer, Connection
from tokenledger.errors import ClosedError, ConnectionFailed, EventRefused, NotSent, TokenledgerError
from tokenledger.outbox import Outbox, Pending

logger = logging.getLogger("tokenledger")
# How long closing waits for an `on_error` that is under way.
TELLING_SECONDS = 1.0

OnError = Callable[[Mapping[str, Any], TokenledgerError], None]

EVENTS = "/v1/events"
# One wrong value can make a body as a whole unreadable or too large; the others are sent without it.
_DIVISIBLE = (400, 413, 422)
_TRY_AGAIN = (408, 425, 429)
_WRONG = ("invalid", "conflict")


@dataclass(frozen=True)
class Stats:
    """Counts since the client was made, or since the fork that made this process.

    `acknowledged` events are stored, `duplicates` of them were already. `failed` were refused or not sent in time,
    `dropped` found no room. `retries` are requests that had to be sent again, `queued` is still on its way.
    """

    acknowledged: int = 0
    duplicates: int = 0
    failed: int = 0
    dropped: int = 0
    retries: int = 0
    queued: int = 0


class Sender:
    def __init__(self, connection: Connection, outbox: Outbox, on_error: Optional[OnError]) -> None:
        self._connection = connection
        self._outbox = outbox
        self._on_error = on_error
        # Reentrant: the collector may end an abandoned stream, and so track it, wherever something is allocated.
        self._lock = threading.RLock()
        # Held while `on_error` hears of events, which the end of the process should not cut short.
        self._telling = threading.RLock()
        self._stats = Stats()
        self._thread: Optional[threading.Thread] = None

    @property
    def stats(self) -> Stats:
        with self._lock:
            return replace(self._stats, queued=len(self._outbox))

    def start(self) -> bool:
        """Have a thread, from the first event on. True when it was started just now."""
        with self._lock:
            if self._thread is not None:
                return False
            thread = threading.Thread(target=self._run, name="tokenledger-sender", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The interpreter is shutting down and starts no more threads: close() delivers.
                return False
            self._thread = thread
            return True

    def close(self, timeout: float) -> bool:
        """Deliver what there is in about `timeout` seconds. False when something of it did not arrive."""
        failed_before = self.stats.failed
        self._outbox.close(timeout)
        if self._thread is None:
            self._run()
        self._outbox.wait_empty()
        if self._telling.acquire(timeout=TELLING_SECONDS):
            self._telling.release()
        self._fail(self._outbox.abandon(), NotSent("The client was closed before this event was acknowledged."))
        return self.stats.failed == failed_before

    def drop(self, event: Mapping[str, Any], error: TokenledgerError) -> None:
        """Tell that an event was not taken in."""
        with self._lock:
            self._stats = replace(self._stats, dropped=self._stats.dropped + 1)
            count = self._stats.dropped
        # The first, the tenth, the hundredth: a full queue need not fill the log as well.
        if str(count).rstrip("0") == "1":
            logger.warning("%s Dropped so far: %d.", error, count)
        self._call_back(event, error)

    # ── In the thread ──

    def _run(self) -> None:
        while True:
            batch = self._outbox.take()
            if not batch:
                return
            try:
                self._deliver(batch)
            except Exception as error:
                # Not foreseen. The thread has to go on for the others, and somebody has to know.
                logger.exception("delivering events failed")
                self._give_up(batch, NotSent(f"{type(error).__name__}: {error}"))

    def _deliver(self, batch: Sequence[Pending]) -> None:
        """Returns when every event of the batch is finished with."""
        body = b"[" + b",".join(one.body for one in batch) + b"]"
        attempt = 0
        while True:
            was_closing = self._outbox.is_closing
            answer, problem = self._attempt(body)
            if answer is not None and not _is_temporary(answer):
                self._settle(batch, answer)
                return
            wait = delay(attempt, answer.retry_after if answer else None)
            logger.log(
                logging.WARNING if attempt == 0 else logging.DEBUG,
                "%d events are not acknowledged (%s); sending them again in %.1f s", len(batch), problem, wait,
            )  # fmt: skip
            if not self._outbox.pause(wait):
                self._give_up(batch, NotSent(f"Not acknowledged when the client was closed: {problem}"))
                return
            attempt = 0 if self._outbox.is_closing and not was_closing else attempt + 1
            with self._lock:
                self._stats = replace(self._stats, retries=self._stats.retries + 1)

    def _attempt(self, body: bytes) -> tuple[Optional[Answer], str]:
        try:
            answer = self._connection.send("POST", EVENTS, params=(("results", "none"),), content=body)
        except (ConnectionFailed, ClosedError) as error:
            return None, str(error)
        return answer, "" if answer.is_success else str(answer.refusal())

    def _settle(self, batch: Sequence[Pending], answer: Answer) -> None:
        """Take note of an answer that is final: for each event, or for the request as a whole."""
        if answer.status not in (200, 207) and not _has_results(answer):
            if len(batch) > 1 and answer.status in _DIVISIBLE:
                middle = len(batch) // 2
                self._deliver(batch[:middle])
                self._deliver(batch[middle:])
            else:
                self._give_up(batch, answer.refusal())
            return
        wrong = {
            one["index"]: one
            for one in answer.body.get("results", ())
            if one.get("status") in _WRONG and isinstance(one.get("index"), int)
        }
        sound = self._outbox.finish(one for index, one in enumerate(batch) if index not in wrong)
        with self._lock:
            self._stats = replace(
                self._stats,
                acknowledged=self._stats.acknowledged + len(sound),
                duplicates=self._stats.duplicates + int(answer.body.get("duplicates", 0)),
            )
        for index, result in wrong.items():
            if index < len(batch):
                self._give_up([batch[index]], _event_refused(result, answer))

    def _give_up(self, batch: Sequence[Pending], error: TokenledgerError) -> None:
        with self._telling:
            self._fail(self._outbox.finish(batch), error)

    def _fail(self, events: Sequence[Pending], error: TokenledgerError) -> None:
        if not events:
            return
        with self._lock:
            self._stats = replace(self._stats, failed=self._stats.failed + len(events))
        first = events[0].event.get("id")
        logger.error("%d events are not delivered, the first is %s: %s", len(events), first, error)
        for one in events:
            self._call_back(one.event, error)

    def _call_back(self, event: Mapping[str, Any], error: TokenledgerError) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(event, error)
        except Exception:
            logger.exception("on_error failed")


def _is_temporary(answer: Answer) -> bool:
    """Whether the same request may be taken later. A success of another shape was not this server's."""
    if answer.is_success:
        return not (isinstance(answer.body, dict) and "created" in answer.body)
    return answer.status in _TRY_AGAIN or answer.status >= 500


def _has_results(answer: Answer) -> bool:
    return answer.status == 422 and isinstance(answer.body, dict) and isinstance(answer.body.get("results"), list)


def _event_refused(result: Mapping[str, Any], answer: Answer) -> EventRefused:
    told = result.get("error") or {}
    return EventRefused(
        str(told.get("code", result["status"])),
        str(told.get("message", "The answer does not say why.")),
        param=told.get("param"),
        request_id=answer.request_id,
    )

"""One call of a provider's SDK, from its start to the event that tells of it.

Nothing here raises into the caller's call: what goes wrong with tracking goes to the log.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Callable, Optional

from tokenledger.wrapping.told import Told

logger = logging.getLogger("tokenledger")

# Takes model, usage and the other fields of an event; never waits.
Report = Callable[[str, Optional[Mapping[str, Any]], Mapping[str, Any]], None]

_TIMEOUTS = (408, 504)
_RATE_LIMITED = 429
LONGEST_CODE = 200

_inside: ContextVar[bool] = ContextVar("tokenledger_inside", default=False)


def is_inside() -> bool:
    """Whether a tracked method is calling another one: helpers of an SDK may be built on each other."""
    return _inside.get()


@contextmanager
def inside() -> Iterator[None]:
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


class Harmless:
    """A failure to track is logged, and nothing else."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        logger.warning("a call could not be tracked", exc_info=error)
        return True


class Call:
    """Reported exactly once, by whichever end comes first."""

    def __init__(
        self, report: Report, told: Told, model: Any, fields: Mapping[str, Any], *, is_streamed: bool, hides_usage: bool
    ) -> None:
        self._report = report
        self._told = told
        self._model = model
        self._fields = fields
        self._is_streamed = is_streamed
        self._hides_usage = hides_usage
        self._at = dt.datetime.now(dt.timezone.utc)
        self._started = time.perf_counter()
        self._first_token_ms: Optional[float] = None
        # Popped by the end that comes first, which may be in another thread.
        self._unreported = [True]

    def answered(self, answer: Any) -> None:
        with Harmless():
            self._told.whole(answer)
        self._end("ok")

    def saw(self, chunk: Any) -> bool:
        """Take note of a chunk of a stream; whether it is to be kept from the caller, who did not ask for it."""
        with Harmless():
            is_generated = self._told.chunk(chunk)
            if is_generated and self._first_token_ms is None:
                self._first_token_ms = self._elapsed_ms()
            return self._hides_usage and self._told.is_about_usage_only(chunk)
        return False

    def ended(self) -> None:
        """A stream was read to its end, or an answer was taken as bytes that nobody here has read."""
        self._end("ok")

    def abandoned(self) -> None:
        """A stream was left. Where the model had finished by then, only its usage has not been heard."""
        self._end("ok" if self._told.finish_reason else "cancelled")

    def failed(self, error: BaseException) -> None:
        with Harmless():
            # What a parser refuses has been generated, and paid for, all the same.
            completion = getattr(error, "completion", None)
            if completion is not None:
                self._told.whole(completion)
        self._end(*_outcome(error))

    def _end(self, status: str, error_code: Optional[str] = None) -> None:
        try:
            self._unreported.pop()
        except IndexError:
            return
        with Harmless():
            told = self._told
            if told.error_code is not None and status == "ok":
                status, error_code = "error", told.error_code
            fields = {
                **self._fields,
                "occurred_at": self._at,
                "endpoint": told.endpoint,
                "status": status,
                "error_code": error_code and error_code[:LONGEST_CODE],
                "duration_ms": self._elapsed_ms(),
                "time_to_first_token_ms": self._first_token_ms,
                "streamed": self._is_streamed,
                "finish_reason": told.finish_reason,
                "service_tier": told.service_tier,
            }
            self._report(str(told.model or self._model or "unknown"), told.usage, fields)

    def _elapsed_ms(self) -> float:
        return round((time.perf_counter() - self._started) * 1000, 3)


def _outcome(error: BaseException) -> tuple[str, str]:
    """Status and code of an exception of any SDK."""
    status = getattr(error, "status_code", None)
    code = str(getattr(error, "code", None) or status or type(error).__name__)
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)):
        return "cancelled", code
    if status == _RATE_LIMITED:
        return "rate_limited", code
    if status in _TIMEOUTS or isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "timeout", code
    return "error", code

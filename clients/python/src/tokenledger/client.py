"""The client: tracks calls, reads usage, estimates, asks for admission, and wraps the clients of providers."""

from __future__ import annotations

import atexit
import multiprocessing.util
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union

from tokenledger import wrapping
from tokenledger.admission import Admission
from tokenledger.answers import Estimate
from tokenledger.answers import read as _read
from tokenledger.connection import Connection, encode
from tokenledger.dimensions import Dimensions, check, merge
from tokenledger.errors import ClosedError, ConfigurationError, QueueFull
from tokenledger.events import EventFields, make_event
from tokenledger.outbox import Outbox
from tokenledger.reading import Reading
from tokenledger.sender import OnError, Sender, Stats

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

T = TypeVar("T")

# Some 300 bytes an event: batches stay far below what the server takes at once.
BATCH_BYTES = 1024 * 1024


class Client(Reading):
    """One for a process, used by all of its threads.

    `timeout`: seconds a request may take.
    `max_queue`: events that may wait, those under way included.
    `wait_when_full`: seconds `track()` waits for room before it drops an event and counts it.
    `batch_size`, `max_age`: a batch is sent when it has as many events, or when its first is as many seconds old.
    `exit_timeout`: seconds the end of the process, or of a `with` block, may be held up to deliver what waits.
    `on_error`: called with each event that will not arrive, and why; by the sending thread, or by the one whose
    event found no room.
    """

    def __init__(
        self,
        base_url: Optional[str] = None,
        api_key: Optional[str] = None,
        *,
        timeout: float = 10.0,
        max_queue: int = 10_000,
        wait_when_full: float = 0.0,
        batch_size: int = 500,
        max_age: float = 1.0,
        exit_timeout: float = 5.0,
        on_error: Optional[OnError] = None,
    ) -> None:
        address = _setting(base_url, "TOKENLEDGER_BASE_URL", "base_url").rstrip("/")
        key = _setting(api_key, "TOKENLEDGER_API_KEY", "api_key")
        if not address.startswith(("http://", "https://")):
            raise ConfigurationError(f"base_url begins with https:// or http://; this is {address!r}.")
        if min(max_queue, batch_size) < 1 or min(timeout, wait_when_full, max_age, exit_timeout) < 0:
            raise ConfigurationError("max_queue and batch_size are 1 or more, times are 0 or more.")
        self._connection = Connection(address.removesuffix("/v1"), key, timeout)
        self._max_queue = max_queue
        self._wait_when_full = wait_when_full
        self._batch_size = min(batch_size, max_queue)
        self._max_age = max_age
        self._exit_timeout = exit_timeout
        self._on_error = on_error
        self._is_closed = False
        self._context: ContextVar[Optional[Mapping[str, Any]]] = ContextVar("tokenledger", default=None)
        self._make_sender()
        _living.add(self)

    @property
    def base_url(self) -> str:
        return self._connection.base_url

    # ── Tracking ──

    def track(self, *, model: str, usage: Any, **fields: Unpack[EventFields]) -> str:
        """Count a call, without waiting for the network; the event's id.

        `usage` is the provider's own object, an SDK's, or our buckets; None is unknown. Raises TypeError or ValueError
        for what cannot be an event, ClosedError after close(). All else is told to the log, `stats` and `on_error`.
        """
        event = make_event(model, usage, self.dimensions, fields)
        self._put(event, self._wait_when_full)
        return str(event["id"])

    def report(self, model: str, usage: Any, fields: Mapping[str, Any]) -> None:
        """Count a call whose dimensions are complete. Never waits: an answer is on its way to its caller."""
        self._put(make_event(model, usage, {}, fields), 0.0)

    @property
    def dimensions(self) -> Mapping[str, Any]:
        """Those of the blocks of `context()` around this place."""
        return self._context.get() or {}

    def _put(self, event: Mapping[str, Any], wait: float) -> None:
        if self._is_closed:
            raise ClosedError("This client is closed.")
        body = encode(event)
        if not self._outbox.put(event, body, wait):
            if self._outbox.is_closing:
                raise ClosedError("This client is closed.")
            self._sender.drop(event, QueueFull(f"The queue is full ({self._max_queue} events)."))
        elif self._sender.start():
            _deliver_at_exit(self)

    @contextmanager
    def context(self, **dimensions: Unpack[Dimensions]) -> Iterator[None]:
        """What is tracked in this block, thread or task belongs to these; blocks may be nested."""
        check(dimensions)
        token = self._context.set(merge(self.dimensions, dimensions))
        try:
            yield
        finally:
            self._context.reset(token)

    def wrap(
        self,
        provider_client: T,
        *,
        provider: Optional[str] = None,
        ask_for_stream_usage: bool = True,
        **dimensions: Unpack[Dimensions],
    ) -> T:
        """Track every call of an `openai` or `anthropic` client, synchronous or asynchronous; the same client.

        `provider` is told from the client's address unless given. `dimensions` hold for all its calls.
        `ask_for_stream_usage=False` leaves streams of chat completions as they are: for compatible servers that
        refuse `stream_options`. Raises TypeError for a client of another kind, ValueError when another one tracks it.
        """
        check(dimensions)
        return wrapping.wrap(self, provider_client, provider, dimensions, ask_for_stream_usage=ask_for_stream_usage)

    @property
    def stats(self) -> Stats:
        return self._sender.stats

    def flush(self, timeout: Optional[float] = None) -> bool:
        """Have everything sent that was tracked until now; False when that takes longer than `timeout` seconds.

        What the server refuses is done with as well: see `stats` and `on_error`.
        """
        return self._outbox.flush(timeout)

    def close(self, timeout: Optional[float] = None) -> bool:
        """Deliver what waits, in `timeout` (else `exit_timeout`) seconds; False when some of it did not arrive."""
        if self._is_closed:
            return True
        self._is_closed = True
        _living.discard(self)
        is_done = self._sender.close(self._exit_timeout if timeout is None else timeout)
        self._connection.close()
        atexit.unregister(self.close)
        return is_done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    # ── Before a call ──

    def estimate(
        self,
        *,
        model: str,
        messages: Optional[Sequence[Mapping[str, Any]]] = None,
        text: Optional[str] = None,
        input_tokens: Optional[int] = None,
        max_output_tokens: Optional[int] = None,
        provider: Optional[str] = None,
    ) -> Estimate:
        """Tokens and cost of a call that has not been made: of its messages, a text, or a number of tokens."""
        given = {"messages": messages, "text": text, "input_tokens": input_tokens}
        asked = {name: value for name, value in given.items() if value is not None}
        if len(asked) != 1:
            raise TypeError("estimate() takes one of messages, text and input_tokens")
        optional = {"max_output_tokens": max_output_tokens, "provider": provider}
        asked.update((name, value) for name, value in optional.items() if value is not None)
        return _read(Estimate, self._connection.ask("POST", "/v1/estimate", body={"model": model, **asked}))

    def admit(
        self,
        *,
        model: str,
        estimated_tokens: int,
        estimated_cost_usd: Union[Decimal, str, None] = None,
        provider: Optional[str] = None,
        expires_in_seconds: Optional[int] = None,
        **dimensions: Unpack[Dimensions],
    ) -> Admission:
        """Reserve room under every limit before a call; use it in a `with` block and settle what was used.

        The call is of `dimensions` and of those of `context()`. Raises LimitReached (see its `retry_after`) or
        CreditsSpent when there is no room.
        """
        check(dimensions)
        asked = {
            "estimated_tokens": estimated_tokens,
            "estimated_cost_usd": None if estimated_cost_usd is None else str(estimated_cost_usd),
            "provider": provider,
            "expires_in_seconds": expires_in_seconds,
        }
        return Admission(self._connection, model, asked, merge(self.dimensions, dimensions))

    # ── Processes ──

    def _make_sender(self) -> None:
        self._outbox = Outbox(
            capacity=self._max_queue, batch_size=self._batch_size, batch_bytes=BATCH_BYTES, max_age=self._max_age
        )
        self._sender = Sender(self._connection, self._outbox, self._on_error)

    def _after_fork(self) -> None:
        """What waits is the parent's to send, as are its thread and its sockets: the child begins anew."""
        self._connection.after_fork()
        self._make_sender()


_living: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_living):
        client._after_fork()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _deliver_at_exit(client: Client) -> None:
    """Once per process, as soon as it has something to deliver."""
    atexit.register(client.close)
    if multiprocessing.parent_process() is not None:
        # Before Python 3.14 a child of multiprocessing ends without the above; its own last words are these.
        multiprocessing.util.Finalize(None, client.close, exitpriority=0)


def _setting(given: Optional[str], variable: str, name: str) -> str:
    value = given or os.environ.get(variable, "")
    if not value.strip():
        raise ConfigurationError(f"Pass {name}, or set {variable}.")
    return value.strip()

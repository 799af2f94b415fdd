"""Looking on while a caller reads a stream: chunks pass as they come, and each end of a stream ends its call.

The SDKs' stream objects stay what they are. Only the iterator inside of them is replaced, by one that looks on.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import AsyncIterator, Awaitable, Iterator
from types import TracebackType
from typing import Any, Callable, Optional

from tokenledger.wrapping.calls import Call, inside

logger = logging.getLogger("tokenledger")


class Observed:
    """A stream's iterator. It does not hold the stream, so that a dropped stream is closed at once, as without it."""

    def __init__(self, chunks: Iterator[Any], call: Call) -> None:
        self._chunks = chunks
        self._call = call

    def __iter__(self) -> Observed:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                chunk = next(self._chunks)
            except StopIteration:
                self._call.ended()
                raise
            except BaseException as error:
                self._call.failed(error)
                raise
            if not self._call.saw(chunk):
                return chunk

    def __del__(self) -> None:
        self._call.abandoned()


class AsyncObserved:
    def __init__(self, chunks: AsyncIterator[Any], call: Call) -> None:
        self._chunks = chunks
        self._call = call

    def __aiter__(self) -> AsyncObserved:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                chunk = await self._chunks.__anext__()
            except StopAsyncIteration:
                self._call.ended()
                raise
            except BaseException as error:
                self._call.failed(error)
                raise
            if not self._call.saw(chunk):
                return chunk

    def __del__(self) -> None:
        self._call.abandoned()


def observe(stream: Any, call: Call) -> None:
    """Look on from now on. A stream of an unknown kind passes untouched, and its usage stays unknown."""
    chunks: Any = getattr(stream, "_iterator", None)
    if hasattr(chunks, "__anext__"):
        stream._iterator = AsyncObserved(chunks, call)  # noqa: SLF001
    elif hasattr(chunks, "__next__"):
        stream._iterator = Observed(chunks, call)  # noqa: SLF001
    else:
        logger.warning("streams of this kind cannot be tracked, their usage is unknown: %s", type(stream).__name__)
        call.ended()
        return
    _notice_close(stream, call)


def _notice_close(stream: Any, call: Call) -> None:
    """Closing ends the call even where the closed stream lives on. Works for coroutines, which are passed on."""
    living, close = weakref.ref(stream), type(stream).close

    def closing() -> Any:
        call.abandoned()
        closed = living()
        return None if closed is None else close(closed)

    stream.close = closing


class Managed:
    """What `.stream(…)` gives: a context manager that makes its request when entered."""

    def __init__(self, manager: Any, begin: Callable[[], Call]) -> None:
        self._manager = manager
        self._begin = begin
        self._call: Optional[Call] = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)

    def __enter__(self) -> Any:
        self._call = self._begin()
        try:
            with inside():
                stream = self._manager.__enter__()
        except BaseException as error:
            self._call.failed(error)
            raise
        observe(getattr(stream, "_raw_stream", None), self._call)
        return stream

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> Any:
        if self._call is not None:
            self._call.abandoned()
        return self._manager.__exit__(kind, error, trace)

    async def __aenter__(self) -> Any:
        self._call = self._begin()
        try:
            with inside():
                stream = await self._manager.__aenter__()
        except BaseException as error:
            self._call.failed(error)
            raise
        observe(getattr(stream, "_raw_stream", None), self._call)
        return stream

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> Any:
        if self._call is not None:
            self._call.abandoned()
        return await self._manager.__aexit__(kind, error, trace)


def observe_parse(response: Any, call: Call, *, is_streamed: bool) -> None:
    """A raw response whose body has not been read: seen when the caller parses it, otherwise its usage is unknown."""
    living, parse = weakref.ref(response), type(response).parse

    def parsing(*args: Any, **kwargs: Any) -> Any:
        parsed = parse(living(), *args, **kwargs)
        return _parsed_later(parsed) if hasattr(parsed, "__await__") else _noted(parsed)

    async def _parsed_later(parsed: Awaitable[Any]) -> Any:
        return _noted(await parsed)

    def _noted(parsed: Any) -> Any:
        if not is_streamed:
            call.answered(parsed)
        elif not isinstance(getattr(parsed, "_iterator", None), (Observed, AsyncObserved)):
            observe(parsed, call)
        return parsed

    response.parse = parsing
    weakref.finalize(response, call.ended).atexit = False

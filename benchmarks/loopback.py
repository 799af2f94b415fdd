"""A client that spends little: prepared requests over keep-alive connections, answers read only as far as needed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

import msgspec


class Run(msgspec.Struct):
    """What a phase measured."""

    seconds: float = 0.0
    statuses: Counter[str] = msgspec.field(default_factory=Counter)
    latencies_ms: list[float] = msgspec.field(default_factory=list)
    last_answer: bytes = b""

    @property
    def requests(self) -> int:
        return len(self.latencies_ms)

    def percentile(self, share: float) -> float:
        return percentile(self.latencies_ms, share)

    def connection(self, waiting: Iterator[bytes]) -> Connection:
        """One more that notes here what it gets."""
        return Connection(waiting, self)


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def request(port: int, secret: str, body: bytes, path: str = "/v1/events") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


R = TypeVar("R", bound=Run)


class Connection(asyncio.Protocol):
    """Sends one prepared request after the other until there are none."""

    def __init__(self, waiting: Iterator[bytes], run: Run) -> None:
        self._waiting, self._run = waiting, run
        self._deadline = float("inf")
        self._transport: asyncio.Transport
        self.received = b""
        self.sent_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def begin(self, deadline: float) -> None:
        """Send, and begin nothing after `deadline` (time.perf_counter)."""
        self._deadline = deadline
        self._send()

    def _send(self) -> None:
        following = next(self._waiting, None) if time.perf_counter() < self._deadline else None
        if following is None:
            if not self.ended.done():
                self.ended.set_result(None)
            return
        self.received = b""
        self.sent_at = time.perf_counter()
        self._transport.write(following)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self._is_whole():
            return
        self._run.latencies_ms.append((time.perf_counter() - self.sent_at) * 1000)
        self._run.statuses[self.received[9:12].decode()] += 1
        self._run.last_answer = self.received
        self._send()

    def _is_whole(self) -> bool:
        """Whether all of the answer is here: as long as its head says, or with the last chunk, which is empty."""
        head_end = self.received.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        at = self.received.find(b"content-length: ", 0, head_end)
        if at < 0:
            return self.received.endswith(b"\r\n0\r\n\r\n")
        length = int(self.received[at + 16 : self.received.find(b"\r\n", at)])
        return len(self.received) >= head_end + 4 + length

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        self._transport.close()


async def drive(
    run: R, port: int, requests: Iterable[bytes], connections: int, seconds: float, *, spread_seconds: float = 0.0
) -> R:
    """Send `requests` over so many connections, for so long at most; a connection has one request under way.

    The connections begin one after the other within `spread_seconds`. Returns `run`, filled.
    """
    loop = asyncio.get_running_loop()
    waiting = iter(requests)
    opened = [
        (await loop.create_connection(lambda: run.connection(waiting), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    started = time.perf_counter()
    for number, each in enumerate(opened):
        loop.call_later(spread_seconds * number / connections, each.begin, started + seconds)
    await asyncio.gather(*(each.ended for each in opened))
    run.seconds = time.perf_counter() - started
    for each in opened:
        each.close()
    return run

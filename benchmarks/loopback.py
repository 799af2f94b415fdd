"""A client that spends little: prepared requests over keep-alive connections, answers read only as far as needed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence

import msgspec


class Run(msgspec.Struct):
    """What a phase measured."""

    seconds: float
    requests: int
    statuses: dict[str, int]
    latencies_ms: list[float]
    last_answer: bytes

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def request(port: int, secret: str, body: bytes) -> bytes:
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """Sends one prepared request after the other until there are none."""

    def __init__(self, waiting: deque[bytes], deadline: list[float], run: _Collected) -> None:
        self._waiting, self._deadline, self._run = waiting, deadline, run
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self) -> None:
        if not self._waiting or time.perf_counter() > self._deadline[0]:
            if not self.ended.done():
                self.ended.set_result(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(self._waiting.popleft())

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        at = self._received.find(b"content-length: ")
        length = int(self._received[at + 16 : self._received.find(b"\r\n", at)])
        if len(self._received) < head_end + 4 + length:
            return
        self._run.latencies.append((time.perf_counter() - self._sent_at) * 1000)
        self._run.statuses[self._received[9:12].decode()] += 1
        self._run.last = self._received[head_end + 4 :]
        self._received = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server closed the connection"))


class _Collected:
    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.last = b""


async def drive(port: int, requests: Iterable[bytes], connections: int, seconds: float) -> Run:
    """Send `requests` over so many connections, for so long at most; a connection has one request under way."""
    loop = asyncio.get_running_loop()
    waiting, collected, deadline = deque(requests), _Collected(), [float("inf")]
    opened: Sequence[tuple[asyncio.BaseTransport, _Connection]] = [
        await loop.create_connection(lambda: _Connection(waiting, deadline, collected), "127.0.0.1", port)
        for _ in range(connections)
    ]
    started = time.perf_counter()
    deadline[0] = started + seconds
    for _, connection in opened:
        connection.send()
    await asyncio.gather(*(connection.ended for _, connection in opened))
    elapsed = time.perf_counter() - started
    for transport, _ in opened:
        transport.close()
    return Run(elapsed, len(collected.latencies), dict(collected.statuses), collected.latencies, collected.last)

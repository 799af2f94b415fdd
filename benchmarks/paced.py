"""Streams that come slowly: when their first chunk arrives, and how much later than it left each of them does."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import msgspec

from benchmarks.loopback import Connection, Run

_STAMP = re.compile(rb'"content": ?"(\d{19})"')


class PacedRun(Run):
    first_ms: list[float] = msgspec.field(default_factory=list)
    lags_ms: list[float] = msgspec.field(default_factory=list)
    differences_ms: list[float] = msgspec.field(default_factory=list)

    @property
    def jitter_ms(self) -> float:
        """The mean difference between the lags of one chunk and the next (RFC 3550's, not smoothed)."""
        return sum(self.differences_ms) / len(self.differences_ms)

    def connection(self, waiting: Iterator[bytes]) -> Connection:
        return _PacedConnection(waiting, self)


class _PacedConnection(Connection):
    """Reads the moment at which the model server wrote each chunk; both read the machine's monotonic clock."""

    def __init__(self, waiting: Iterator[bytes], run: PacedRun) -> None:
        super().__init__(waiting, run)
        self._paced = run
        self._read_to = 0
        self._lag: float | None = None

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if not self.received:
            self._read_to, self._lag = 0, None
        chunks = self.received + data
        for stamp in _STAMP.finditer(chunks, self._read_to):
            self._read_to = stamp.end()
            lag = (now - int(stamp[1])) / 1e6
            if self._lag is None:
                self._paced.first_ms.append((time.perf_counter() - self.sent_at) * 1000)
            else:
                self._paced.differences_ms.append(abs(lag - self._lag))
            self._paced.lags_ms.append(lag)
            self._lag = lag
        super().data_received(data)

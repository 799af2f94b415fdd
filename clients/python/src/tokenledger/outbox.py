"""What waits to be sent: a bounded queue, cut into batches by size and by age.

Every event that was put in comes out of `finish` or `abandon` exactly once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional


class Pending(NamedTuple):
    """An event on its way. `at` is when it was put in, by the monotonic clock."""

    number: int
    event: Mapping[str, Any]
    body: bytes
    at: float


class Outbox:
    """Used by any number of threads that put, and one that takes."""

    def __init__(self, *, capacity: int, batch_size: int, batch_bytes: int, max_age: float) -> None:
        self._capacity = capacity
        self._batch_size = batch_size
        self._batch_bytes = batch_bytes
        self._max_age = max_age
        self._changed = threading.Condition()
        self._waiting: deque[Pending] = deque()
        self._under_way: dict[int, Pending] = {}
        self._accepted = 0
        self._wanted = 0
        self._close_by: Optional[float] = None

    def __len__(self) -> int:
        with self._changed:
            return self._size()

    @property
    def is_closing(self) -> bool:
        return self._close_by is not None

    def put(self, event: Mapping[str, Any], body: bytes, wait: float) -> bool:
        """False when there was no room, not even after `wait` seconds, or when the outbox is closing."""
        with self._changed:
            if self._size() >= self._capacity and self._close_by is None and wait > 0:
                self._changed.wait_for(lambda: self._size() < self._capacity or self._close_by is not None, wait)
            if self._close_by is not None or self._size() >= self._capacity:
                return False
            number = self._accepted = self._accepted + 1
            self._waiting.append(Pending(number, event, body, time.monotonic()))
            # Nobody else changes what the taker waits for: its first event, or a full batch.
            if len(self._waiting) in (1, self._batch_size):
                self._changed.notify_all()
            return True

    def take(self) -> list[Pending]:
        """The next batch, as soon as it is full, old enough or wanted; empty when closing and nothing is left."""
        with self._changed:
            while True:
                if not self._waiting:
                    if self._close_by is not None:
                        return []
                    self._changed.wait()
                    continue
                first = self._waiting[0]
                left = first.at + self._max_age - time.monotonic()
                is_due = left <= 0 or len(self._waiting) >= self._batch_size or first.number <= self._wanted
                if is_due or self._close_by is not None:
                    return self._cut()
                self._changed.wait(left)

    def finish(self, batch: Iterable[Pending]) -> list[Pending]:
        """Events are done with, for good or ill; those that had not been abandoned meanwhile."""
        with self._changed:
            finished = [one for one in batch if self._under_way.pop(one.number, None) is not None]
            self._changed.notify_all()
            return finished

    def pause(self, seconds: float) -> bool:
        """Wait before trying again, until the time has come or closing begins: then everything is tried once more.

        False when there is no time left for it.
        """
        until = time.monotonic() + seconds
        with self._changed:
            if self._close_by is not None:
                if self._close_by < until:
                    return False
                self._changed.wait_for(lambda: time.monotonic() >= until, seconds)
            else:
                self._changed.wait_for(lambda: self._close_by is not None, seconds)
            return True

    def flush(self, timeout: Optional[float]) -> bool:
        """Have everything sent that was put in until now; whether it is done with after `timeout` seconds."""
        with self._changed:
            upto = self._accepted
            self._wanted = max(self._wanted, upto)
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._holds(upto), timeout)

    def close(self, timeout: float) -> None:
        """Take nothing more in, and have what there is done with in `timeout` seconds."""
        with self._changed:
            if self._close_by is None:
                self._close_by = time.monotonic() + timeout
            self._changed.notify_all()

    def wait_empty(self) -> None:
        """Until everything is done with, or the time of `close` is over."""
        with self._changed:
            left = 0.0 if self._close_by is None else self._close_by - time.monotonic()
            self._changed.wait_for(lambda: self._size() == 0, max(0.0, left))

    def abandon(self) -> list[Pending]:
        """Everything that is left, in order."""
        with self._changed:
            left = [*self._under_way.values(), *self._waiting]
            self._under_way.clear()
            self._waiting.clear()
            self._changed.notify_all()
            return left

    def _size(self) -> int:
        return len(self._waiting) + len(self._under_way)

    def _holds(self, upto: int) -> bool:
        """Whether an event up to this number is still here. Both collections are in order."""
        oldest = next(iter(self._under_way), upto + 1)
        waiting = self._waiting[0].number if self._waiting else upto + 1
        return min(oldest, waiting) <= upto

    def _cut(self) -> list[Pending]:
        batch: list[Pending] = []
        size = 0
        while self._waiting and len(batch) < self._batch_size:
            size += len(self._waiting[0].body) + 1
            if batch and size > self._batch_bytes:
                break
            batch.append(self._waiting.popleft())
        self._under_way.update((one.number, one) for one in batch)
        return batch

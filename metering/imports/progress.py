"""How far an import is, for a terminal or for a log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from core.figures import count, percent
from metering.imports.run import Journal
from metering.imports.tally import RowProblem, Tally

BAR_WIDTH = 30
TERMINAL_SECONDS = 0.2
LOG_SECONDS = 10.0


class Progress:
    """A bar over the bytes of the file on a terminal; else a plain line every few seconds."""

    def __init__(self, out: TextIO, size_bytes: int) -> None:
        self._out = out
        self._size = size_bytes
        self._is_terminal = out.isatty()
        self._pause = TERMINAL_SECONDS if self._is_terminal else LOG_SECONDS
        self._began = self._shown = time.monotonic()

    def show(self, bytes_done: int, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._shown < self._pause:
            return
        self._shown = now
        done = min(1.0, bytes_done / self._size) if self._size else 1.0
        rate = tally.rows / max(now - self._began, 0.001)
        words = f"{percent(done):>6}  {count(tally.rows)} rows  {count(round(rate))} rows/s"
        if self._is_terminal:
            filled = round(done * BAR_WIDTH)
            self._out.write(f"\r[{'#' * filled}{' ' * (BAR_WIDTH - filled)}] {words}  ")
        else:
            self._out.write(f"{words}\n")
        self._out.flush()

    def clear(self) -> None:
        if self._is_terminal:
            self._out.write("\r\033[K")
            self._out.flush()


class ShownJournal:
    """Passes on to the journals behind it, and moves the bar."""

    def __init__(self, progress: Progress, *journals: Journal) -> None:
        self._progress = progress
        self._journals = journals

    def advance(self, rows_done: int, bytes_done: int, tally: Tally, problems: Sequence[RowProblem]) -> None:
        for journal in self._journals:
            journal.advance(rows_done, bytes_done, tally, problems)
        self._progress.show(bytes_done, tally)

"""What calls really used, entered into their request rates: those that end together in one go."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from metering.limits.rates import Rates, Taken

GATHER_SECONDS = 0.05
# Windows, the second in which the estimates were counted there, and whether more was used than estimated: what is given
# back belongs to that second, what is added to now.
_Place = tuple[tuple[str, ...], int, bool]


class Corrections:
    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._waiting: defaultdict[_Place, int] = defaultdict(int)
        self._task: asyncio.Task[None] | None = None

    def add(self, taken: Taken, tokens: int) -> None:
        """A call that was counted with `taken` used `tokens`."""
        difference = tokens - taken.counted_tokens
        if not difference or not taken.counted_in:
            return
        self._waiting[taken.counted_in, taken.counted_at, difference > 0] += difference
        if self._task is None:
            self._task = asyncio.create_task(self._enter(), name="rate-corrections")

    async def stop(self) -> None:
        if self._task is not None:
            await self._task

    async def _enter(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER_SECONDS)
            waiting, self._waiting = self._waiting, defaultdict(int)
            await asyncio.gather(
                *(
                    self._rates.correct(Taken(counted_in=windows, counted_at=second), difference)
                    for (windows, second, _), difference in waiting.items()
                )
            )
        self._task = None

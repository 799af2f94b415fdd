"""Feeds: the figures of one view, read once however many watch it.

A hint that totals changed has them read again, at most once a second; without hints a slow pulse does. Who watches
gets the newest frame, not each: a slow reader skips some.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from core.database_threads import DatabaseThreads
from core.errors import ApiError
from reports.live.hints import Listener
from reports.live.reading import Frame, Watch, Watcher, read

logger = structlog.get_logger(__name__)

# For all streams of a process: a read takes some milliseconds and happens when usage comes in.
THREADS = 4
PAUSE_SECONDS = 1.0
# Reading without a hint: one may have been lost. While Redis is away nobody hints.
PULSE_SECONDS = 30.0
PULSE_WITHOUT_HINTS_SECONDS = 5.0


class Feed:
    """One view's newest frame. `number` counts the frames; a feed that has ended gets no more."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.watchers = 0
        self.frame: Frame | None = None
        self.number = 0
        self.has_ended = False
        self.hinted = asyncio.Event()
        self._turn = asyncio.Event()

    async def beyond(self, number: int) -> None:
        """Wait for a frame after `number`, or the end."""
        while self.number <= number and not self.has_ended:
            await self._turn.wait()

    def show(self, frame: Frame) -> None:
        self.frame = frame
        self.number += 1
        self._wake()

    def end(self) -> None:
        self.has_ended = True
        self._wake()

    def _wake(self) -> None:
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()


class Feeds:
    """One of a process, for one event loop. Starts with who watches first."""

    def __init__(self) -> None:
        self.threads = DatabaseThreads(THREADS, "live")
        self._feeds: dict[Watch, Feed] = {}
        # Those that show an organization's usage, and those that show a person's inbox.
        self._of_organization: dict[int, set[Feed]] = {}
        self._of_person: dict[int, set[Feed]] = {}
        self._reading: dict[Feed, asyncio.Task[None]] = {}
        self._listener = Listener(
            lambda ids: _hint(self._of_organization, ids), lambda ids: _hint(self._of_person, ids)
        )
        self.has_ended = False

    @asynccontextmanager
    async def watching(self, watcher: Watcher) -> AsyncIterator[Feed]:
        self._listener.start()
        feed = self._feeds.get(watcher.watch)
        if feed is None or feed.has_ended:
            feed = self._open(watcher)
        feed.watchers += 1
        try:
            yield feed
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                self._close(feed)

    def end(self) -> None:
        """Let everybody go who watches, and nobody begin to."""
        self.has_ended = True
        for feed in self._reading:
            feed.end()

    async def stop(self) -> None:
        self.end()
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.stop()
        await self.threads.stop()

    def _open(self, watcher: Watcher) -> Feed:
        feed = self._feeds[watcher.watch] = Feed(watcher)
        siblings, whose = self._siblings(watcher.watch)
        siblings.setdefault(whose, set()).add(feed)
        self._reading[feed] = asyncio.create_task(self._read(feed), name="live-feed")
        return feed

    def _close(self, feed: Feed) -> None:
        watch = feed.watcher.watch
        if self._feeds.get(watch) is feed:
            del self._feeds[watch]
        siblings, whose = self._siblings(watch)
        siblings[whose].discard(feed)
        if not siblings[whose]:
            del siblings[whose]
        self._reading.pop(feed).cancel()

    def _siblings(self, watch: Watch) -> tuple[dict[int, set[Feed]], int]:
        """Feeds that are hinted at together, and by which id."""
        return (self._of_person, watch.person) if watch.person else (self._of_organization, watch.organization_id)

    async def _read(self, feed: Feed) -> None:
        """Until nobody watches any more, or what they may see has changed."""
        while not feed.has_ended:
            feed.hinted.clear()
            try:
                frame = await self.threads.run(read, feed.watcher, feed.frame)
            except ApiError:
                feed.end()
                return
            except Exception:
                # The database is away: who watches keeps the last figures and is told nothing new.
                logger.exception("live_read_failed")
                frame = None
            if frame is not None:
                feed.show(frame)
            await asyncio.sleep(PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(PULSE_SECONDS if self._listener.is_hearing else PULSE_WITHOUT_HINTS_SECONDS):
                    await feed.hinted.wait()


def _hint(feeds: Mapping[int, Collection[Feed]], ids: Collection[int] | None) -> None:
    """To those of these ids, or to all."""
    for whose in feeds if ids is None else ids:
        for feed in feeds.get(whose, ()):
            feed.hinted.set()

"""Threads in which an event loop uses Django's database, a few for the whole process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")


class DatabaseThreads:
    """Each thread has a connection of its own, kept as long as settings let connections live."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._connections: set[BaseDatabaseWrapper] = set()

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        def call() -> T:
            self._connections.add(connections[DEFAULT_DB_ALIAS])
            close_old_connections()
            try:
                return function(*args)
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def stop(self) -> None:
        """After what is under way has ended."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.shutdown()
        for each in self._connections:
            each.inc_thread_sharing()
            each.close()

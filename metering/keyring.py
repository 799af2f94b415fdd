"""What the edge remembers of accounts and prices: keys, what was read about each organization, the price book.

Accounts and pricing announce changes by NOTIFY, and what changed is forgotten at once; so a revoked key stops in
every process. While nobody listens (the database is away, the process is starting) nothing is remembered at all. A
key is looked up again every few seconds even so, for the case of a listener that has gone deaf without noticing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
import structlog

from accounts import keys
from accounts.keys import KeyGrant
from accounts.models import APIKey
from core.database_threads import DatabaseThreads
from core.tenancy import organization_scope
from metering.directory import Directory
from metering.pricing.book import CHANNEL as PRICES_CHANNEL
from metering.pricing.book import PriceBook

logger = structlog.get_logger(__name__)

KEY_LIFETIME_SECONDS = 20.0
MOST_KEYS = 50_000
MOST_ORGANIZATIONS = 2_000
PING_SECONDS = 10.0
DIRECTORY_CHANNEL = "tokenledger_directory"
THREADS = 4

T = TypeVar("T")


class Keyring:
    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._book: PriceBook | None = None
        self._keys: dict[bytes, tuple[float, KeyGrant]] = {}
        self._organizations: dict[int, dict[Callable[[int], Any], Any]] = {}
        self._loading: dict[object, asyncio.Task[Any]] = {}
        self._forgotten = 0
        self._is_listening = False
        self._listener: asyncio.Task[None] | None = None
        self._threads = DatabaseThreads(THREADS, "keyring")

    def start(self) -> None:
        self._listener = asyncio.create_task(self._listen(), name="keyring-listener")

    async def stop(self) -> None:
        if self._listener:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
        await self._threads.stop()

    # ── Asking ──

    async def grant(self, secret: str) -> KeyGrant:
        """What the key may do. Raises ApiError 401."""
        name = hashlib.sha256(secret.encode(errors="replace")).digest()  # secrets themselves are not kept
        remembered = self._keys.get(name)
        if remembered is not None and remembered[0] > time.monotonic():
            return remembered[1]
        (grant, until), is_current = await self._load(name, _authenticate, secret)
        if is_current:
            if len(self._keys) >= MOST_KEYS:
                self._keys.clear()
            self._keys[name] = (until, grant)
        return grant

    async def directory(self, organization_id: int) -> Directory:
        return await self.about(organization_id, Directory.load)

    async def about(self, organization_id: int, read: Callable[[int], T]) -> T:
        """What `read` finds about an organization (its names, its upstreams, its limits), remembered until a change.

        `read` runs in a thread with a Django connection and opens the organization's scope itself. The tables it
        reads announce their changes on `DIRECTORY_CHANNEL` (core.row_security.announce).
        """
        known = self._organizations.get(organization_id)
        if known is not None and read in known:
            remembered: T = known[read]
            return remembered
        found, is_current = await self._load((organization_id, read), read, organization_id)
        if is_current:
            if known is None:
                while len(self._organizations) >= MOST_ORGANIZATIONS:
                    del self._organizations[next(iter(self._organizations))]
            self._organizations.setdefault(organization_id, {})[read] = found
        return found

    async def prices(self) -> PriceBook:
        if self._book is not None:
            return self._book
        book, is_current = await self._load("prices", PriceBook.load)
        if is_current:
            self._book = book
        return book

    async def _load(self, name: object, function: Callable[..., T], *args: Any) -> tuple[T, bool]:
        """What `function` reads, and whether it still holds: nothing was announced since and somebody listens."""
        before = self._forgotten
        task = self._loading.get(name)
        if task is None:
            task = self._loading[name] = asyncio.create_task(self._threads.run(function, *args))
            task.add_done_callback(lambda _: self._loading.pop(name, None) if self._loading.get(name) is task else None)
        # Several may wait for it; one of them going away does not end it.
        found = await asyncio.shield(task)
        return found, self._is_listening and self._forgotten == before

    # ── Forgetting ──

    def forget_directory(self, organization_id: int) -> None:
        self._organizations.pop(organization_id, None)

    def _forget(self, organization_id: int) -> None:
        self._begin_anew()
        self._organizations.pop(organization_id, None)
        for name in [n for n, (_, grant) in self._keys.items() if grant.organization_id == organization_id]:
            del self._keys[name]

    def _forget_everything(self) -> None:
        self._begin_anew()
        self._organizations.clear()
        self._keys.clear()
        self._book = None

    def _begin_anew(self) -> None:
        """What is being loaded now may have been read before the change: nobody else is to wait for it."""
        self._forgotten += 1
        self._loading.clear()

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as listening:
                    for channel in (DIRECTORY_CHANNEL, PRICES_CHANNEL):
                        await listening.execute(f"LISTEN {channel}")
                    self._forget_everything()
                    self._is_listening = True
                    while True:
                        async for notice in listening.notifies(timeout=PING_SECONDS):
                            self._heed(notice)
                        async with asyncio.timeout(PING_SECONDS):
                            await listening.execute("SELECT 1")
            except (psycopg.Error, OSError, TimeoutError) as error:
                logger.warning("keyring_listener_lost", error=str(error))
            finally:
                self._is_listening = False
                self._forget_everything()
            await asyncio.sleep(1)

    def _heed(self, notice: psycopg.Notify) -> None:
        if notice.channel == PRICES_CHANNEL:
            self._begin_anew()
            self._book = None
        elif notice.payload.isdigit():
            self._forget(int(notice.payload))


def _authenticate(secret: str) -> tuple[KeyGrant, float]:
    """The key's grant, and until when (monotonic) it may be taken from memory: never beyond the key's own end."""
    grant = keys.authenticate(secret)
    with organization_scope(grant.organization_id):
        expires_at = APIKey.objects.values_list("expires_at", flat=True).get(pk=grant.key_id)
    lifetime = KEY_LIFETIME_SECONDS
    if expires_at is not None:
        lifetime = min(lifetime, (expires_at - dt.datetime.now(dt.UTC)).total_seconds())
    return grant, time.monotonic() + lifetime

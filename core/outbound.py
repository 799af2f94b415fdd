"""Connecting to addresses that users entered: what a name leads to is judged at the moment it is connected to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult


class RefusedAddressError(OSError):
    """A name leads to an address that this installation must not be sent to."""


class PublicResolver(AbstractResolver):
    """Resolves names to allowed addresses. What is connected to is what was judged: no second look-up in between."""

    def __init__(self, is_allowed: Callable[[str], bool]) -> None:
        self._resolver = aiohttp.ThreadedResolver()
        self._is_allowed = is_allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        allowed = [each for each in found if self._is_allowed(each["host"])]
        if not allowed:
            raise RefusedAddressError(f"{host} leads to no public address")
        return allowed

    async def close(self) -> None:
        await self._resolver.close()


def check_literal(url: str, is_allowed: Callable[[str], bool]) -> None:
    """Addresses written as numbers pass no resolver. Raises RefusedAddressError."""
    address = _literal(url)
    if address is not None and not is_allowed(address):
        raise RefusedAddressError(f"{address} is no public address")


@lru_cache(maxsize=10_000)
def _literal(url: str) -> str | None:
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return host

"""Handing a message to a device's push service: encrypted for the device (RFC 8291), signed by us (RFC 8292)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec
from django.conf import settings
from django.utils.timezone import now
from pywebpush import WebPusher

from alerts.channels.errors import TryLaterError
from alerts.models import PushDevice
from alerts.push.keys import authorization
from core.net import is_public
from core.outbound import PublicResolver, check_literal

LONGEST_SECONDS = 10.0
# How long a push service keeps what it cannot deliver.
TTL_SECONDS = 24 * 3600
LONGEST_WAIT_SECONDS = 3600
_GONE = frozenset({404, 410})
_LATER = frozenset({408, 425, 429})


def deliver(device: PushDevice, content: Mapping[str, str]) -> None:
    """Send it, for at most LONGEST_SECONDS; what became of it is written down at the device.

    A device that its service has given up is removed. Raises TryLaterError.
    """
    body = WebPusher({"endpoint": device.endpoint, "keys": {"p256dh": device.p256dh, "auth": device.auth}}).encode(
        msgspec.json.encode(content)
    )["body"]
    headers = {
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(TTL_SECONDS),
        "Urgency": "high",
        "Authorization": authorization(device.endpoint),
    }
    if content["tag"]:
        # At most 32 characters of base64url: what is not delivered yet is replaced by the newer one.
        headers["Topic"] = hashlib.sha256(content["tag"].encode()).hexdigest()[:32]
    try:
        status, retry_after = asyncio.run(_post(device.endpoint, body, headers))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        _remember(device, f"Its push service cannot be reached ({type(error).__name__}).")
        raise TryLaterError(repr(error)) from error
    _conclude(device, status, retry_after)


def _conclude(device: PushDevice, status: int, retry_after: str) -> None:
    if status in _GONE:
        device.delete()
    elif 200 <= status < 300:
        device.last_sent_at = now()
        _remember(device, "")
    else:
        _remember(device, f"Its push service answered {status}.")
        if status in _LATER or status >= 500:
            raise TryLaterError(f"status {status}", _seconds(retry_after))


def _remember(device: PushDevice, problem: str) -> None:
    # The device may have been removed while its service was asked: then there is nothing to write down.
    PushDevice.objects.filter(pk=device.pk).update(last_sent_at=device.last_sent_at, problem=problem)


async def _post(endpoint: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    check_literal(endpoint, _is_allowed)
    connector = aiohttp.TCPConnector(resolver=PublicResolver(_is_allowed))
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session,
        asyncio.timeout(LONGEST_SECONDS),
        session.post(endpoint, data=body, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, response.headers.get("Retry-After", "")


def _is_allowed(address: str) -> bool:
    return settings.PUSH_ALLOW_PRIVATE_SERVICES or is_public(address)


def _seconds(retry_after: str) -> int | None:
    """Of a Retry-After header: seconds or a date, and no longer than makes sense for what is news."""
    if retry_after.isdecimal():
        seconds = int(retry_after[:9])
    else:
        try:
            seconds = round((parsedate_to_datetime(retry_after) - now()).total_seconds())
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 1), LONGEST_WAIT_SECONDS)

"""Requests and tokens per minute, of a key and of its organization: one script in Redis a check.

Sliding windows: in no 60 seconds do more than the limit pass (docs/decisions/0004-rate-limits.md). The script counts
in all of the windows or in none, by Redis' own clock, so that the count is exact however many processes ask.

While Redis is away requests pass unchecked or are refused, as RATE_LIMITS_WHEN_REDIS_IS_DOWN says; one of them asks
Redis again every second, the others do not wait.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import structlog
from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from core.errors import ApiError
from metering.telemetry import RATE_LIMIT_FAILURES, RATE_LIMIT_REFUSALS, RATE_LIMIT_UNCHECKED

logger = structlog.get_logger(__name__)

SCRIPT = Path(__file__).with_name("rates.lua").read_bytes()
SCRIPT_DIGEST = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()
TIMEOUT_SECONDS = 0.1
ASK_AGAIN_SECONDS = 1.0
LOG_AGAIN_SECONDS = 60.0
RETRY_AFTER_SECONDS = 2
_UNLIMITED = -1
# The official SDKs would try again on every 429; here they need not.
_HOPELESS = {"x-should-retry": "false"}


class Rate(msgspec.Struct, frozen=True):
    """One bound. None is unlimited, 0 blocks."""

    requests_per_minute: int | None
    tokens_per_minute: int | None

    @property
    def is_bound(self) -> bool:
        return self.requests_per_minute is not None or self.tokens_per_minute is not None


class Window(msgspec.Struct, frozen=True):
    """What a client is told. At `reset_at` (Unix seconds) more passes than now; if refused, what was refused does."""

    limit: int
    remaining: int
    reset_at: int


class Taken(msgspec.Struct, frozen=True):
    """How the windows stand, the tighter of the key's and the organization's each; None is unlimited."""

    requests: Window | None = None
    tokens: Window | None = None
    # What a correction must find again: keys of Redis whose tokens were counted, how many, in which second.
    counted_in: tuple[str, ...] = ()
    counted_tokens: int = 0
    counted_at: int = 0

    def headers(self) -> dict[str, str]:
        found = {}
        for suffix, window in (("RPM", self.requests), ("TPM", self.tokens)):
            if window is not None:
                found[f"X-RateLimit-Limit-{suffix}"] = str(window.limit)
                found[f"X-RateLimit-Remaining-{suffix}"] = str(window.remaining)
                if window.limit:  # what is blocked does not open
                    found[f"X-RateLimit-Reset-{suffix}"] = str(window.reset_at)
        return found


_UNCHECKED = Taken()


class _Subject(msgspec.Struct, frozen=True):
    scope: str
    redis_key: str
    rate: Rate


class _Found(msgspec.Struct, frozen=True):
    """One window as the script found it. `amount` is what the request wanted of it."""

    scope: str
    unit: str
    window: Window
    amount: int
    is_full: bool

    @property
    def is_hopeless(self) -> bool:
        """More than the window ever holds: waiting does not help."""
        return self.window.limit == 0 or self.amount > self.window.limit


class Rates:
    """One of a process."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        self._lets_pass = settings.RATE_LIMITS_WHEN_REDIS_IS_DOWN == "open"
        # Unix seconds, empty for Redis' own clock.
        self._now: str = ""
        self._away_until = 0.0
        self._is_away = False
        self._log_again_at = 0.0

    async def start(self) -> None:
        """Nothing is connected before the first limit is met: an installation without limits needs no Redis here."""

    async def stop(self) -> None:
        await self._redis.aclose()

    async def take(self, organization_id: int, key_id: int, key: Rate, organization: Rate, tokens: int) -> Taken:
        """Count one request of `tokens` (estimated) in all windows.

        Raises ApiError, with nothing counted in any: 429 rate_limit_exceeded, when one of them is full; 503
        rate_limits_unavailable, when Redis is away and that closes.
        """
        subjects = _subjects(organization_id, key_id, key, organization)
        if not subjects:
            return _UNCHECKED
        reply = await self._check("take", subjects, tokens)
        if reply is None:
            return self._unchecked()
        found = _read(reply, subjects, tokens)
        full = [one for one in found if one.is_full]
        if full:
            _refuse(full, found, reply[0])
        return Taken(
            _tightest(found, "requests"),
            _tightest(found, "tokens"),
            tuple(subject.redis_key for subject in subjects if subject.rate.tokens_per_minute is not None),
            tokens,
            reply[0],
        )

    async def look(self, organization_id: int, key_id: int, key: Rate, organization: Rate) -> Taken:
        """How the windows stand, without counting. Unlimited where Redis cannot say."""
        subjects = _subjects(organization_id, key_id, key, organization)
        reply = await self._check("look", subjects, 0) if subjects else None
        if reply is None:
            return _UNCHECKED
        found = _read(reply, subjects, 0)
        return Taken(_tightest(found, "requests"), _tightest(found, "tokens"))

    async def correct(self, taken: Taken, tokens: int) -> None:
        """Enter what the request really was.

        What it did not need is given back to the second in which it was counted, if that still counts; what it needed
        beyond is counted now, when it is known. Never raises: the request is over.
        """
        delta = tokens - taken.counted_tokens
        if delta and taken.counted_in:
            await self._ask("correct", taken.counted_in, (delta, taken.counted_at))

    # ── Asking Redis ──

    async def _check(self, command: str, subjects: list[_Subject], tokens: int) -> list[int] | None:
        bounds = [
            _UNLIMITED if bound is None else bound
            for subject in subjects
            for bound in (subject.rate.requests_per_minute, subject.rate.tokens_per_minute)
        ]
        reply: list[int] | None = await self._ask(
            command, [subject.redis_key for subject in subjects], (tokens, *bounds)
        )
        return reply

    async def _ask(self, command: str, keys: Any, arguments: tuple[int, ...]) -> Any:
        """The script's answer; None while Redis is away."""
        if self._is_away:
            if time.monotonic() < self._away_until:
                return None
            # This one tries; meanwhile the others go on without.
            self._away_until = time.monotonic() + ASK_AGAIN_SECONDS
        words = (len(keys), *keys, command, self._now, *arguments)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                try:
                    answer = await self._redis.evalsha(SCRIPT_DIGEST, *words)
                except NoScriptError:
                    answer = await self._redis.eval(SCRIPT.decode(), *words)
        except (RedisError, OSError, TimeoutError) as error:
            self._fail(error)
            return None
        if self._is_away:
            self._is_away = False
            logger.warning("rate_limits_recovered")
        return answer

    def _fail(self, error: Exception) -> None:
        RATE_LIMIT_FAILURES.inc()
        now = time.monotonic()
        self._is_away = True
        self._away_until = now + ASK_AGAIN_SECONDS
        if now >= self._log_again_at:
            self._log_again_at = now + LOG_AGAIN_SECONDS
            logger.warning("rate_limits_unavailable", lets_pass=self._lets_pass, error=repr(error))

    def _unchecked(self) -> Taken:
        if self._lets_pass:
            RATE_LIMIT_UNCHECKED.labels("passed").inc()
            return _UNCHECKED
        RATE_LIMIT_UNCHECKED.labels("refused").inc()
        raise ApiError(
            503,
            "rate_limits_unavailable",
            "Request rates cannot be checked right now. Nothing was forwarded; try again shortly.",
            retry_after=RETRY_AFTER_SECONDS,
        )


def _subjects(organization_id: int, key_id: int, key: Rate, organization: Rate) -> list[_Subject]:
    """Whose windows are asked about. In a cluster all keys of an organization are on one node."""
    subjects = []
    if key.is_bound:
        subjects.append(_Subject("key", f"tl:rate:{{{organization_id}}}:key:{key_id}", key))
    if organization.is_bound:
        subjects.append(_Subject("organization", f"tl:rate:{{{organization_id}}}", organization))
    return subjects


def _read(reply: list[int], subjects: list[_Subject], tokens: int) -> list[_Found]:
    """The script's windows that have a bound."""
    found = []
    at = 1
    for subject in subjects:
        for unit, limit, amount in (
            ("requests", subject.rate.requests_per_minute, 1),
            ("tokens", subject.rate.tokens_per_minute, tokens),
        ):
            if limit is not None:
                remaining, reset_at, is_full = reply[at : at + 3]
                found.append(_Found(subject.scope, unit, Window(limit, remaining, reset_at), amount, bool(is_full)))
            at += 3
    return found


def _tightest(found: list[_Found], unit: str) -> Window | None:
    """A full window before others, and of the full ones that which opens last; else the one with least left."""
    ours = [one for one in found if one.unit == unit]
    if not ours:
        return None
    return max(ours, key=lambda one: (one.is_full, one.is_hopeless, _wait_of(one), -one.window.remaining)).window


def _wait_of(one: _Found) -> int:
    return one.window.reset_at if one.is_full else 0


def _refuse(full: list[_Found], found: list[_Found], now: int) -> NoReturn:
    last = max(full, key=lambda one: (one.is_hopeless, one.window.reset_at))
    RATE_LIMIT_REFUSALS.labels(last.scope, last.unit).inc()
    headers = Taken(_tightest(found, "requests"), _tightest(found, "tokens")).headers()
    whose = f"This {last.scope}'s limit of {last.window.limit:,} {last.unit} per minute"
    if last.is_hopeless:
        message = (
            f"{whose} lets nothing pass."
            if last.window.limit == 0
            else f"{whose} is less than the {last.amount:,} tokens of this request, which therefore never passes."
        )
        raise ApiError(429, "rate_limit_exceeded", message, headers=headers | _HOPELESS)
    wait = last.window.reset_at - now
    message = f"{whose} is reached. Try again in {wait} {'second' if wait == 1 else 'seconds'}."
    raise ApiError(429, "rate_limit_exceeded", message, retry_after=wait, headers=headers)

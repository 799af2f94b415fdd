"""Requests and tokens per minute, of a key and of its organization: one script in Redis a check.

Sliding windows: in no 60 seconds do more than the limit pass (docs/decisions/0004-rate-limits.md). The script counts
in all of the windows or in none, by Redis' own clock, so that the count is exact however many processes ask.

While Redis is away requests pass unchecked or are refused, as RATE_LIMITS_WHEN_REDIS_IS_DOWN says; one of them asks
Redis again every second, the others do not wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

import msgspec
from django.conf import settings

from core.errors import ApiError
from metering.limits.counters import Counters, CountersAwayError
from metering.telemetry import RATE_LIMIT_REFUSALS, RATE_LIMIT_UNCHECKED

RETRY_AFTER_SECONDS = 2
_UNLIMITED = -1
# The official SDKs would try again on every 429; here they need not.
_HOPELESS = {"x-should-retry": "false"}


class Rate(msgspec.Struct, frozen=True):
    """One bound. None is unlimited, 0 blocks."""

    requests_per_minute: int | None
    tokens_per_minute: int | None


class Window(msgspec.Struct, frozen=True, gc=False):
    """What a client is told.

    At `reset_at` (Unix seconds) the window gives something back; a full one that refused a request gives back by then,
    and not a second earlier, what that request needs.
    """

    limit: int
    remaining: int
    reset_at: int


class Taken(msgspec.Struct, frozen=True):
    """How the windows stand: of requests and of tokens the tighter of the key's and the organization's.

    None is unlimited.
    """

    requests: Window | None = None
    tokens: Window | None = None
    # What a correction must find again: keys of Redis whose tokens were counted, how many, in which second.
    counted_in: tuple[str, ...] = ()
    counted_tokens: int = 0
    counted_at: int = 0

    def headers(self) -> dict[str, str]:
        """X-RateLimit-{Limit,Remaining,Reset}-{RPM,TPM}; no reset where 0 blocks, for that does not open."""
        found = {}
        for suffix, window in (("RPM", self.requests), ("TPM", self.tokens)):
            if window is not None:
                found[f"X-RateLimit-Limit-{suffix}"] = str(window.limit)
                found[f"X-RateLimit-Remaining-{suffix}"] = str(window.remaining)
                if window.limit:
                    found[f"X-RateLimit-Reset-{suffix}"] = str(window.reset_at)
        return found


_UNCHECKED = Taken()


class _Subject(msgspec.Struct, frozen=True, gc=False):
    """Whose windows they are, and the key of Redis that holds them."""

    scope: str
    redis_key: str
    requests: int | None
    tokens: int | None


class _Found(msgspec.Struct, frozen=True, gc=False):
    """One window as the script found it. `amount` is what the request wanted of it."""

    scope: str
    unit: str
    window: Window
    amount: int
    is_full: bool

    @property
    def is_hopeless(self) -> bool:
        """More is wanted than the window ever holds: waiting does not help."""
        return self.window.limit == 0 or self.amount > self.window.limit

    @property
    def tightness(self) -> tuple[bool, bool, int, int]:
        """Full windows before others, of these the one that opens last; else the one with least left."""
        return self.is_full, self.is_hopeless, self.window.reset_at if self.is_full else 0, -self.window.remaining


class Rates:
    """One of a process, for one event loop."""

    def __init__(self, url: str) -> None:
        self._counters = Counters(url)
        self._lets_pass = settings.RATE_LIMITS_WHEN_REDIS_IS_DOWN == "open"
        # Unix seconds; empty for Redis' own clock.
        self._now = ""

    async def start(self) -> None:
        self._counters.start()

    async def stop(self) -> None:
        await self._counters.stop()

    async def take(self, organization_id: int, key_id: int, key: Rate, organization: Rate, tokens: int) -> Taken:
        """Count one request of `tokens` (estimated) in all windows.

        Raises ApiError with nothing counted in any: 429 rate_limit_exceeded when one of them is full, 503
        rate_limits_unavailable when Redis is away and that is to close. With Redis away in mid-check it is unknown
        whether something was counted.
        """
        subjects = _subjects(organization_id, key_id, key, organization)
        if not subjects:
            return _UNCHECKED
        try:
            at, found = await self._check("take", subjects, tokens)
        except CountersAwayError:
            return self._unchecked()
        full = [one for one in found if one.is_full]
        if full:
            _refuse(full, found, at)
        counted_in = tuple(subject.redis_key for subject in subjects if subject.tokens is not None)
        return Taken(_tightest(found, "requests"), _tightest(found, "tokens"), counted_in, tokens, at)

    async def look(self, organization_id: int, key_id: int, key: Rate, organization: Rate) -> Taken:
        """How the windows stand, without counting. Unlimited while Redis cannot say."""
        subjects = _subjects(organization_id, key_id, key, organization)
        if not subjects:
            return _UNCHECKED
        try:
            _, found = await self._check("look", subjects, 0)
        except CountersAwayError:
            return _UNCHECKED
        return Taken(_tightest(found, "requests"), _tightest(found, "tokens"))

    async def correct(self, taken: Taken, tokens: int) -> None:
        """Enter how many tokens the request really had.

        What it did not need is given back to the second in which it was counted, while that still counts; what it
        needed beyond counts from now on, when it is known. Silent when Redis is away: the request is over.
        """
        difference = tokens - taken.counted_tokens
        if not difference or not taken.counted_in:
            return
        try:
            await self._counters.ask("correct", taken.counted_in, self._now, difference, taken.counted_at)
        except CountersAwayError:
            return

    async def _check(self, command: str, subjects: Sequence[_Subject], tokens: int) -> tuple[int, list[_Found]]:
        """Redis' second, and how each window that has a bound stands in it."""
        keys = [subject.redis_key for subject in subjects]
        bounds = [_UNLIMITED if bound is None else bound for each in subjects for bound in (each.requests, each.tokens)]
        reply = await self._counters.ask(command, keys, self._now, tokens, *bounds)
        assert reply is not None  # noqa: S101 (only a correction has no answer)
        return reply[0], _read(reply, subjects, tokens)

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
    """Whose windows have a bound. In a cluster all keys of an organization are on one node."""
    found = []
    for scope, rate, name in (("key", key, f":key:{key_id}"), ("organization", organization, "")):
        requests, tokens = rate.requests_per_minute, rate.tokens_per_minute
        if requests is not None or tokens is not None:
            found.append(_Subject(scope, f"tl:rate:{{{organization_id}}}{name}", requests, tokens))
    return found


def _read(reply: Sequence[int], subjects: Iterable[_Subject], tokens: int) -> list[_Found]:
    found = []
    at = 1
    for subject in subjects:
        for unit, limit, amount in (("requests", subject.requests, 1), ("tokens", subject.tokens, tokens)):
            if limit is not None:
                window = Window(limit, reply[at], reply[at + 1])
                found.append(_Found(subject.scope, unit, window, amount, bool(reply[at + 2])))
            at += 3
    return found


def _tightest(found: Iterable[_Found], unit: str) -> Window | None:
    ours = [one for one in found if one.unit == unit]
    return max(ours, key=lambda one: one.tightness).window if ours else None


def _refuse(full: Iterable[_Found], found: Sequence[_Found], now: int) -> NoReturn:
    worst = max(full, key=lambda one: one.tightness)
    RATE_LIMIT_REFUSALS.labels(worst.scope, worst.unit).inc()
    headers = Taken(_tightest(found, "requests"), _tightest(found, "tokens")).headers()
    limit = worst.window.limit
    bound = f"This {worst.scope}'s limit of {limit:,} {worst.unit} per minute"
    if worst.is_hopeless:
        why = f"is less than the {worst.amount:,} of this request, so it can never pass" if limit else "blocks them all"
        raise ApiError(429, "rate_limit_exceeded", f"{bound} {why}.", headers=headers | _HOPELESS)
    wait = worst.window.reset_at - now
    message = f"{bound} is reached. Try again in {wait} {'second' if wait == 1 else 'seconds'}."
    raise ApiError(429, "rate_limit_exceeded", message, retry_after=wait, headers=headers)

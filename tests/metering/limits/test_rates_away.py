"""Redis stopped, hung and started again: limits open or close as configured, nobody waits long, and it heals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from core.errors import ApiError
from metering.limits.counters import ASK_AGAIN_SECONDS, MOST_TIMEOUTS, TIMEOUT_SECONDS, Counters, CountersAwayError
from metering.limits.rates import Rate, Rates, Taken
from metering.telemetry import REGISTRY
from tests.metering.limits.redis_server import PACKAGED, RedisServer, program

LIMIT = Rate(3, 100)
FREE = Rate(None, None)
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def server() -> Iterator[RedisServer]:
    path = program(PACKAGED)
    assert path is not None
    found = RedisServer(path)
    found.start()
    yield found
    found.remove()


@pytest.fixture
def rates(server: RedisServer, run: Run) -> Iterator[Rates]:
    yield from using(server, run)


def using(server: RedisServer, run: Run) -> Iterator[Rates]:
    found = Rates(server.url)
    run(found.start())
    yield found
    run(found.stop())


def take(rates: Rates) -> Coroutine[Any, Any, Taken]:
    return rates.take(1, 11, LIMIT, FREE, 10)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"tokenledger_rate_limit_{name}_total", labels) or 0.0


def test_open_by_default_while_redis_is_gone_and_exact_again_when_it_is_back(
    server: RedisServer, rates: Rates, run: Run
) -> None:
    first = run(take(rates))
    failures, passed = metric("redis_failures"), metric("unchecked", answer="passed")
    server.kill()
    with capture_logs() as logs:
        for _ in range(20):
            assert run(take(rates)) == Taken()
        assert run(rates.look(1, 11, LIMIT, FREE)) == Taken()
        run(rates.correct(first, 0))
        assert [one["event"] for one in logs] == ["rate_limits_unavailable"]
        # Only the first has asked.
        assert metric("redis_failures") == failures + 1
        assert metric("unchecked", answer="passed") == passed + 20
        time.sleep(ASK_AGAIN_SECONDS)
        assert run(take(rates)) == Taken()
        assert metric("redis_failures") == failures + 2
        server.start()
        time.sleep(ASK_AGAIN_SECONDS)
        # A new server has counted nothing, and knows no script.
        assert [run(take(rates)).requests.remaining for _ in range(3)] == [2, 1, 0]
        with pytest.raises(ApiError) as caught:
            run(take(rates))
        assert caught.value.status == 429
        assert [one["event"] for one in logs] == ["rate_limits_unavailable", "rate_limits_recovered"]


def test_closed_if_the_operator_wants_it(server: RedisServer, run: Run, settings: Any) -> None:
    settings.RATE_LIMITS_WHEN_REDIS_IS_DOWN = "closed"
    for rates in using(server, run):
        assert run(take(rates)).requests.remaining == 2
        refused = metric("unchecked", answer="refused")
        server.kill()
        for _ in range(3):
            with pytest.raises(ApiError) as caught:
                run(take(rates))
            assert (caught.value.status, caught.value.code) == (503, "rate_limits_unavailable")
            assert caught.value.retry_after == 2
        assert metric("unchecked", answer="refused") == refused + 3
        # Who has no bound needs no Redis.
        assert run(rates.take(1, 11, FREE, FREE, 10)) == Taken()


def test_a_redis_that_hangs_costs_two_short_waits(server: RedisServer, rates: Rates, run: Run) -> None:
    run(take(rates))
    server.freeze()

    async def many() -> float:
        began = time.monotonic()
        assert await asyncio.gather(*[take(rates) for _ in range(50)]) == [Taken()] * 50
        return time.monotonic() - began

    try:
        for _ in range(MOST_TIMEOUTS):
            assert TIMEOUT_SECONDS <= run(many()) < ASK_AGAIN_SECONDS
        assert run(many()) < TIMEOUT_SECONDS
    finally:
        server.thaw()
    time.sleep(ASK_AGAIN_SECONDS)
    # What was under way has been counted, perhaps; what a late answer says is nobody else's answer.
    looked = run(rates.look(2, 22, LIMIT, FREE))
    assert looked.requests.remaining == 3


def test_one_slow_answer_is_no_outage(server: RedisServer, rates: Rates, run: Run) -> None:
    run(take(rates))
    server.freeze()
    assert run(take(rates)) == Taken()
    server.thaw()
    # Nobody has to wait for the second in which nothing would be asked.
    assert run(take(rates)).requests.remaining < 2


def test_a_connection_that_redis_closes_is_made_anew_unnoticed(server: RedisServer, rates: Rates, run: Run) -> None:
    run(take(rates))
    failures = metric("redis_failures")
    server.kill()
    server.start()
    run(asyncio.sleep(0.01))
    assert run(take(rates)).requests.remaining == 2
    assert metric("redis_failures") == failures


def test_one_asks_again_and_the_others_do_not_wait_for_it(server: RedisServer, rates: Rates, run: Run) -> None:
    server.freeze()
    for _ in range(MOST_TIMEOUTS):
        run(take(rates))
    time.sleep(ASK_AGAIN_SECONDS)

    async def waits() -> list[float]:
        async def timed() -> float:
            began = time.monotonic()
            await take(rates)
            return time.monotonic() - began

        return sorted(await asyncio.gather(*[timed() for _ in range(10)]))

    *others, asking = run(waits())
    server.thaw()
    assert max(others) < TIMEOUT_SECONDS
    assert TIMEOUT_SECONDS <= asking < ASK_AGAIN_SECONDS


def test_a_redis_that_refuses_to_write_is_away_too(server: RedisServer, rates: Rates, run: Run) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        assert run(take(rates)) == Taken()
        client.config_set("maxmemory", 0)
    time.sleep(ASK_AGAIN_SECONDS)
    assert run(take(rates)).requests.remaining == 2


def test_whatever_stops_the_sender_the_next_to_ask_starts_another(server: RedisServer, run: Run) -> None:
    """A reply of a kind nobody foresaw, and a connection that cannot even be closed."""

    async def act() -> None:
        counters = Counters(server.url)
        counters.start()
        keys = ["{1}r"]

        async def broken(*_: object, **__: object) -> None:
            raise ValueError("broken")

        connection = counters._connection
        counters._run, connection.disconnect = broken, broken  # type: ignore[method-assign, assignment]
        for _ in range(2):
            with pytest.raises((ValueError, CountersAwayError)):
                async with asyncio.timeout(2):
                    await counters.ask("take", keys, "")
            counters._away_until = 0.0

        async def hanging(*_: object) -> None:
            await asyncio.sleep(10)

        counters._run = hanging  # type: ignore[method-assign, assignment]
        asking = asyncio.create_task(counters.ask("take", keys, ""))
        await asyncio.sleep(0.02)
        sender = counters._sender
        assert sender is not None
        sender.cancel()
        with pytest.raises(CountersAwayError):
            await asyncio.wait_for(asking, 2)
        with suppress(asyncio.CancelledError):
            await sender
        assert counters._sender is None
        del connection.disconnect
        await counters.stop()

    run(act())

"""Request rates in Redis: what passes, what is refused, what the client is told, and what is counted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from core.errors import ApiError
from metering.limits import counters
from metering.limits.rates import Rate, Rates, Taken, Window
from metering.telemetry import REGISTRY

ROOT = Path(__file__).resolve().parents[3]
FREE = Rate(None, None)
NOW = 1_800_000_000
ACME, KEY, OTHER_KEY, GLOBEX = 1, 11, 12, 2
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried here is not how long Redis takes on a busy machine."""
    monkeypatch.setattr(counters, "TIMEOUT_SECONDS", 10.0)


@pytest.fixture
def rates(run: Run) -> Iterator[Rates]:
    """By a clock that stands still at NOW."""
    found = Rates(settings.REDIS_URL)
    found._now = str(NOW)
    run(found.start())
    yield found
    run(found.stop())


def refusal(run: Run, asking: Coroutine[Any, Any, Taken]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        run(asking)
    assert (caught.value.status, caught.value.code) == (429, "rate_limit_exceeded")
    return caught.value


def stored() -> dict[str, Any]:
    with redis.Redis.from_url(settings.REDIS_URL, decode_responses=False) as client:
        return {key.decode(): client.hgetall(key) for key in client.keys("tl:rate:*")}


def test_no_bound_is_no_question(run: Run) -> None:
    nowhere = Rates("redis://127.0.0.1:1/0")
    run(nowhere.start())
    taken = run(nowhere.take(ACME, KEY, FREE, FREE, 10**9))
    assert taken == Taken() == run(nowhere.look(ACME, KEY, FREE, FREE))
    assert taken.headers() == {}
    run(nowhere.correct(taken, 5))
    assert nowhere._counters._away_until == 0
    run(nowhere.stop())


def test_requests_up_to_the_limit_pass(run: Run, rates: Rates) -> None:
    limit = Rate(2, None)
    first = run(rates.take(ACME, KEY, limit, FREE, 100))
    assert (first.requests, first.tokens) == (Window(2, 1, NOW + 61), None)
    assert run(rates.take(ACME, KEY, limit, FREE, 100)).requests == Window(2, 0, NOW + 61)
    error = refusal(run, rates.take(ACME, KEY, limit, FREE, 100))
    assert error.message == "This key's limit of 2 requests per minute is reached. Try again in 61 seconds."
    assert error.retry_after == 61
    assert error.headers == {
        "X-RateLimit-Limit-RPM": "2",
        "X-RateLimit-Remaining-RPM": "0",
        "X-RateLimit-Reset-RPM": str(NOW + 61),
    }


def test_waiting_as_long_as_told_is_enough_and_a_second_less_is_not(run: Run, rates: Rates) -> None:
    limit = Rate(None, 100)
    for at, tokens in ((0, 30), (10, 50), (25, 20)):
        rates._now = str(NOW + at)
        run(rates.take(ACME, KEY, FREE, limit, tokens))
    rates._now = str(NOW + 40)
    for tokens, opens in ((30, 61), (31, 71), (80, 71), (81, 86), (100, 86)):
        error = refusal(run, rates.take(ACME, KEY, FREE, limit, tokens))
        assert error.retry_after == opens - 40
        assert error.headers["X-RateLimit-Reset-TPM"] == str(NOW + opens)
        rates._now = str(NOW + opens - 1)
        refusal(run, rates.take(ACME, KEY, FREE, limit, tokens))
        rates._now = str(NOW + 40)
    rates._now = str(NOW + 71)
    assert run(rates.take(ACME, KEY, FREE, limit, 80)).tokens == Window(100, 0, NOW + 86)


def test_the_tighter_of_key_and_organization_counts_and_is_told(run: Run, rates: Rates) -> None:
    organization = Rate(3, 1_000)
    taken = run(rates.take(ACME, KEY, Rate(2, None), organization, 400))
    assert (taken.requests, taken.tokens) == (Window(2, 1, NOW + 61), Window(1_000, 600, NOW + 61))
    assert run(rates.take(ACME, KEY, Rate(2, None), organization, 1)).requests == Window(2, 0, NOW + 61)
    refusal(run, rates.take(ACME, KEY, Rate(2, None), organization, 1))
    # The refused one is in no window: another key has the organization's third.
    other = run(rates.take(ACME, OTHER_KEY, Rate(2, None), organization, 1))
    assert (other.requests, other.tokens) == (Window(3, 0, NOW + 61), Window(1_000, 598, NOW + 61))
    error = refusal(run, rates.take(ACME, OTHER_KEY, Rate(2, None), organization, 1))
    assert error.message.startswith("This organization's limit of 3 requests per minute is reached.")


def test_of_two_full_windows_the_later_is_told(run: Run, rates: Rates) -> None:
    run(rates.take(ACME, KEY, FREE, Rate(1, None), 0))
    rates._now = str(NOW + 20)
    run(rates.take(ACME, KEY, Rate(1, None), FREE, 0))
    rates._now = str(NOW + 30)
    error = refusal(run, rates.take(ACME, KEY, Rate(1, None), Rate(1, None), 0))
    assert (error.retry_after, error.headers["X-RateLimit-Reset-RPM"]) == (51, str(NOW + 81))


def test_nothing_is_counted_on_refusal(run: Run, rates: Rates) -> None:
    run(rates.take(ACME, KEY, Rate(5, 100), Rate(5, 100), 60))
    before = stored()
    for key, organization in ((Rate(5, 100), FREE), (FREE, Rate(1, None)), (Rate(5, 1_000), Rate(5, 100))):
        refusal(run, rates.take(ACME, KEY, key, organization, 60))
    assert stored() == before


def test_tenants_and_keys_have_windows_of_their_own(run: Run, rates: Rates) -> None:
    one = Rate(1, None)
    for organization_id, key_id in ((ACME, KEY), (ACME, OTHER_KEY), (GLOBEX, KEY)):
        run(rates.take(organization_id, key_id, one, FREE, 1))
    run(rates.take(ACME, KEY, FREE, one, 1))
    run(rates.take(GLOBEX, KEY, FREE, one, 1))
    for organization_id in (ACME, GLOBEX):
        refusal(run, rates.take(organization_id, KEY, one, FREE, 1))
        refusal(run, rates.take(organization_id, KEY, FREE, one, 1))
    # One hash slot an organization.
    assert {key.partition("}")[0] for key in stored()} == {"tl:rate:{1", "tl:rate:{2"}


@pytest.mark.parametrize(("rate", "tokens"), [(Rate(0, None), 0), (Rate(None, 0), 0), (Rate(None, 0), 5)])
def test_0_blocks_for_good(run: Run, rates: Rates, rate: Rate, tokens: int) -> None:
    for key, organization in ((rate, FREE), (FREE, rate), (rate, Rate(10, 10))):
        error = refusal(run, rates.take(ACME, KEY, key, organization, tokens))
        assert error.message.endswith(" per minute blocks them all.")
        assert error.retry_after is None
        assert error.headers["x-should-retry"] == "false"
        # A time at which it opens there is not.
        unit = "RPM" if rate.requests_per_minute == 0 else "TPM"
        assert error.headers[f"X-RateLimit-Remaining-{unit}"] == "0"
        assert f"X-RateLimit-Reset-{unit}" not in error.headers
    assert stored() == {}


def test_a_request_larger_than_the_limit_is_told_that_waiting_is_in_vain(run: Run, rates: Rates) -> None:
    run(rates.take(ACME, KEY, Rate(1, 100), FREE, 10))
    error = refusal(run, rates.take(ACME, KEY, Rate(1, 100), FREE, 101))
    assert error.message == (
        "This key's limit of 100 tokens per minute is less than the 101 of this request, so it can never pass."
    )
    assert (error.retry_after, error.headers["x-should-retry"]) == (None, "false")


def test_looking_counts_nothing(run: Run, rates: Rates) -> None:
    key, organization = Rate(2, None), Rate(None, 50)
    empty = run(rates.look(ACME, KEY, key, organization))
    assert (empty.requests, empty.tokens) == (Window(2, 2, NOW), Window(50, 50, NOW))
    assert stored() == {}
    run(rates.take(ACME, KEY, key, organization, 50))
    run(rates.take(ACME, KEY, key, organization, 0))
    before = stored()
    full = run(rates.look(ACME, KEY, key, organization))
    assert (full.requests, full.tokens) == (Window(2, 0, NOW + 61), Window(50, 0, NOW + 61))
    run(rates.correct(full, 10))
    assert stored() == before


def test_corrections(run: Run, rates: Rates) -> None:
    limit = Rate(None, 100)

    def remaining(at: int) -> int:
        rates._now = str(NOW + at)
        found = run(rates.look(ACME, KEY, limit, limit)).tokens.remaining
        assert isinstance(found, int)
        return found

    early = run(rates.take(ACME, KEY, limit, limit, 40))
    rates._now = str(NOW + 5)
    middle = run(rates.take(ACME, KEY, limit, limit, 20))
    rates._now = str(NOW + 9)
    late = run(rates.take(ACME, KEY, limit, limit, 10))
    assert remaining(10) == 30
    for taken, really, left in ((early, 15, 55), (middle, 5, 70), (late, 10, 70), (late, 0, 80)):
        run(rates.correct(taken, really))
        assert remaining(10) == left
    # More than was thought counts from when it is known, even beyond the limit.
    run(rates.correct(late, 150))
    assert remaining(10) == 0
    refusal(run, rates.take(ACME, KEY, limit, limit, 1))
    assert [remaining(at) for at in (60, 61, 66, 70, 71)] == [0, 0, 0, 0, 100]


def test_what_has_left_is_not_given_back(run: Run, rates: Rates) -> None:
    limit = Rate(None, 100)
    taken = run(rates.take(ACME, KEY, limit, FREE, 40))
    rates._now = str(NOW + 60)
    run(rates.take(ACME, KEY, limit, FREE, 30))
    rates._now = str(NOW + 61)
    run(rates.correct(taken, 0))
    assert run(rates.look(ACME, KEY, limit, FREE)).tokens == Window(100, 70, NOW + 121)
    rates._now = str(NOW + 300)
    run(rates.correct(taken, 0))
    assert run(rates.look(ACME, KEY, limit, FREE)).tokens == Window(100, 100, NOW + 300)


def test_a_lowered_limit_holds_at_once(run: Run, rates: Rates) -> None:
    for at in range(5):
        rates._now = str(NOW + at)
        run(rates.take(ACME, KEY, Rate(5, None), FREE, 0))
    error = refusal(run, rates.take(ACME, KEY, Rate(2, None), FREE, 0))
    # Four of the five must leave before there is room for one more.
    assert (error.retry_after, error.headers["X-RateLimit-Remaining-RPM"]) == (60, "0")


def test_a_clock_set_back_stops_time_and_one_set_back_far_begins_anew(run: Run, rates: Rates) -> None:
    limit = Rate(2, None)
    run(rates.take(ACME, KEY, limit, FREE, 0))
    rates._now = str(NOW - 30)
    assert run(rates.take(ACME, KEY, limit, FREE, 0)).requests == Window(2, 0, NOW + 61)
    refusal(run, rates.take(ACME, KEY, limit, FREE, 0))
    rates._now = str(NOW - 62)
    assert run(rates.take(ACME, KEY, limit, FREE, 0)).requests == Window(2, 1, NOW - 1)


def test_it_goes_by_the_clock_of_redis_and_leaves_nothing_behind(run: Run, rates: Rates) -> None:
    rates._now = ""
    before = int(time.time())
    taken = run(rates.take(ACME, KEY, Rate(5, 5), Rate(5, 5), 1))
    assert before + 61 <= taken.requests.reset_at <= int(time.time()) + 61
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        keys = list(client.keys("tl:rate:*"))
        assert len(keys) == 2
        assert all(60 < client.ttl(key) <= 62 for key in keys)


def test_a_script_that_redis_has_forgotten_is_told_again(run: Run, rates: Rates) -> None:
    limit = Rate(100, None)
    run(rates.take(ACME, KEY, limit, FREE, 0))
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.script_flush()

        async def many() -> list[Taken]:
            return await asyncio.gather(*[rates.take(ACME, KEY, limit, FREE, 0) for _ in range(20)])

        run(many())
        assert client.script_exists(counters.SCRIPT_DIGEST) == [True]
    assert run(rates.look(ACME, KEY, limit, FREE)).requests.remaining == 79


def test_refusals_are_counted(run: Run, rates: Rates) -> None:
    def refused() -> float:
        labels = {"scope": "organization", "unit": "tokens"}
        return REGISTRY.get_sample_value("tokenledger_rate_limit_refusals_total", labels) or 0

    before = refused()
    refusal(run, rates.take(ACME, KEY, Rate(1, None), Rate(1, 1), 2))
    assert refused() == before + 1


def test_a_request_that_goes_away_while_it_waits_leaves_the_others_alone(run: Run, rates: Rates) -> None:
    limit = Rate(10, None)

    async def some_leave() -> list[Any]:
        asking = [asyncio.create_task(rates.take(ACME, KEY, limit, FREE, 0)) for _ in range(6)]
        await asyncio.sleep(0)
        for task in asking[::2]:
            task.cancel()
        return await asyncio.gather(*asking, return_exceptions=True)

    answers = run(some_leave())
    assert [isinstance(one, Taken) for one in answers] == [False, True] * 3


HAMMER = """
import asyncio, sys
import django
django.setup()
from core.errors import ApiError
from metering.limits import counters
from metering.limits.rates import Rate, Rates

counters.TIMEOUT_SECONDS = 10.0

async def main():
    rates = Rates(sys.argv[1])
    await rates.start()
    async def client():
        passed = 0
        for _ in range(10):
            try:
                await rates.take(1, 11, Rate(None, 10_000), Rate(150, None), 20)
                passed += 1
            except ApiError as error:
                assert error.status == 429, error
        return passed
    print("ready", flush=True)
    sys.stdin.readline()
    print(sum(await asyncio.gather(*[client() for _ in range(32)])), flush=True)
    await rates.stop()

asyncio.run(main())
"""


def test_two_processes_share_one_window_exactly() -> None:
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "TOKENLEDGER_EMBEDDED": "off"}
    processes = [
        subprocess.Popen([sys.executable, "-c", HAMMER, settings.REDIS_URL], cwd=ROOT, env=environ, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    passed = [int(process.communicate()[0]) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert sum(passed) == 150
    assert all(passed)

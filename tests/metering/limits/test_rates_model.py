"""Request rates against a model that keeps a plain list, for arbitrary courses of time, on each Redis there is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ApiError
from metering.limits import counters
from metering.limits.rates import Rate, Rates, Taken, Window
from tests.metering.limits.redis_server import INSTALLED, PACKAGED, RedisServer, program

START = 1_800_000_000
WINDOW_SECONDS = 60
FREE = Rate(None, None)
organizations = itertools.count(1)


class Subject:
    """A key or an organization: what was taken in which second, as a list."""

    def __init__(self, rate: Rate) -> None:
        self.limits = (rate.requests_per_minute, rate.tokens_per_minute)
        self.taken: list[list[int]] = []  # [second, requests, tokens]

    @property
    def is_bound(self) -> bool:
        return self.limits != (None, None)

    def used(self, now: int, unit: int) -> int:
        """Of all seconds that overlap the 60 that end now."""
        return sum(one[1 + unit] for one in self.taken if one[0] + 1 > now - WINDOW_SECONDS)

    def refuses(self, now: int, amounts: tuple[int, int]) -> bool:
        return any(
            limit is not None and (limit == 0 or (amount > 0 and self.used(now, unit) + amount > limit))
            for unit, (limit, amount) in enumerate(zip(self.limits, amounts, strict=True))
        )

    def give_back(self, now: int, second: int, tokens: int) -> None:
        for one in self.taken:
            if one[0] == second and second + 1 > now - WINDOW_SECONDS:
                given = min(tokens, one[2])
                one[2] -= given
                tokens -= given

    def window(self, now: int, unit: int) -> Window | None:
        limit = self.limits[unit]
        if limit is None:
            return None
        used = self.used(now, unit)
        reset = next((at for at in range(now, now + 62) if self.used(at, unit) < used), now)
        return Window(limit, max(0, limit - used), reset)


class Model:
    def __init__(self, key: Rate, organization: Rate) -> None:
        self.key, self.organization = Subject(key), Subject(organization)
        self.subjects = [one for one in (self.key, self.organization) if one.is_bound]

    def take(self, now: int, tokens: int) -> bool:
        if any(one.refuses(now, (1, tokens)) for one in self.subjects):
            return False
        for one in self.subjects:
            one.taken.append([now, 1, tokens])
        return True

    def wait(self, now: int, tokens: int) -> int | None:
        """Seconds until the same request passes, if nothing else comes; None: never."""
        return next(
            (s for s in range(1, 63) if not any(one.refuses(now + s, (1, tokens)) for one in self.subjects)), None
        )

    def correct(self, now: int, second: int, difference: int) -> None:
        for one in self.subjects:
            if one.limits[1] is None:
                continue
            if difference > 0:
                one.taken.append([now, 0, difference])
            else:
                one.give_back(now, second, -difference)

    def remaining(self, now: int, unit: int) -> int | None:
        left = [w.remaining for one in self.subjects if (w := one.window(now, unit)) is not None]
        return min(left, default=None)

    def windows(self, now: int, unit: int) -> list[Window]:
        return [w for one in self.subjects if (w := one.window(now, unit)) is not None]


@pytest.fixture(scope="module", params=[PACKAGED, INSTALLED])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    path = program(request.param)
    if path is None:
        pytest.skip(f"no {request.param} on this machine")
    found = RedisServer(path)
    found.start()
    yield found
    found.remove()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as found:
        yield found


@pytest.fixture(scope="module")
def rates(server: RedisServer, runner: asyncio.Runner) -> Iterator[Rates]:
    found = Rates(server.url)
    runner.run(found.start())
    # What is tried here is not how long Redis takes on a busy machine.
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(counters, "TIMEOUT_SECONDS", 10.0)
        yield found
    runner.run(found.stop())


bounds = st.none() | st.integers(0, 6)
token_bounds = st.none() | st.integers(0, 40)
some_rates = st.builds(Rate, bounds, token_bounds)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.one_of(st.integers(0, 5), st.integers(55, 65), st.integers(0, 200))),
        st.tuples(st.just("take"), st.integers(0, 20)),
        st.tuples(st.just("correct"), st.tuples(st.integers(0, 30), st.integers(0, 30))),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=some_rates, organization=some_rates, steps=steps)
def test_it_does_what_the_model_does(
    rates: Rates, runner: asyncio.Runner, key: Rate, organization: Rate, steps: list[tuple[str, object]]
) -> None:
    runner.run(follow(rates, key, organization, steps))


async def follow(rates: Rates, key: Rate, organization: Rate, steps: list[tuple[str, object]]) -> None:
    organization_id = next(organizations)
    model = Model(key, organization)
    now = START
    taken: list[Taken] = []
    for what, value in steps:
        rates._now = str(now)
        if what == "advance":
            assert isinstance(value, int)
            now += value
            rates._now = str(now)
        elif what == "take":
            assert isinstance(value, int)
            if model.take(now, value):
                taken.append(await rates.take(organization_id, 1, key, organization, value))
            else:
                with pytest.raises(ApiError) as caught:
                    await rates.take(organization_id, 1, key, organization, value)
                wait = caught.value.retry_after
                assert wait == model.wait(now, value)
                assert caught.value.headers.get("x-should-retry") == (None if wait else "false")
        elif taken:
            assert isinstance(value, tuple)
            index, tokens = value
            one = taken[index % len(taken)]
            await rates.correct(one, tokens)
            if one.counted_in:
                model.correct(now, one.counted_at, tokens - one.counted_tokens)
        looked = await rates.look(organization_id, 1, key, organization)
        for unit, window in enumerate((looked.requests, looked.tokens)):
            assert (None if window is None else window.remaining) == model.remaining(now, unit)
            assert window is None or window in model.windows(now, unit)

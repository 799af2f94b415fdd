"""Hold, settle, release and expiry, in every order; each once, and nothing lost."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from django.db import connection

from accounts.models import Organization, Project
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.events import Usage, UsageEvent
from metering.limits.admission import Held
from metering.limits.claims import Estimate, read_estimate, write_estimate
from metering.limits.expiry import expire_holds
from metering.models import Limit, LimitKind, LimitUnit, PriceVersion
from metering.models.prices import PriceKind
from metering.pipeline import Sender
from metering.rebuilding import rebuild_rollups
from metering.store.base import Outcome
from tests.metering.door import INPUT_NANOS, select, stored_ids
from tests.metering.limits.calls import (
    Desk,
    age_holds,
    assert_proved,
    call,
    done,
    expire_in_a_thread,
    limit,
    open_holds,
    stored,
    with_desk,
)

pytestmark = pytest.mark.usefixtures("prices")


# ── The ordinary course ──


def test_held_then_settled(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        event = call("a", 400)
        held = await desk.hold(event)
        assert isinstance(held, Held)
        assert (held.event_id, held.remaining.tokens, held.credits_remaining) == ("a", 600, None)
        standing = await desk.standing()
        assert (standing.used, standing.held, standing.remaining) == (0, 400, 600)
        assert (await desk.settle(done(event, 150), held)).outcome is Outcome.CREATED
        standing = await desk.standing()
        assert (standing.used, standing.held, standing.remaining) == (150, 0, 850)
        assert (await desk.settle(done(event, 150), held)).outcome is Outcome.DUPLICATE
        assert (await desk.settle(done(event, 150), held.id)).outcome is Outcome.DUPLICATE

    with_desk(acme, act)
    assert open_holds(acme) == []
    assert stored(acme) == [("a", 150, False, False)]
    assert_proved(acme)


def test_what_is_released_is_free_again(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        held = await desk.hold(call("a", 1_000))
        assert isinstance(held, Held)
        assert isinstance(await desk.try_hold(call("b", 1)), ApiError)
        for _ in range(2):
            await desk.admission.release(held)
        assert (await desk.standing()).remaining == 1_000
        assert isinstance(await desk.hold(call("b", 1_000)), Held)

    with_desk(acme, act)
    assert open_holds(acme) == ["b"]
    assert stored(acme) == []


def test_a_call_may_take_more_than_it_held(acme: Organization) -> None:
    """What has happened is counted, and nothing is let in after it."""
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        event = call("a", 900)
        held = await desk.hold(event)
        await desk.settle(done(event, 1_500), held)
        refusal = await desk.try_hold(call("b", 1))
        assert isinstance(refusal, ApiError)
        assert (refusal.status, refusal.code) == (429, "insufficient_quota")
        assert await desk.admission.exceeded(acme.id) == ["The monthly allowance"]

    with_desk(acme, act)
    assert_proved(acme)


def test_without_a_limit_nothing_is_asked_of_the_database(acme: Organization, globex: Organization) -> None:
    limit(globex, 0)
    limit(acme, 5, source="other", project_id=4_711)
    limit(acme, None)

    async def act(desk: Desk) -> None:
        assert await desk.hold(call("a")) is None
        assert (await desk.settle(call("a"), None)).outcome is Outcome.CREATED

    with_desk(acme, act)
    assert open_holds(acme) == []
    assert stored_ids(acme) == ["a"]


# ── Money ──


def test_credits_are_whole_and_refused_by_402(acme: Organization) -> None:
    dollar = 10**9
    limit(acme, dollar, LimitUnit.COST, kind=LimitKind.CREDITS, label="Your credits", period="fixed",
          starts_on=dt.date(2020, 1, 1))  # fmt: skip

    async def act(desk: Desk) -> None:
        event = call("a", 200_003)
        held = await desk.hold(event)
        assert held is not None
        assert held.remaining.cost_nanos == dollar - 200_003 * INPUT_NANOS
        assert held.credits_remaining == 4_999
        await desk.settle(done(event, 400_000), held)
        refusal = await desk.try_hold(call("b", 1))
        assert isinstance(refusal, ApiError)
        assert (refusal.status, refusal.code, refusal.retry_after) == (402, "insufficient_credits", None)
        assert refusal.headers["x-credits-remaining"] == "0"
        assert "Your credits is used up: $1 of $1 used" in refusal.message

    with_desk(acme, act)


def test_a_model_without_a_price_passes_no_limit_in_money(acme: Organization) -> None:
    budget = limit(acme, 10**9, LimitUnit.COST)
    with organization_scope(acme.id):
        PriceVersion.objects.create(
            organization=acme, kind=PriceKind.CUSTOM, model="llama-at-home", valid_from="2018-01-01T00:00:00Z",
            is_free=True, source="test",
        )  # fmt: skip

    async def act(desk: Desk) -> None:
        refusal = await desk.try_hold(call("a", model="nobody-knows", provider=None))
        assert isinstance(refusal, ApiError)
        assert (refusal.status, refusal.code, refusal.param) == (422, "unpriced_model", "model")
        said = await desk.try_hold(call("a", model="nobody-knows", provider=None), cost_nanos=0)
        assert isinstance(said, ApiError)
        free = await desk.hold(call("b", model="llama-at-home", provider=None))
        assert isinstance(free, Held)
        await desk.settle(done(call("c"), 4 * 10**6), None)
        assert isinstance(await desk.hold(call("d", model="llama-at-home", provider=None)), Held), "it costs nothing"
        assert isinstance(await desk.try_hold(call("e", 1)), ApiError)

    with_desk(acme, act)
    with organization_scope(acme.id):
        Limit.objects.filter(pk=budget.pk).update(unit=LimitUnit.TOKENS)

    async def in_tokens(desk: Desk) -> None:
        assert isinstance(await desk.hold(call("f", 1, model="nobody-knows", provider=None)), Held)

    with_desk(acme, in_tokens)


def test_a_call_whose_use_is_not_known_needs_some_room(acme: Organization) -> None:
    """A transcription may be estimated at nothing; at a limit that is used up nothing more is let in."""
    limit(acme, 100)

    async def act(desk: Desk) -> None:
        assert isinstance(await desk.hold(call("a", 0)), Held)
        await desk.settle(done(call("b"), 100), None)
        assert isinstance(await desk.try_hold(call("c", 0)), ApiError)

    with_desk(acme, act)


# ── Refusals ──


def test_a_refusal_says_what_when_and_whether_to_wait(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        event = call("a", 700)
        held = await desk.hold(event)
        soon = await desk.try_hold(call("b", 400))
        assert isinstance(soon, ApiError)
        assert soon.retry_after == 5
        assert soon.headers["x-should-retry"] == "true"
        assert "has no room for this call: 0 tokens of 1,000 tokens used, 700 tokens held" in soon.message
        await desk.settle(done(event, 1_000), held)
        over = await desk.try_hold(call("c", 1))
        assert isinstance(over, ApiError)
        assert over.headers["x-should-retry"] == "false"
        assert "The monthly allowance is used up: 1,000 tokens of 1,000 tokens used" in over.message
        assert over.retry_after is not None
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=over.retry_after)
        standing = await desk.standing()
        assert standing.span.ends_at is not None
        assert abs(ends - standing.span.ends_at) < dt.timedelta(seconds=3)
        assert f"It renews on {standing.span.ends_on}." in over.message

    with_desk(acme, act)


def test_an_unknown_project_is_refused_before_anything_is_held(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        refusal = await desk.try_hold(call("a", project="nowhere"))
        assert isinstance(refusal, ApiError)
        assert (refusal.status, refusal.code, refusal.param) == (422, "unknown_project", "project")

    with_desk(acme, act)
    assert open_holds(acme) == []


def test_a_limit_that_is_raised_lowered_or_paused_holds_at_once(acme: Organization) -> None:
    row = limit(acme, 100)

    async def act(desk: Desk) -> None:
        def change(**values: Any) -> None:
            with organization_scope(acme.id):
                Limit.objects.filter(pk=row.pk).update(**values)
            connection.close()

        assert isinstance(await desk.try_hold(call("a", 200)), ApiError)
        await asyncio.to_thread(change, amount=1_000)
        assert isinstance(await desk.try_hold(call("b", 200)), Held)
        await asyncio.to_thread(change, amount=100)
        assert isinstance(await desk.try_hold(call("c", 1)), ApiError)
        await asyncio.to_thread(change, is_active=False)
        assert not isinstance(await desk.try_hold(call("d", 1)), ApiError)

    with_desk(acme, act)


def test_the_sender_is_remembered(acme: Organization, website: Project) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        assert await desk.hold(call("a", 300), Sender(9, website.id), lifetime_seconds=60)

    with_desk(acme, act)
    age_holds(acme)
    expire_holds()
    assert select(acme, "SELECT project_id, api_key_id FROM metering_event") == [(website.id, 9)]


def test_estimates_keep_everything_of_their_event() -> None:
    event = call("a", tags={"env": "prod"}, detail={"streamed": True}, usage=Usage(input=1, images=2), duration_ms=5)
    assert read_estimate(write_estimate(event, Sender(1, 2, 3))) == Estimate(event, Sender(1, 2, 3))


def test_the_documented_example(acme: Organization, website: Project) -> None:
    """docs/algorithms/limits.md, row by row: (used, held) of the allowance in tokens, of the budget in nano-dollars."""
    allowance = limit(acme, 1_000)
    limit(acme, 5_000_000, LimitUnit.COST, source="budget:1", kind=LimitKind.BUDGET, project_id=website.id)

    async def act(desk: Desk) -> None:
        async def stand() -> list[tuple[int, int]]:
            found = {one.rule.id == allowance.pk: one for one in await desk.admission.standing(acme.id)}
            return [(found[key].used, found[key].held) for key in (True, False)]

        def of_the_website(name: str, read: int, written: int) -> UsageEvent:
            return call(name, usage=Usage(input=read, output=written), project="website")

        await desk.settle(done(call("before"), 500), None)
        a, b = of_the_website("A", 200, 100), of_the_website("B", 0, 250)
        held = await desk.hold(a)
        assert await stand() == [(500, 300), (0, 1_500_000)]
        refusal = await desk.try_hold(b)
        assert isinstance(refusal, ApiError)
        assert (refusal.retry_after, refusal.headers["x-should-retry"]) == (5, "true")
        assert await stand() == [(500, 300), (0, 1_500_000)]
        await desk.settle(of_the_website("A", 180, 20), held)
        assert await stand() == [(700, 0), (650_000, 0)]
        held = await desk.hold(b, lifetime_seconds=3_600)
        assert await stand() == [(700, 250), (650_000, 2_500_000)]
        await asyncio.to_thread(age_holds, acme)
        await asyncio.to_thread(expire_in_a_thread)
        assert await stand() == [(950, 0), (3_150_000, 0)]
        await desk.settle(of_the_website("B", 0, 90), held)
        assert await stand() == [(790, 0), (1_550_000, 0)]

    with_desk(acme, act)
    assert_proved(acme)


def test_the_zone_changes_while_calls_are_made(acme: Organization) -> None:
    """Roll-ups in another zone than the claim was placed by: it is placed again, not counted in a wrong month."""
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        def move() -> None:
            with organization_scope(acme.id):
                Organization.objects.filter(pk=acme.id).update(timezone="Pacific/Kiritimati")
            rebuild_rollups(acme.id)
            connection.close()

        first = await desk.hold(call("a", 10))
        desk.recorder.keyring._heed = lambda _: None  # type: ignore[method-assign]  # as if nobody had heard of it
        await asyncio.to_thread(move)
        assert isinstance(await desk.hold(call("b", 10)), Held)
        assert (await desk.settle(done(call("a"), 5), first)).outcome is Outcome.CREATED
        standing = await desk.standing()
        assert (standing.used, standing.held) == (5, 10)

    with_desk(acme, act)
    assert_proved(acme)

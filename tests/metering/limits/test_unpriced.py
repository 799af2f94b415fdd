"""A call that turns out to have no price is no room under a cap in money, and no total says what it cost."""

from __future__ import annotations

import asyncio
import datetime as dt

import msgspec
import pytest
from django.db import connection
from django.db.models import F

from accounts.models import Organization
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped
from metering.events import Usage, UsageEvent
from metering.limits.admission import Held
from metering.limits.expiry import expire_holds
from metering.limits.standing import of_organization
from metering.models import Hold, LimitUnit, PriceVersion, UnpricedCall
from metering.pricing.book import PriceBook
from metering.pricing.reprice import Repriced
from metering.store.base import Outcome
from metering.store.repricing import PostgresRepricing
from tests.metering.door import INPUT_NANOS, select
from tests.metering.limits.calls import Desk, assert_proved, call, done, limit, open_holds, with_desk

pytestmark = pytest.mark.usefixtures("prices")

CAP = 1_000 * INPUT_NANOS


def spoken(event: UsageEvent, tokens: int) -> UsageEvent:
    """The call as it turned out, with a word spoken, for which its model has no price."""
    return msgspec.structs.replace(done(event, 0), usage=Usage(input=tokens, audio_output=1))


def unheard(event: UsageEvent) -> UsageEvent:
    return msgspec.structs.replace(done(event, 0), usage=None)


def counted(organization: Organization) -> list[int]:
    with organization_scope(organization.id):
        return list(UnpricedCall.objects.order_by("cost_nanos").values_list("cost_nanos", flat=True))


def costs(organization: Organization) -> list[tuple[str, int | None]]:
    return [tuple(row) for row in select(organization, "SELECT event_id, cost_nanos FROM metering_event ORDER BY 1")]


@pytest.mark.parametrize("is_heard", [False, True])
def test_what_is_admitted_never_passes_a_cap(acme: Organization, is_heard: bool) -> None:
    limit(acme, CAP, LimitUnit.COST)

    async def act(desk: Desk) -> int:
        admitted = 0
        for number in range(20):
            event = call(f"c{number}", 300)
            held = await desk.try_hold(event)
            if isinstance(held, ApiError):
                assert (held.status, held.headers["x-should-retry"]) == (429, "false")
                assert "$0.00225 counted for calls whose price is not known" in held.message
                continue
            assert isinstance(held, Held)
            rated = await desk.settle(spoken(event, 1) if is_heard else unheard(event), held)
            assert rated.outcome is Outcome.CREATED
            admitted += 1
        standing = await desk.standing()
        assert (standing.used, standing.held, standing.unpriced) == (0, 0, 900 * INPUT_NANOS)
        assert standing.remaining == 100 * INPUT_NANOS
        return admitted

    assert with_desk(acme, act) == 3
    assert open_holds(acme) == []
    assert costs(acme) == [("c0", None), ("c1", None), ("c2", None)]
    assert counted(acme) == [300 * INPUT_NANOS] * 3
    assert_proved(acme)


def test_what_is_known_of_a_price_counts_where_it_is_more(acme: Organization) -> None:
    limit(acme, CAP, LimitUnit.COST)

    async def act(desk: Desk) -> None:
        event = call("a", 10)
        held = await desk.hold(event)
        for expected in (Outcome.CREATED, Outcome.DUPLICATE):
            assert (await desk.settle(spoken(event, 5_000), held)).outcome is expected
        assert isinstance(await desk.try_hold(call("b", 1)), ApiError)
        assert await desk.admission.exceeded(acme.id) == ["The monthly allowance"]

    with_desk(acme, act)
    assert counted(acme) == [5_000 * INPUT_NANOS]


def test_only_the_limits_it_falls_under_count_it(acme: Organization, globex: Organization) -> None:
    limit(acme, CAP, LimitUnit.COST, source="mini", model="gpt-4o-mini")
    limit(acme, CAP, LimitUnit.COST, source="4o", model="gpt-4o")
    limit(acme, 10_000, source="tokens")
    limit(globex, CAP, LimitUnit.COST)

    async def act(desk: Desk) -> None:
        event = call("a", 100)
        await desk.settle(unheard(event), await desk.hold(event))

    with_desk(acme, act)
    now = dt.datetime.now(dt.UTC)
    assert [one.unpriced for one in of_organization(acme.id, now)] == [0, 100 * INPUT_NANOS, 0]
    assert [one.unpriced for one in of_organization(globex.id, now)] == [0]
    assert [one.unpriced for one in of_organization(acme.id, now - dt.timedelta(days=40))] == [0, 0, 0]


def test_a_correction_takes_its_place(acme: Organization) -> None:
    limit(acme, CAP, LimitUnit.COST)

    async def act(desk: Desk) -> None:
        event = call("a", 100)
        await desk.settle(unheard(event), await desk.hold(event))
        await desk.settle(done(call("b"), 7, supersedes="a"), None)
        standing = await desk.standing()
        assert (standing.used, standing.unpriced) == (7 * INPUT_NANOS, 0)

    with_desk(acme, act)
    assert counted(acme) == []


def test_a_price_takes_its_place(acme: Organization) -> None:
    limit(acme, CAP, LimitUnit.COST)

    async def act(desk: Desk) -> None:
        event = call("a", 100)
        await desk.settle(spoken(event, 50), await desk.hold(event))

    with_desk(acme, act)
    assert counted(acme) == [100 * INPUT_NANOS]
    now = dt.datetime.now(dt.UTC)
    with organization_scope(acme.id):
        store = PostgresRepricing(is_alone=True)
        calls = list(store.calls_between(acme.id, now - dt.timedelta(days=1), now + dt.timedelta(days=1)))
        rating = PriceBook.load().rate(
            acme.id, provider="openai", model="gpt-4o", occurred_at=now, usage=Usage(input=60)
        )
        store.replace_costs(acme.id, [Repriced(calls[0], rating)])
    assert counted(acme) == []
    assert [(one.used, one.unpriced) for one in of_organization(acme.id, now)] == [(60 * INPUT_NANOS, 0)]


def test_settled_without_a_price_after_it_expired(acme: Organization) -> None:
    """The estimate had a price. What takes its place counts no less, from the first moment on."""
    limit(acme, CAP, LimitUnit.COST)

    async def act(desk: Desk) -> None:
        event = call("a", 300)
        held = await desk.hold(event, lifetime_seconds=3_600)
        await asyncio.to_thread(_expire, acme)
        assert (await desk.standing()).used == 300 * INPUT_NANOS
        for expected in (Outcome.CREATED, Outcome.DUPLICATE):
            assert (await desk.settle(unheard(event), held)).outcome is expected
            standing = await desk.standing()
            assert (standing.used, standing.held, standing.unpriced) == (0, 0, 300 * INPUT_NANOS)

    with_desk(acme, act)
    assert_proved(acme)


def test_expired_after_its_price_has_gone(acme: Organization) -> None:
    limit(acme, CAP, LimitUnit.COST)

    async def act(desk: Desk) -> None:
        await desk.hold(call("a", 300), lifetime_seconds=3_600)

    with_desk(acme, act)
    with unscoped("list prices"):
        PriceVersion.objects.update(valid_to=F("valid_from"))
    _expire(acme)
    assert costs(acme) == [("a", None)]
    assert counted(acme) == [300 * INPUT_NANOS]


def _expire(organization: Organization) -> None:
    try:
        with organization_scope(organization.id):
            Hold.objects.update(expires_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))
        assert expire_holds() == 1
    finally:
        connection.close()

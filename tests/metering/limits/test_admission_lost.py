"""Holds that nobody settles, settlements that come too late, and a database that goes away."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from django.conf import settings
from django.db import connection

from accounts.models import Organization, Project
from core.tenancy import organization_scope, unscoped
from metering.group_commit import StorageUnavailableError
from metering.limits import expiry
from metering.limits.admission import Held
from metering.limits.expiry import expire_holds
from metering.models import Hold, HoldSource
from metering.store.base import Outcome
from tests.metering.door import as_database_owner, stored_ids
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


def test_a_hold_that_nobody_settles_becomes_an_estimated_event(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        assert await desk.hold(call("a", 300), lifetime_seconds=3_600)
        assert await desk.hold(call("b", 100), lifetime_seconds=3_600)

    with_desk(acme, act)
    assert expire_holds() == 0
    age_holds(acme)
    assert expire_holds() == 2
    assert expire_holds() == 0
    assert stored(acme) == [("a", 300, True, False), ("b", 100, True, False)]
    assert open_holds(acme) == []
    assert_proved(acme)


def test_a_settlement_that_comes_too_late_supersedes_the_estimate(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        event = call("a", 300)
        held = await desk.hold(event, lifetime_seconds=3_600)
        await asyncio.to_thread(age_holds, acme)
        assert await asyncio.to_thread(expire_in_a_thread) == 1
        settled = done(event, 120)
        for expected in (Outcome.CREATED, Outcome.DUPLICATE):
            rated = await desk.settle(settled, held)
            assert rated.outcome is expected
            assert rated.row is not None
            assert rated.row.event_id == "a:settled"
        standing = await desk.standing()
        assert (standing.used, standing.held) == (120, 0)

    with_desk(acme, act)
    assert stored(acme) == [("a", 300, True, True), ("a:settled", 120, False, False)]
    assert_proved(acme)


def test_an_estimate_corrected_by_hand_stands(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        event = call("a", 300)
        held = await desk.hold(event, lifetime_seconds=3_600)
        await asyncio.to_thread(age_holds, acme)
        await asyncio.to_thread(expire_in_a_thread)
        await desk.settle(done(call("by hand"), 7, supersedes="a"), None)
        assert (await desk.settle(done(event, 120), held)).outcome is Outcome.CONFLICT

    with_desk(acme, act)
    assert stored(acme) == [("a", 300, True, True), ("by hand", 7, False, False)]
    assert_proved(acme)


def test_settled_after_its_release(acme: Organization) -> None:
    """Whoever gave it back was wrong: the call was made."""
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        event = call("a", 300)
        held = await desk.hold(event, source=HoldSource.ADMISSION, lifetime_seconds=60)
        assert held is not None
        await desk.admission.release(held)
        assert (await desk.settle(done(event, 10), held)).outcome is Outcome.CREATED

    with_desk(acme, act)
    assert stored(acme) == [("a", 10, False, False)]


def test_what_was_released_never_becomes_an_event(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        for name, source in (("a", HoldSource.ADMISSION), ("b", HoldSource.GATEWAY)):
            held = await desk.hold(call(name, 300), source=source, lifetime_seconds=60)
            assert held is not None
            await desk.admission.release(held)

    with_desk(acme, act)
    age_holds(acme)
    assert expire_holds() == 0
    assert stored(acme) == []
    with organization_scope(acme.id):
        assert Hold.objects.count() == 0


def test_an_expired_calls_project_may_have_gone(acme: Organization, website: Project) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        assert await desk.hold(call("a", 300, project="website"), lifetime_seconds=60)

    with_desk(acme, act)
    with organization_scope(acme.id):
        website.delete()
    age_holds(acme)
    assert expire_holds() == 1
    assert stored(acme) == [("a", 300, True, False)]


def test_a_hold_that_cannot_be_read_keeps_no_other(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        for name in ("a", "b"):
            assert await desk.hold(call(name, 10), lifetime_seconds=60)

    with_desk(acme, act)
    age_holds(acme)
    with organization_scope(acme.id):
        Hold.objects.filter(event_id="a").update(estimate=b"x")
    assert expire_holds() == 1
    assert open_holds(acme) == ["a"]
    assert stored_ids(acme) == ["b"]


def test_pages_of_holds_that_cannot_be_read_keep_no_other(
    acme: Organization, globex: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MOST_AT_ONCE", 2)
    for organization in (acme, globex):
        limit(organization, 1_000)

        async def act(desk: Desk) -> None:
            for name in "abcde":
                assert await desk.hold(call(name, 10), lifetime_seconds=60)

        with_desk(organization, act)
        age_holds(organization)
    with organization_scope(acme.id):
        Hold.objects.exclude(event_id="e").update(estimate=b"x")
    assert expire_holds() == 6
    assert (stored_ids(acme), stored_ids(globex)) == (["e"], ["a", "b", "c", "d", "e"])


def test_holds_of_an_organization_that_is_gone(acme: Organization, globex: Organization) -> None:
    """They are dropped, before and behind those of others, which expire."""
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        assert await desk.hold(call("a", 10), lifetime_seconds=60)

    with_desk(acme, act)
    age_holds(acme)
    gone = (min(acme.id, globex.id) - 1, max(acme.id, globex.id) + 1_000)
    with unscoped("holds of nobody"):
        hold = Hold.objects.get()
        for organization_id in gone:
            hold.pk, hold.organization_id = uuid.uuid4(), organization_id
            hold.save(force_insert=True)
    assert expire_holds() == 1
    assert stored_ids(acme) == ["a"]
    with unscoped("holds of nobody"):
        assert Hold.objects.count() == 0


def test_leases_are_renewed_while_their_process_lives(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        event = call("a", 300)
        held = await desk.hold(event)
        await asyncio.sleep(1.6)
        assert (await desk.standing()).held == 300, "held although a lease lasts half a second, and sweepers sweep"
        assert (await desk.settle(done(event, 10), held)).outcome is Outcome.CREATED

    with_desk(acme, act, lease_seconds=0.6, sweep_seconds=0.2)
    assert stored(acme) == [("a", 10, False, False)]


def test_who_goes_away_before_the_answer_holds_nothing(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        await desk.hold(call("first", 10))
        tasks = [asyncio.create_task(desk.hold(call(f"e{n}", 10))) for n in range(20)]
        await asyncio.sleep(0.002)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with_desk(acme, act)
    assert open_holds(acme) == ["first"]


# ── The database goes away ──


def test_connections_that_died_idle_are_not_the_calls_problem(acme: Organization) -> None:
    limit(acme, 1_000)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"

    async def act(desk: Desk) -> None:
        event = call("a", 300)
        held = await desk.hold(event)
        for name in ("b", "c"):
            with as_database_owner() as owner:
                owner.execute(kill, [settings.DATABASES["default"]["NAME"]])
            if name == "b":
                assert isinstance(await desk.hold(call("b", 100)), Held)
            else:
                assert (await desk.settle(done(event, 50), held)).outcome is Outcome.CREATED
        standing = await desk.standing()
        assert (standing.used, standing.held) == (50, 100)

    connection.close()
    with_desk(acme, act)
    assert_proved(acme)


def test_nothing_is_held_while_the_database_is_away(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        assert await desk.hold(call("a", 300))
        desk.recorder.pool.close()
        with pytest.raises(StorageUnavailableError):
            await desk.hold(call("b", 100))

    with_desk(acme, act)
    assert open_holds(acme) == ["a"]

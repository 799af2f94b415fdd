"""However many call at once, in however many processes: what is let in never exceeds a limit, and uses it up."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.models import Organization
from core.tenancy import organization_scope
from metering.limits.expiry import expire_holds
from metering.models import Hold, LimitUnit
from tests.metering.door import INPUT_NANOS, select
from tests.metering.limits import process
from tests.metering.limits.calls import assert_proved, limit, open_holds, with_desk
from tests.metering.limits.process import SIZE

pytestmark = pytest.mark.usefixtures("prices")


def granted_by_three(organization: Organization, act: str) -> list[str]:
    """Two other processes and this one, 64 clients each."""
    others = [process.start(organization.id, f"p{n}", act) for n in range(2)]
    connection.close()
    process.go(*others)
    mine = with_desk(organization, lambda desk: process.ACTS[act](desk, "me"))
    return [*mine, *(name for other in others for name in process.result(other)["granted"])]


def test_holds_of_192_clients_in_three_processes(acme: Organization) -> None:
    limit(acme, 10_000)
    granted = granted_by_three(acme, "hold")
    assert len(granted) == len(set(granted)) == 10_000 // SIZE, "as many as fit, and not one more"
    assert sorted(granted) == sorted(open_holds(acme))
    assert len({name.split("-")[0] for name in granted}) == 3, "every process got some"


def test_settling_while_others_hold(acme: Organization) -> None:
    """Room that a call gives back is taken by others, until the limit is used up to less than a call."""
    limit(acme, 6_000)
    granted = granted_by_three(acme, "settle")
    assert open_holds(acme) == []
    ((used, events),) = select(acme, "SELECT sum(input), sum(requests) FROM metering_usage_day WHERE kind = 0")
    assert events == len(granted)
    assert 6_000 - SIZE < used <= 6_000
    assert_proved(acme)


def test_mixed_limits_in_tokens_and_money(acme: Organization) -> None:
    """The tightest decides; a call that one of them refuses takes nothing of the others."""
    limit(acme, 10_000)
    limit(acme, 1_000 * INPUT_NANOS, LimitUnit.COST, source="budget:1", kind="budget", model="gpt-4o")
    limit(acme, 10**15, LimitUnit.COST, source="budget:2", kind="budget")
    granted = granted_by_three(acme, "hold")
    assert len(granted) == 1_000 // SIZE
    with organization_scope(acme.id):
        assert {hold.cost_nanos for hold in Hold.objects.all()} == {SIZE * INPUT_NANOS}


def test_a_killed_process_leaves_estimated_events(acme: Organization) -> None:
    limit(acme, 1_000)
    victim = process.start(acme.id, "victim", "hang")
    process.go(victim)
    assert victim.stdout is not None
    held = json.loads(victim.stdout.readline())["granted"]
    time.sleep(2)
    assert expire_holds() == 0, "its leases are renewed while it lives"
    victim.kill()
    victim.communicate()
    deadline = time.monotonic() + 10
    expired = 0
    while expired < len(held):
        assert time.monotonic() < deadline
        expired += expire_holds()
        time.sleep(0.1)
    stored = select(acme, "SELECT event_id, is_estimated, input FROM metering_event ORDER BY 1")
    assert stored == [(name, True, 10) for name in sorted(held)]
    assert open_holds(acme) == []
    assert_proved(acme)


def test_sweepers_do_not_disturb_each_other(acme: Organization) -> None:
    limit(acme, 10_000)

    async def act(desk: object) -> list[str]:
        return await process.hold_until_refused(desk, "e")

    granted = with_desk(acme, act)
    with organization_scope(acme.id):
        Hold.objects.update(expires_at="2020-01-01T00:00:00Z")

    def sweep(_: int) -> int:
        try:
            return expire_holds()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        taken = sum(threads.map(sweep, range(4)))
    while more := expire_holds():
        taken += more
    assert taken == len(granted)
    ((events,),) = select(acme, "SELECT count(*) FROM metering_event")
    assert events == len(granted)
    assert_proved(acme)

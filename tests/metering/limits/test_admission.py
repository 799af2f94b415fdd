"""Hold, settle, release and expiry, in every order."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Organization
from core.errors import ApiError
from metering.limits.admission import Held
from metering.store.base import Outcome
from tests.metering.door import select, stored_ids
from tests.metering.limits.calls import Desk, assert_proved, call, done, limit, open_holds, with_desk

pytestmark = pytest.mark.usefixtures("prices")


def test_held_then_settled(acme: Organization) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        event = call("a", 400)
        held = await desk.hold(event)
        assert isinstance(held, Held)
        assert held.remaining.tokens == 600
        standing = await desk.standing()
        assert (standing.used, standing.held, standing.remaining) == (0, 400, 600)
        rated = await desk.settle(done(event, 150), held)
        assert rated.outcome is Outcome.CREATED
        standing = await desk.standing()
        assert (standing.used, standing.held, standing.remaining) == (150, 0, 850)

    with_desk(acme, act)
    assert open_holds(acme) == []
    assert_proved(acme)

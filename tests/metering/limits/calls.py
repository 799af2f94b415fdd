"""Limits and calls of the tests, and the edge's parts that admit them: on real PostgreSQL, with its own connections."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from django.db import connection

from accounts.models import Organization
from core.errors import ApiError
from core.tenancy import organization_scope
from metering import prove
from metering.events import Usage, UsageEvent
from metering.limits.admission import Admission, Held
from metering.limits.expiry import expire_holds
from metering.limits.standing import Standing
from metering.models import Hold, HoldSource, Limit, LimitKind, LimitUnit
from metering.pipeline import Rated, Sender
from metering.recorder import Recorder
from tests.metering.door import select

NOBODY = Sender()


def limit(organization: Organization, amount: int | None, unit: str = LimitUnit.TOKENS, **fields: Any) -> Limit:
    fields = {"kind": LimitKind.ALLOWANCE, "source": "plan", "label": "The monthly allowance"} | fields
    with organization_scope(organization.id):
        made: Limit = Limit.objects.create(organization=organization, amount=amount, unit=unit, **fields)
    return made


def call(event_id: str, tokens: int = 100, **fields: Any) -> UsageEvent:
    """A call as it is estimated; all of its tokens are input (of gpt-4o at 2,500 nano-dollars)."""
    fields = {
        "occurred_at": dt.datetime.now(dt.UTC), "model": "gpt-4o", "provider": "openai",
        "usage": Usage(input=tokens), "is_estimated": True, "body_hash": b"h" * 16,
    } | fields  # fmt: skip
    return UsageEvent(event_id=event_id, **fields)


def done(event: UsageEvent, tokens: int, **fields: Any) -> UsageEvent:
    """The call as it turned out."""
    return msgspec.structs.replace(event, usage=Usage(input=tokens), is_estimated=False, **fields)


class Desk:
    """An admission of one process, for one organization."""

    def __init__(self, organization: Organization, admission: Admission, recorder: Recorder) -> None:
        self.organization_id = organization.id
        self.admission = admission
        self.recorder = recorder

    async def hold(self, event: UsageEvent, sender: Sender = NOBODY, **kwargs: Any) -> Held | None:
        source = kwargs.pop("source", HoldSource.GATEWAY)
        return await self.admission.hold(self.organization_id, sender, event, source=source, **kwargs)

    async def try_hold(self, event: UsageEvent, sender: Sender = NOBODY, **kwargs: Any) -> Held | ApiError | None:
        try:
            return await self.hold(event, sender, **kwargs)
        except ApiError as error:
            return error

    async def settle(self, event: UsageEvent, held: Any, sender: Sender = NOBODY) -> Rated:
        return await self.admission.settle(self.organization_id, sender, event, held)

    async def standing(self) -> Standing:
        (one,) = await self.admission.standing(self.organization_id)
        return one


def with_desk(organization: Organization, act: Callable[[Desk], Awaitable[Any]], **settings: float) -> Any:
    async def main() -> Any:
        recorder = Recorder()
        await recorder.start()
        admission = Admission(recorder, **settings)
        await admission.start()
        try:
            return await act(Desk(organization, admission, recorder))
        finally:
            await admission.stop()
            await recorder.stop()

    return asyncio.run(main())


def open_holds(organization: Organization) -> list[str]:
    with organization_scope(organization.id):
        return list(Hold.objects.filter(released_at=None).order_by("event_id").values_list("event_id", flat=True))


def assert_proved(organization: Organization) -> None:
    """Difference 0 in every month."""
    for month in prove.months_with_usage(organization.id):
        proof = prove.prove_month(organization.id, month)
        assert proof is not None
        assert proof.is_proved, [check for check in proof.checks if not check.is_proved]


def age_holds(organization: Organization) -> None:
    """As if their time were over."""
    with organization_scope(organization.id):
        Hold.objects.update(expires_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))
    connection.close()


def stored(organization: Organization) -> list[tuple[str, int, bool, bool]]:
    """(id, input tokens, estimated, superseded) of every event."""
    sql = "SELECT event_id, input, is_estimated, superseded_by IS NOT NULL FROM metering_event ORDER BY event_id"
    return [tuple(row) for row in select(organization, sql)]


def expire_in_a_thread() -> int:
    try:
        return expire_holds()
    finally:
        connection.close()

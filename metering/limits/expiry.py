"""Holds that nobody settled: their worker was killed, or their client has forgotten them.

The call may have been made, so its estimate becomes an event (`is_estimated`), under the id its event would have had.
Should the settlement come after all, it supersedes the estimate (metering/limits/admission.py).
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
import structlog
from django.db import Error, connection

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering import pipeline
from metering.directory import Directory
from metering.events import UsageEvent
from metering.limits.claims import estimate_hash, read_estimate
from metering.limits.rules import selection_of
from metering.pipeline import Sender
from metering.pricing.book import PriceBook
from metering.pricing.rate import Pricing
from metering.store import holds
from metering.store.base import Outcome, Problem
from metering.store.holds import Expired
from metering.store.postgres import StaleClockError
from metering.store.steps import run
from metering.store.unpriced import Unpriced, keep

logger = structlog.get_logger(__name__)

MOST_AT_ONCE = 1_000


def expire_holds() -> int:
    """Make events of expired holds; returns how many. Any number may do so at once."""
    with unscoped("the sweeper looks after every organization's holds"):
        run(_raw(), holds.forget_released())
    book, last, taken = None, None, 0
    while found := _next_page(last):
        book = book or PriceBook.load()
        taken += _expire_page(found, book)
        last = found[-1]
    return taken


def _next_page(last: Expired | None) -> list[Expired]:
    """Page by page, so that holds that cannot be made events keep none from their turn."""
    with unscoped("the sweeper looks after every organization's holds"):
        return run(_raw(), holds.expired(last, MOST_AT_ONCE))


def _expire_page(found: Sequence[Expired], book: PriceBook) -> int:
    groups: dict[tuple[int, Sender], list[tuple[Expired, UsageEvent]]] = defaultdict(list)
    for hold in found:
        try:
            estimate = read_estimate(hold.estimate)
        except msgspec.DecodeError:
            # Written by another version of this program, which will know what to do with it.
            logger.exception("estimate_unreadable", organization_id=hold.organization_id, hold_id=str(hold.id))
            continue
        groups[hold.organization_id, estimate.sender].append((hold, _event(hold, estimate.event)))
    taken = 0
    for (organization_id, sender), estimates in groups.items():
        try:
            taken += _expire(organization_id, sender, {hold.id: event for hold, event in estimates}, book)
        except Organization.DoesNotExist:
            _drop(organization_id, [hold.id for hold, _ in estimates])
        except (Error, psycopg.Error, StaleClockError):
            # The holds stand, and the next sweep finds them; other organizations' need not wait for it.
            logger.exception("holds_not_expired", organization_id=organization_id, holds=len(estimates))
    return taken


def _expire(organization_id: int, sender: Sender, events: dict[uuid.UUID, UsageEvent], book: PriceBook) -> int:
    """Remove holds and store their events, in one transaction. Raises Organization.DoesNotExist."""
    directory = Directory.load(organization_id)
    with organization_scope(organization_id):
        taken = run(_raw(), holds.take_expired(events))
        if taken:
            _store(directory, book, sender, [(events[hold_id], taken[hold_id]) for hold_id in sorted(taken)])
            logger.warning("holds_expired", organization_id=organization_id, holds=len(taken))
    return len(taken)


def _drop(organization_id: int, ids: Sequence[uuid.UUID]) -> None:
    """The organization is gone, and with it the ledger that its calls were for."""
    with organization_scope(organization_id):
        dropped = run(_raw(), holds.take_expired(ids))
    logger.warning("holds_of_nobody_dropped", organization_id=organization_id, holds=len(dropped))


def _store(
    directory: Directory, book: PriceBook, sender: Sender, estimates: Sequence[tuple[UsageEvent, int | None]]
) -> None:
    """Events, with what each had set aside of limits in money: that stays counted where there is no price any more."""
    # A project may have gone since; what was used for it has not.
    sound = [
        msgspec.structs.replace(event, project=None)
        if isinstance(pipeline.project_of(directory, sender, event.project), Problem)
        else event
        for event, _ in estimates
    ]
    rated = pipeline.record(directory, book, sender, sound, dt.datetime.now(dt.UTC))
    unpriced = [
        Unpriced(
            directory.organization_id, uuid.UUID(bytes=one.row.key), event.occurred_at,
            selection_of(one.row, event.model, event.feature), cost_nanos,
        )
        for one, event, (_, cost_nanos) in zip(rated, sound, estimates, strict=True)
        if one.row is not None and one.outcome is Outcome.CREATED and one.row.pricing == Pricing.UNPRICED and cost_nanos
    ]  # fmt: skip
    if unpriced:
        run(_raw(), keep(unpriced))


def _event(hold: Expired, event: UsageEvent) -> UsageEvent:
    body_hash = estimate_hash(event.event_id, hold.source)
    return msgspec.structs.replace(event, is_estimated=True, body_hash=body_hash)


def _raw() -> psycopg.Connection[Any]:
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    return raw

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

from core.tenancy import organization_scope, unscoped
from metering import pipeline
from metering.directory import Directory
from metering.events import UsageEvent
from metering.limits.claims import Estimate, estimate_hash, read_estimate
from metering.pipeline import Sender
from metering.pricing.book import PriceBook
from metering.store import holds
from metering.store.base import Problem
from metering.store.postgres import StaleClockError
from metering.store.steps import run

logger = structlog.get_logger(__name__)

MOST_AT_ONCE = 1_000


def expire_holds() -> int:
    """Make events of expired holds; returns how many. Any number may do so at once."""
    with unscoped("the sweeper looks after every organization's holds"):
        run(_raw(), holds.forget_released())
        found = run(_raw(), holds.expired(MOST_AT_ONCE))
    groups: dict[tuple[int, Sender], dict[uuid.UUID, Estimate]] = defaultdict(dict)
    for organization_id, hold_id, data in found:
        try:
            estimate = read_estimate(data)
        except msgspec.DecodeError:
            # Written by another version of this program, which will know what to do with it.
            logger.exception("estimate_unreadable", organization_id=organization_id, hold_id=str(hold_id))
            continue
        groups[organization_id, estimate.sender][hold_id] = estimate
    if not groups:
        return 0
    book, taken = PriceBook.load(), 0
    for (organization_id, sender), estimates in groups.items():
        try:
            taken += _expire(organization_id, sender, estimates, book)
        except (Error, psycopg.Error, StaleClockError):
            # The holds stand, and the next sweep finds them; other organizations' need not wait for it.
            logger.exception("holds_not_expired", organization_id=organization_id, holds=len(estimates))
    return taken


def _expire(organization_id: int, sender: Sender, estimates: dict[uuid.UUID, Estimate], book: PriceBook) -> int:
    """Remove holds and store their events, in one transaction."""
    directory = Directory.load(organization_id)
    with organization_scope(organization_id):
        taken = run(_raw(), holds.take_expired(estimates))
        if taken:
            _store(directory, book, sender, [_event(estimates[hold_id].event) for hold_id in sorted(taken)])
            logger.warning("holds_expired", organization_id=organization_id, holds=len(taken))
    return len(taken)


def _store(directory: Directory, book: PriceBook, sender: Sender, events: Sequence[UsageEvent]) -> None:
    # A project may have gone since; what was used for it has not.
    sound = [
        msgspec.structs.replace(event, project=None)
        if isinstance(pipeline.project_of(directory, sender, event.project), Problem)
        else event
        for event in events
    ]
    pipeline.record(directory, book, sender, sound, dt.datetime.now(dt.UTC))


def _event(event: UsageEvent) -> UsageEvent:
    return msgspec.structs.replace(event, is_estimated=True, body_hash=estimate_hash(event.event_id))


def _raw() -> psycopg.Connection[Any]:
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    return raw

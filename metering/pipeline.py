"""The write path: events of one organization become rows, and rows are stored once.

    parse (a door) → rows (names become references, usage gets its price) → append (one transaction)

The edge shares transactions between requests (metering/group_commit.py); `record` is the same for whoever holds
one connection: imports, tasks, the demo's history.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence

import msgspec
import psycopg
from django.db import connection, transaction

from core.periods import micros
from metering.dimensions import Kind
from metering.directory import Directory, Placement, learn
from metering.events import Usage, UsageEvent
from metering.pricing.book import PriceBook
from metering.store import postgres
from metering.store.base import Appended, Outcome, Problem, StoredEvent, jsonb
from metering.store.steps import Steps, run

_NOBODY = Placement(0)
_NOTHING = Usage()


class Sender(msgspec.Struct, frozen=True):
    """On whose behalf events come in: a key's project and member stand in where an event names none."""

    api_key_id: int = 0
    project_id: int | None = None
    member_id: int | None = None


class Rated(msgspec.Struct):
    """An event on its way: its row, or why it has none; and what became of it."""

    row: StoredEvent | None = None
    problem: Problem | None = None
    appended: Appended | None = None

    @property
    def outcome(self) -> Outcome:
        return Outcome.INVALID if self.appended is None else self.appended.outcome


def event_key(event_id: str) -> bytes:
    """The fixed-width stand-in for an event's id in keys and indexes."""
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()


def labels_of(events: Sequence[UsageEvent]) -> Iterator[tuple[Kind, str]]:
    for event in events:
        yield Kind.MODEL, event.model
        yield Kind.STATUS, event.status
        for kind, text in (
            (Kind.PROVIDER, event.provider),
            (Kind.ENDPOINT, event.endpoint),
            (Kind.FEATURE, event.feature),
            (Kind.TOOL, event.tool),
            (Kind.INTEGRATION, event.integration),
            (Kind.USER, event.user),
            (Kind.END_USER, event.end_user),
        ):
            if text is not None:
                yield kind, text


def rate(
    events: Sequence[UsageEvent], directory: Directory, book: PriceBook, sender: Sender, received_at: dt.datetime
) -> list[Rated]:
    """Rows of events whose labels the directory knows (`learn`)."""
    received = micros(received_at)
    return [_rate_one(event, directory, book, sender, received) for event in events]


def _rate_one(event: UsageEvent, directory: Directory, book: PriceBook, sender: Sender, received: int) -> Rated:
    project = directory.projects_by_id.get(sender.project_id, _NOBODY) if sender.project_id else _NOBODY
    if event.project is not None:
        named = directory.projects.get(event.project)
        if named is None:
            return Rated(problem=Problem("unknown_project", f"There is no project {event.project!r}.", "project"))
        if project.id not in (0, named.id):
            return Rated(problem=Problem("forbidden_project", "This key writes to another project.", "project"))
        project = named
    member = directory.members.get(event.user.lower(), _NOBODY) if event.user else _NOBODY
    if event.user is None and sender.member_id:
        member = directory.members_by_id.get(sender.member_id, _NOBODY)
    team_id = project.team_id or member.team_id
    labels = directory.labels
    at = micros(event.occurred_at)
    place = directory.clock.place(at)
    is_error = event.status != "ok"
    rating = book.rate(
        directory.organization_id,
        provider=event.provider,
        model=event.model,
        occurred_at=event.occurred_at,
        usage=event.usage,
        service_tier=event.service_tier,
        is_error=is_error,
        duration_ms=event.duration_ms,
    )
    usage = event.usage or _NOTHING
    return Rated(
        row=StoredEvent(
            organization_id=directory.organization_id,
            occurred_at=at,
            key=event_key(event.event_id),
            received_at=received,
            cost_nanos=rating.cost_nanos,
            input_cost_nanos=rating.input_cost_nanos,
            output_cost_nanos=rating.output_cost_nanos,
            project_id=project.id,
            team_id=team_id,
            department_id=directory.departments.get(team_id, 0),
            member_id=member.id,
            api_key_id=sender.api_key_id,
            model_id=labels[Kind.MODEL][event.model],
            provider_id=labels[Kind.PROVIDER][event.provider] if event.provider else 0,
            endpoint_id=labels[Kind.ENDPOINT][event.endpoint] if event.endpoint else 0,
            feature_id=labels[Kind.FEATURE][event.feature] if event.feature else 0,
            tool_id=labels[Kind.TOOL][event.tool] if event.tool else 0,
            integration_id=labels[Kind.INTEGRATION][event.integration] if event.integration else 0,
            status_id=labels[Kind.STATUS][event.status],
            user_id=labels[Kind.USER][event.user] if event.user else 0,
            end_user_id=labels[Kind.END_USER][event.end_user] if event.end_user else 0,
            input=usage.input,
            cache_read=usage.cache_read,
            cache_write_5m=usage.cache_write_5m,
            cache_write_1h=usage.cache_write_1h,
            output=usage.output,
            reasoning=usage.reasoning,
            audio_input=usage.audio_input,
            audio_output=usage.audio_output,
            image_input=usage.image_input,
            image_output=usage.image_output,
            web_searches=usage.web_searches,
            images=usage.images,
            media_ms=usage.media_ms,
            price_version_id=rating.price_version_id or 0,
            duration_ms=event.duration_ms,
            time_to_first_token_ms=event.time_to_first_token_ms,
            pricing=rating.pricing,
            is_error=is_error,
            is_estimated=event.is_estimated,
            is_usage_known=event.usage is not None or is_error,
            event_id=event.event_id,
            price_rule=rating.rule,
            service_tier=event.service_tier,
            chat=event.chat,
            message=event.message,
            tags=jsonb(event.tags),
            raw_usage=jsonb(event.raw_usage),
            detail=jsonb(event.detail),
            hour=place.hour,
            day=place.day,
            month=place.month,
            chat_title=event.chat_title,
            body_hash=event.body_hash,
            supersedes=event_key(event.supersedes) if event.supersedes else None,
        )
    )


_ensured_months: set[dt.date] = set()


def new_months(events: Sequence[UsageEvent]) -> set[dt.date]:
    """Months (of UTC, as partitions are) that this process has not seen to yet."""
    return {dt.date(at.year, at.month, 1) for at in {e.occurred_at.astimezone(dt.UTC) for e in events}} - _ensured_months


def prepare(directory: Directory, events: Sequence[UsageEvent]) -> Steps[None] | None:
    """What has to be in the database before these events can be rated; None when nothing is missing.

    The caller runs it in a transaction of its own, and tells `remember_months` once that is committed.
    """
    unknown, months = directory.unknown(labels_of(events)), new_months(events)
    return learn(directory, unknown, months) if unknown or months else None


def remember_months(events: Sequence[UsageEvent]) -> None:
    _ensured_months.update(new_months(events))


def record(
    directory: Directory, book: PriceBook, sender: Sender, events: Sequence[UsageEvent], received_at: dt.datetime
) -> list[Rated]:
    """Rate and store events of one organization on Django's connection. Committed when the caller's transaction is."""
    with transaction.atomic():
        connection.ensure_connection()
        raw: psycopg.Connection[object] = connection.connection
        missing = prepare(directory, events)
        if missing is not None:
            run(raw, missing)
        rated = rate(events, directory, book, sender, received_at)
        rows = [one.row for one in rated if one.row is not None]
        if rows:
            appended = iter(run(raw, postgres.append(rows, {directory.organization_id: directory.clock})))
            for one in rated:
                if one.row is not None:
                    one.appended = next(appended)
    return rated



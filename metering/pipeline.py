"""The write path: events of one organization become rows, and rows are stored once.

    parse (a door) → rows (names become references, usage gets its price) → append (one transaction)

The edge shares transactions between requests (metering/group_commit.py); `record` is the same for whoever holds
one connection: imports, tasks, the demo's history.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec
import psycopg
from django.db import connection, transaction
from msgspec.structs import astuple

from accounts.keys import KeyGrant
from accounts.models import Scope
from core.periods import EPOCH_DATE, micros, month_start
from core.tenancy import organization_scope
from metering.dimensions import Kind
from metering.directory import MOST_REFERENCES, Directory, Label, Placement, References, learn
from metering.events import Usage, UsageEvent
from metering.pricing.book import PriceBook
from metering.signals import usage_recorded
from metering.store import postgres
from metering.store.base import Appended, Outcome, Problem, StoredEvent, jsonb
from metering.store.steps import Execute, Steps, run

# Ids that begin so are the gateway's own: what it measured is not for its clients to report or to correct.
MEASURED_PREFIX = "gw_"
_NOBODY = Placement(0)
Counts = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]
_NO_COUNTS: Counts = astuple(Usage())


class UnknownLabelsError(LookupError):
    """Events carry texts that their directory has not learned."""

    def __init__(self, labels: set[Label]) -> None:
        super().__init__(f"{len(labels)} labels are not known yet")
        self.labels = labels


class Sender(msgspec.Struct, frozen=True):
    """On whose behalf events come in: a key's project and member stand in where an event names none.

    Who administers may correct what the gateway measured; only the gateway itself (`is_gateway`) reports it.
    """

    api_key_id: int = 0
    project_id: int | None = None
    member_id: int | None = None
    is_admin: bool = False
    is_gateway: bool = False

    @classmethod
    def of(cls, grant: KeyGrant) -> Sender:
        return cls(
            api_key_id=grant.key_id, project_id=grant.project_id, member_id=grant.member_id,
            is_admin=grant.allows(Scope.ADMIN),
        )  # fmt: skip


class Rated(msgspec.Struct, gc=False):
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
    """Rows of events, as far as they have one. Raises UnknownLabelsError where the directory must `learn` first."""
    received = micros(received_at)
    try:
        return [_rate_one(event, directory, book, sender, received) for event in events]
    except KeyError:
        unknown = directory.unknown(labels_of(events))
        if not unknown:
            raise
    raise UnknownLabelsError(unknown)


def _rate_one(event: UsageEvent, directory: Directory, book: PriceBook, sender: Sender, received: int) -> Rated:
    if not sender.is_gateway and (problem := _trespass(event, sender)) is not None:
        return Rated(problem=problem)
    names = (
        event.model, event.provider, event.project, event.user, event.feature, event.endpoint, event.tool,
        event.integration, event.status, sender,
    )  # fmt: skip
    references = directory.references.get(names)
    if references is None:
        found = _refer(event, directory, sender)
        if isinstance(found, Problem):
            return Rated(problem=found)
        if len(directory.references) >= MOST_REFERENCES:
            directory.references.clear()
        references = directory.references[names] = found
    at = micros(event.occurred_at)
    place = directory.clock.place(at)
    is_error = event.status != "ok"
    usage = event.usage
    counts: Counts = _NO_COUNTS if usage is None else astuple(usage)
    rating = book.rate(
        directory.organization_id,
        provider=event.provider,
        model=event.model,
        occurred_at=event.occurred_at,
        usage=usage,
        service_tier=event.service_tier,
        is_error=is_error,
        duration_ms=event.duration_ms,
    )
    # By position: fifty keywords would take longer than all the rest.
    return Rated(
        StoredEvent(
            directory.organization_id,
            at,
            event_key(event.event_id),
            received,
            rating.cost_nanos,
            rating.input_cost_nanos,
            rating.output_cost_nanos,
            *references,
            directory.labels[Kind.END_USER][event.end_user] if event.end_user else 0,
            *counts,
            rating.price_version_id or 0,
            event.duration_ms,
            event.time_to_first_token_ms,
            rating.pricing,
            is_error,
            event.is_estimated,
            usage is not None or is_error,
            event.event_id,
            rating.rule,
            event.service_tier,
            event.chat,
            event.message,
            jsonb(event.tags),
            jsonb(event.raw_usage),
            jsonb(event.detail),
            place.hour,
            place.day,
            place.month,
            event.chat_title,
            event.body_hash,
            event_key(event.supersedes) if event.supersedes else None,
        )
    )


def _trespass(event: UsageEvent, sender: Sender) -> Problem | None:
    """Why an event may not have its id, or not supersede what it names, when the gateway did not send it."""
    if event.event_id.startswith(MEASURED_PREFIX):
        return Problem("reserved_id", f"Ids that begin with {MEASURED_PREFIX!r} are given by the gateway alone.", "id")
    if event.supersedes is not None and event.supersedes.startswith(MEASURED_PREFIX) and not sender.is_admin:
        return Problem(
            "forbidden_correction", "What the gateway measured is corrected with a key that has the scope admin.",
            "supersedes",
        )  # fmt: skip
    return None


def _refer(event: UsageEvent, directory: Directory, sender: Sender) -> References | Problem:
    """The references of an event's names, in the order of the columns. Raises KeyError for a label not learned."""
    project = project_of(directory, sender, event.project)
    if isinstance(project, Problem):
        return project
    member = _NOBODY
    if event.user is not None:
        member = directory.members.get(event.user.lower(), _NOBODY)
    elif sender.member_id:
        member = directory.members_by_id.get(sender.member_id) or Placement(sender.member_id)
    team_id = project.team_id or member.team_id
    labels = directory.labels
    return (
        project.id,
        team_id,
        directory.departments.get(team_id, 0),
        member.id,
        sender.api_key_id,
        labels[Kind.MODEL][event.model],
        labels[Kind.PROVIDER][event.provider] if event.provider else 0,
        labels[Kind.ENDPOINT][event.endpoint] if event.endpoint else 0,
        labels[Kind.FEATURE][event.feature] if event.feature else 0,
        labels[Kind.TOOL][event.tool] if event.tool else 0,
        labels[Kind.INTEGRATION][event.integration] if event.integration else 0,
        labels[Kind.STATUS][event.status],
        labels[Kind.USER][event.user] if event.user else 0,
    )


def project_of(directory: Directory, sender: Sender, name: str | None) -> Placement | Problem:
    """The project of an event that names one, or none: then its sender's."""
    project = _NOBODY
    if sender.project_id:
        # A key's own project holds even where the directory has not heard of it yet.
        project = directory.projects_by_id.get(sender.project_id) or Placement(sender.project_id)
    if name is None:
        return project
    named = directory.projects.get(name)
    if named is None:
        return Problem("unknown_project", f"There is no project {name!r}.", "project")
    if project.id not in (0, named.id):
        return Problem("forbidden_project", "This key writes to another project.", "project")
    return named


# ── Months ──

_DAY = 86_400_000_000
_ready_days: set[int] = set()
_ENSURE_MONTHS = "SELECT metering_ensure_month(month) FROM unnest(%s::date[]) AS month"


def new_days(rows: Iterable[StoredEvent]) -> set[int]:
    """Days (since 2000, of UTC as partitions are) whose month this process has not seen to yet."""
    return {row.occurred_at // _DAY for row in rows} - _ready_days


def ensure_months(days: Iterable[int]) -> Steps[None]:
    """Make the partitions that these days need."""
    months = {month_start(EPOCH_DATE + dt.timedelta(days=day)) for day in days}
    yield Execute(_ENSURE_MONTHS, (sorted(months),))


def remember_days(days: Iterable[int]) -> None:
    """To be told once their partitions are committed."""
    _ready_days.update(days)


def forget_days() -> None:
    """When the database refused rows for want of a partition, which somebody must have dropped."""
    _ready_days.clear()


# ── Recording ──


def record(
    directory: Directory, book: PriceBook, sender: Sender, events: Sequence[UsageEvent], received_at: dt.datetime
) -> list[Rated]:
    """Rate and store events of one organization on Django's connection. Committed when the caller's transaction is."""
    directory.forget_doubtful()
    with organization_scope(directory.organization_id):
        connection.ensure_connection()
        raw: psycopg.Connection[object] = connection.connection
        while True:
            try:
                rated = rate(events, directory, book, sender, received_at)
                break
            except UnknownLabelsError as error:
                unknown = error.labels
            directory.doubt(unknown)
            directory.remember(run(raw, learn(directory.organization_id, unknown)))
            transaction.on_commit(partial(directory.confirm, unknown))
        rows = [one.row for one in rated if one.row is not None]
        days = new_days(rows)
        if days:
            run(raw, ensure_months(days))
            transaction.on_commit(partial(remember_days, days))
        if rows:
            tell(rated, run(raw, postgres.append(rows, {directory.organization_id: directory.clock})))
            ids = {directory.organization_id}
            transaction.on_commit(partial(usage_recorded.send_robust, record, organization_ids=ids))
    return rated


def tell(rated: Iterable[Rated], appended: Iterable[Appended | None]) -> None:
    """Enter what became of the rows; None: their hold was gone, and they were not stored."""
    outcomes = iter(appended)
    for one in rated:
        if one.row is not None:
            one.appended = next(outcomes)

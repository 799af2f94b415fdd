"""Usage notes: calls that no program reports, written down by the person who made them.

A note becomes an event (integration `manual`) through the pipeline that all events go through, in one transaction
with the note itself. Its id was made where it was written, so that a note sent twice counts once.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec
from django.db import transaction
from django.utils.timezone import now

from accounts.models import Membership
from core.errors import ApiError
from metering.directory import Directory
from metering.ingest.batch import parse_value
from metering.models import UsageNote
from metering.models.notes import EVENT_PREFIX
from metering.pipeline import Sender, record
from metering.pricing.book import PriceBook
from metering.query.events import EventRow, events_by_id
from metering.store.base import Outcome, Problem

INTEGRATION = "manual"
PAGE_SIZE = 25


class NoteDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A note as its author wrote it. Tokens are known together or not at all."""

    note_id: uuid.UUID
    model: str
    occurred_at: dt.datetime
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    project: str | None = None
    feature: str | None = None
    text: str = ""
    stated_cost_nanos: int | None = None

    @property
    def document(self) -> dict[str, object]:
        """The event's document, as a program would send it."""
        is_known = self.prompt_tokens is not None and self.completion_tokens is not None
        usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens} if is_known else None
        document: dict[str, object] = {
            "id": f"{EVENT_PREFIX}{self.note_id}",
            "model": self.model,
            "occurred_at": self.occurred_at.isoformat(),
            "usage": usage,
            "integration": INTEGRATION,
        }
        named = {"project": self.project, "feature": self.feature}
        return document | {name: value for name, value in named.items() if value}


class Noted(msgspec.Struct, frozen=True):
    """One's note and the event it became."""

    note: UsageNote
    event: EventRow


def write_note(membership: Membership, draft: NoteDraft) -> Outcome:
    """Store the note and its event: CREATED, or DUPLICATE when they were there already.

    Needs the organization's scope. Raises ApiError 422 for what is no event, 409 when the id stands for another note.
    """
    received_at = now()
    parsed = parse_value(draft.document, is_strict=True, received_at=received_at)
    if parsed.event is None:
        raise _refusal(parsed.problem)
    organization_id = membership.organization_id
    with transaction.atomic():
        sender = Sender(member_id=membership.pk)
        directory = Directory.load(organization_id)
        (rated,) = record(directory, PriceBook.load(), sender, [parsed.event], received_at)
        if rated.outcome is Outcome.INVALID:
            raise _refusal(rated.problem)
        note, _ = UsageNote.objects.get_or_create(
            organization_id=organization_id,
            note_id=draft.note_id,
            defaults={
                "membership": membership,
                "text": draft.text,
                "stated_cost_nanos": draft.stated_cost_nanos,
            },
        )
        if rated.outcome is Outcome.CONFLICT or note.membership_id != membership.pk:
            raise ApiError(409, "conflict", "A note with this id is recorded already, with other figures.")
    return rated.outcome


def notes_of(membership: Membership, before: int | None = None) -> tuple[list[Noted], int | None]:
    """One page of a member's notes, newest first, and what the next page is `before`."""
    rows = UsageNote.objects.filter(membership=membership).order_by("-pk")
    found = list(rows.filter(pk__lt=before)[: PAGE_SIZE + 1] if before is not None else rows[: PAGE_SIZE + 1])
    shown, rest = found[:PAGE_SIZE], found[PAGE_SIZE:]
    return _with_events(membership.organization_id, shown), shown[-1].pk if rest else None


def _with_events(organization_id: int, notes: Sequence[UsageNote]) -> list[Noted]:
    events = events_by_id(organization_id, [note.event_id for note in notes])
    return [Noted(note, events[note.event_id]) for note in notes if note.event_id in events]


def _refusal(problem: Problem | None) -> ApiError:
    if problem is None:
        raise AssertionError("an event that is not stored has a problem")
    return ApiError(422, problem.code, problem.message, param=problem.param)

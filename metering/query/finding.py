"""Finding things by what they are called: chats and files by words of their name, calls by their id, models by a part.

For a search box: a few answers at once, the newest first, and never a walk over the events.
"""

from __future__ import annotations

import datetime as dt

import msgspec
from django.db import connection

from core.errors import ApiError
from metering.dimensions import Kind
from metering.models import Label
from metering.query.events import EventRow, find_event
from metering.query.spec import FilterValue

# Of a word that many chats have, the newest are looked at.
MOST_CANDIDATES = 2_000
# Whether a file is one of somebody's is asked of the events, for each of its months and chats.
MOST_FILE_CANDIDATES = 500


class Whose(msgspec.Struct, frozen=True):
    """Whose usage is searched: a member's, a team's, or everybody's when neither is named."""

    member: int | None = None
    team: int | None = None

    @property
    def filters(self) -> dict[str, tuple[FilterValue, ...]]:
        return {name: (pk,) for name, pk in (("member", self.member), ("team", self.team)) if pk is not None}


EVERYBODY = Whose()


class FoundChat(msgspec.Struct, frozen=True):
    chat: str
    title: str | None
    last_at: dt.datetime


def find_chats(organization_id: int, wanted: str, whose: Whose = EVERYBODY, *, most: int) -> list[FoundChat]:
    """Chats whose title has words that begin like each of `wanted`'s, or whose id begins with it; newest first.

    Needs the organization's scope. Of the MOST_CANDIDATES chats spoken in last.
    """
    if not wanted.strip() or "\0" in wanted:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT chat, title, last_at FROM metering_find_chats(%s, %s, %s, %s, %s, %s)",
            [organization_id, wanted.strip(), whose.member, whose.team, MOST_CANDIDATES, most],
        )
        return [FoundChat(*row) for row in cursor.fetchall()]


class FoundFile(msgspec.Struct, frozen=True):
    file: str
    name: str | None
    last_at: dt.datetime


def find_files(organization_id: int, wanted: str, whose: Whose = EVERYBODY, *, most: int) -> list[FoundFile]:
    """Files whose name has words that begin like each of `wanted`'s, or whose id begins with it; last used first.

    Needs the organization's scope. Of somebody's files, those among the last MOST_FILE_CANDIDATES uses.
    """
    if not wanted.strip() or "\0" in wanted:
        return []
    candidates = MOST_CANDIDATES if whose == EVERYBODY else MOST_FILE_CANDIDATES
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT file, name, last_at FROM metering_find_files(%s, %s, %s, %s, %s, %s)",
            [organization_id, wanted.strip(), whose.member, whose.team, candidates, most],
        )
        return [FoundFile(*row) for row in cursor.fetchall()]


def find_call(organization_id: int, event_id: str, whose: Whose = EVERYBODY) -> EventRow | None:
    """The event with exactly this id, if it is one of theirs. Needs the organization's scope."""
    try:
        return find_event(organization_id, event_id, whose.filters)
    except ApiError:
        return None


def find_models(organization_id: int, wanted: str, *, most: int) -> list[str]:
    """Models that were ever used, by part of their name. Needs the organization's scope."""
    return texts_used(organization_id, Kind.MODEL, wanted, most=most)


def texts_used(organization_id: int, kind: Kind, wanted: str = "", *, most: int) -> list[str]:
    """What of a kind that is told by texts was ever used, by part of it. Needs the organization's scope."""
    labels = Label.objects.filter(organization_id=organization_id, kind=kind, text__icontains=wanted)
    return list(labels.order_by("text").values_list("text", flat=True)[:most])

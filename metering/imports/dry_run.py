"""What an import would do, without writing: events are rated, and their ids looked up."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from django.db import connection

from metering import pipeline
from metering.directory import Directory
from metering.events import UsageEvent
from metering.imports.identity import Occurrences
from metering.pipeline import Rated, Sender
from metering.pricing.book import PriceBook
from metering.store.base import CONFLICT, CREATED, DUPLICATE, Appended, Outcome, Problem

_STORED = """
SELECT uuid_send(key), uuid_send(body_hash) FROM metering_event_key WHERE organization_id = %s AND key = ANY (%s)
"""
_UNKNOWN = Appended(
    Outcome.INVALID, Problem("unknown_event", "There is no event with the id that this one supersedes.", "supersedes")
)


class Rehearsal:
    """Takes the place of the recorder. Remembers the ids of earlier batches, so that a file's own repeats are found."""

    def __init__(self, organization_id: int, received_at: dt.datetime) -> None:
        self._organization_id = organization_id
        self._received_at = received_at
        self._book = PriceBook.load()
        self._directory = Directory.load(organization_id)
        self._seen = Occurrences()

    def __call__(self, events: Sequence[UsageEvent]) -> list[Rated]:
        # Labels that an import would learn need no number to be priced.
        for kind, text in self._directory.unknown(pipeline.labels_of(events)):
            self._directory.labels[kind][text] = 0
        rated = pipeline.rate(events, self._directory, self._book, Sender(), self._received_at)
        stored = self._stored([one.row.key for one in rated if one.row is not None] + _superseded(rated))
        for one in rated:
            if one.row is not None:
                known = stored.get(one.row.key)
                if one.row.supersedes and one.row.supersedes not in stored and not self._seen.has(one.row.supersedes):
                    one.appended = _UNKNOWN
                    continue
                is_first = known is None and not self._seen.has(one.row.key)
                body = self._seen.first_body(one.row.key, known or one.row.body_hash)
                one.appended = CREATED if is_first else DUPLICATE if body == one.row.body_hash else CONFLICT
        return rated

    def _stored(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        with connection.cursor() as cursor:
            cursor.execute(_STORED, [self._organization_id, [uuid.UUID(bytes=key) for key in keys]])
            return {bytes(key): bytes(body) for key, body in cursor.fetchall()}


def _superseded(rated: Sequence[Rated]) -> list[bytes]:
    return [one.row.supersedes for one in rated if one.row is not None and one.row.supersedes]

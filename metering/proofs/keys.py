"""The table of keys, which makes an event count once, has exactly the events: one key each, made from its id."""

from __future__ import annotations

from django.db import connection

from metering.proofs.subject import MOST_LISTED, CheckResult, Difference, Subject

# Corrected events keep their keys and their rows, so both sides count them.
_UNEQUAL = """
SELECT e.event_id, coalesce(e.key, k.key), e.occurred_at, k.occurred_at, count(*) OVER ()
FROM (SELECT * FROM metering_event
      WHERE organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s) AS e
FULL JOIN (SELECT * FROM metering_event_key
           WHERE organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s) AS k
    ON e.key = k.key AND e.occurred_at = k.occurred_at
WHERE e.key IS NULL OR k.key IS NULL
LIMIT %(most)s
"""
_KEYS = """
SELECT count(*) FROM metering_event_key
WHERE organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
"""


def check(subject: Subject) -> CheckResult:
    counted = subject.recount
    with connection.cursor() as cursor:
        cursor.execute(_KEYS, subject.places)
        ((keys,),) = cursor.fetchall()
        cursor.execute(_UNEQUAL, {**subject.places, "most": MOST_LISTED})
        rows = cursor.fetchall()
    differences = [
        Difference(
            f"event {event_id}" if event_id is not None else f"key {key}",
            "key",
            None if event_id is None else f"a key at {event_at:%Y-%m-%dT%H:%M:%S.%fZ}",
            None if key_at is None else f"a key at {key_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        )
        for event_id, key, event_at, key_at, _ in rows
    ]
    differences += [Difference(f"event {w.event_id}", "key", w.expected, w.found) for w in counted.wrong_keys]
    number = (rows[0][-1] if rows else 0) + counted.wrong_key_count
    return CheckResult(
        "keys",
        "Every event has one key, and every key an event",
        keys,
        "keys",
        number,
        tuple(differences[:MOST_LISTED]),
    )

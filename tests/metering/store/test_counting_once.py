"""An event counts once, whenever, however often and from wherever it comes."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.testclient import TestClient

from accounts.models import Organization
from metering.edge import App
from tests.cast import Key, make_key
from tests.metering.door import Door, day_total, event, iso, select, stored_ids, usage

NOW = dt.datetime.now(dt.UTC)


def outcomes(response: Any) -> list[str]:
    return [one["status"] for one in response.json()["results"]]


def test_the_same_again_is_a_duplicate_another_body_a_conflict(door: Door, acme: Organization) -> None:
    first = event("e1", tags={"a": "1", "b": "2"})
    assert outcomes(door.send(first)) == ["created"]
    assert outcomes(door.send(first)) == ["duplicate"]
    assert outcomes(door.send(dict(reversed(first.items())) | {"tags": {"b": "2", "a": "1"}})) == ["duplicate"]
    conflict = door.send(event("e1", usage=usage(5, 5)))
    assert conflict.status_code == 422
    assert conflict.json()["results"][0]["error"]["code"] == "event_conflict"
    assert day_total(acme) == (1, 1_100)


def test_a_retry_may_carry_another_time_even_another_month(door: Door, acme: Organization) -> None:
    for days in (0, 0.5, 1, 40, 400):
        at = NOW - dt.timedelta(days=days)
        assert outcomes(door.send(event("e1", occurred_at=iso(at)))) == ["created" if days == 0 else "duplicate"]
    assert outcomes(door.send(event("e1"))) == ["duplicate"], "and none at all"
    assert day_total(acme) == (1, 1_100)


def test_repeats_inside_one_batch(door: Door, acme: Organization) -> None:
    other = event("e1", usage=usage(5, 5))
    assert outcomes(door.send([event("e1"), event("e1"), other, event("e2"), event("e2")])) == [
        "created", "duplicate", "conflict", "created", "duplicate"
    ]  # fmt: skip
    # Against what is stored, wherever it stands in the batch.
    assert outcomes(door.send([other, event("e1"), other])) == ["conflict", "duplicate", "conflict"]
    assert day_total(acme) == (2, 2_200)


def test_the_same_batch_at_once_from_eight_clients_and_two_processes(
    acme: Organization, acme_key: Key, transactional_db: None
) -> None:
    """Corrections among them: locks are taken in one order, so nobody is turned away for a deadlock."""
    second = make_key(acme)
    originals = [event(f"o{n}", chat={"id": f"c{n % 3}"}, model=f"m{n % 4}") for n in range(20)]
    with TestClient(App()) as one, TestClient(App()) as other, ThreadPoolExecutor(8) as threads:
        doors = [Door(one, acme_key.secret), Door(other, second.secret)]
        assert doors[0].send(originals).status_code == 200
        batches = []
        for client in range(8):
            events = [event(f"e{n}", model=f"m{n % 5}", chat={"id": f"c{n % 7}"}) for n in range(60)]
            events += [event(f"fix{n}", supersedes=f"o{n}", usage=usage(n, 0), chat={"id": "c1"}) for n in range(20)]
            batches.append(events[client * 9 :] + events[: client * 9])
        answers = list(threads.map(lambda n: doors[n % 2].send(batches[n]), range(8)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text[:300] for answer in answers]
    told = [outcome for answer in answers for outcome in outcomes(answer)]
    assert told.count("created") == 80
    assert told.count("duplicate") == 7 * 80
    assert day_total(acme) == (80, 60 * 1_100 + sum(range(20)))
    assert select(acme, "SELECT count(*), count(superseded_by) FROM metering_event") == [(100, 20)]


def test_single_events_at_once_from_eight_clients(door: Door, acme: Organization) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: door.send(event(f"e{n % 40}")), range(160)))
    told = [outcome for answer in answers for outcome in outcomes(answer)]
    assert (told.count("created"), told.count("duplicate")) == (40, 120)
    assert day_total(acme) == (40, 40 * 1_100)


def test_late_events_land_in_their_own_hour_and_day(door: Door, acme: Organization) -> None:
    """Berlin: 22:30 UTC in summer is half past midnight of the next day; and the hour that comes twice is two rows."""
    times = {
        "summer": "2026-07-14T22:30:00Z",
        "winter": "2026-01-14T22:30:00Z",
        "twice-1": "2025-10-26T00:30:00Z",
        "twice-2": "2025-10-26T01:30:00Z",
        "old": "2019-06-30T23:59:59.999999Z",
    }
    assert door.send([event(name, occurred_at=at) for name, at in times.items()]).status_code == 200
    days = select(acme, "SELECT day::text, requests FROM metering_usage_day WHERE kind = 0 ORDER BY day")
    assert days == [("2019-07-01", 1), ("2025-10-26", 2), ("2026-01-14", 1), ("2026-07-15", 1)]
    hours = select(
        acme, "SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM metering_usage_hour ORDER BY 1"
    )
    assert [hour for (hour,) in hours] == [
        "2019-06-30 23:00", "2025-10-26 00:00", "2025-10-26 01:00", "2026-01-14 22:00", "2026-07-14 22:00"
    ]  # fmt: skip
    partitions = select(
        acme, "SELECT event_id, tableoid::regclass::text FROM metering_event ORDER BY occurred_at LIMIT 1"
    )
    assert partitions == [("old", "metering_event_2019_06")]
    assert len(stored_ids(acme)) == 5

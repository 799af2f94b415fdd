"""A correction takes its predecessor's place in every sum, and both stay readable."""

from __future__ import annotations

from typing import Any

from accounts.models import Organization
from tests.metering.door import Door, day_total, event, roll_ups, select, usage
from tests.metering.store.test_counting_once import outcomes

APRIL, MAY, JUNE = ("2026-04-10T12:00:00Z", "2026-05-10T12:00:00Z", "2026-06-10T12:00:00Z")


def chain(organization: Organization) -> dict[str, str | None]:
    """event → its successor."""
    sql = """SELECT e.event_id, s.event_id FROM metering_event e
        LEFT JOIN metering_event s ON s.organization_id = e.organization_id AND s.key = e.superseded_by"""
    return dict(select(organization, sql))


def problem(response: Any, index: int = 0) -> str:
    code: str = response.json()["results"][index]["error"]["code"]
    return code


def test_a_correction_replaces_every_figure(door: Door, acme: Organization, prices: None) -> None:
    """Another model, chat, day and cost: the old rows are as if they had never been."""
    fixed = event("fix", supersedes="e1", model="gpt-4o", usage=usage(10, 1), occurred_at=MAY, chat={"id": "new"})
    assert outcomes(door.send(event("e1", model="o3", occurred_at=APRIL, chat={"id": "old", "title": "Old"}))) == [
        "created"
    ]
    result = door.send(fixed).json()["results"][0]
    assert (result["status"], result["cost_usd"]) == ("created", "0.000035")
    corrected = roll_ups(acme)
    assert chain(acme) == {"e1": "fix", "fix": None}
    assert select(acme, "SELECT chat FROM metering_usage_chat") == [("new",)]
    assert {table: len(rows) for table, rows in corrected.items()} == {
        "metering_usage_hour": 1, "metering_usage_day": 15, "metering_usage_chat": 1,
        "metering_usage_file": 0, "metering_usage_latency": 0, "metering_usage_rate": 1,
    }  # fmt: skip
    assert day_total(acme) == (1, 11)


def test_chains_across_months(door: Door, acme: Organization) -> None:
    door.send(event("a", occurred_at=APRIL))
    door.send(event("b", supersedes="a", occurred_at=MAY, usage=usage(2, 0)))
    door.send(event("c", supersedes="b", occurred_at=JUNE, usage=usage(3, 0)))
    assert chain(acme) == {"a": "b", "b": "c", "c": None}
    assert select(acme, "SELECT day::text, input FROM metering_usage_day WHERE kind = 0") == [("2026-06-10", 3)]


def test_a_replayed_correction_is_a_duplicate(door: Door, acme: Organization) -> None:
    correction = event("fix", supersedes="e1", usage=usage(7, 0))
    door.send(event("e1"))
    assert [outcomes(door.send(correction)) for _ in range(3)] == [["created"], ["duplicate"], ["duplicate"]]
    assert outcomes(door.send(event("e1"))) == ["duplicate"], "the original, sent again, does not come back"
    assert day_total(acme) == (1, 7)


def test_what_cannot_be_corrected(door: Door, acme: Organization) -> None:
    door.send([event("e1"), event("other")])
    assert problem(door.send(event("fix", supersedes="nobody"))) == "unknown_event"
    assert problem(door.send(event("self", supersedes="self"))) == "unknown_event"
    assert outcomes(door.send(event("fix", supersedes="e1"))) == ["created"], "a refused id is free again"
    assert problem(door.send(event("late", supersedes="e1"))) == "already_superseded"
    both = door.send([event("x", supersedes="other"), event("y", supersedes="other")])
    assert outcomes(both) == ["created", "invalid"]
    assert problem(both, 1) == "already_superseded"
    circle = door.send([event("p", supersedes="q"), event("q", supersedes="p"), event("r", supersedes="q")])
    assert [problem(circle, n) for n in range(3)] == ["unknown_event"] * 3
    assert chain(acme) == {"e1": "fix", "fix": None, "other": "x", "x": None}
    assert day_total(acme) == (2, 2_200)


def test_original_and_corrections_in_one_batch_in_any_order(door: Door, acme: Organization) -> None:
    batch = [
        event("c", supersedes="b", usage=usage(3, 0), chat={"id": "c"}, occurred_at=JUNE),
        event("lost", supersedes="refused", usage=usage(9, 9)),
        event("b", supersedes="a", usage=usage(2, 0), chat={"id": "b"}),
        event("a", chat={"id": "a", "title": "A"}, occurred_at=APRIL),
        event("refused", supersedes="nobody"),
        event("plain"),
    ]
    assert outcomes(door.send(batch)) == ["created", "invalid", "created", "created", "invalid", "created"]
    assert outcomes(door.send(batch)) == ["duplicate", "invalid", "duplicate", "duplicate", "invalid", "duplicate"]
    assert chain(acme) == {"a": "b", "b": "c", "c": None, "plain": None}
    assert day_total(acme) == (2, 1_103)
    assert select(acme, "SELECT chat FROM metering_usage_chat") == [("c",)]


def test_a_chats_title_and_span_follow_its_corrections(door: Door, acme: Organization) -> None:
    early, later = "2026-04-10T08:00:00Z", "2026-04-10T09:00:00Z"
    door.send([
        event("one", occurred_at=early, chat={"id": "c", "title": "First"}),
        event("two", occurred_at=later, chat={"id": "c", "title": "Second"}),
    ])  # fmt: skip
    sql = "SELECT title, first_at, last_at, requests, input FROM metering_usage_chat"
    ((title, first, last, requests, tokens),) = select(acme, sql)
    assert (title, first.hour, last.hour, requests, tokens) == ("Second", 8, 9, 2, 2_000)
    door.send(event("fix", supersedes="two", occurred_at=early, chat={"id": "c"}, usage=usage(5, 0)))
    ((title, first, last, requests, tokens),) = select(acme, sql)
    assert (title, first.hour, last.hour, requests, tokens) == ("First", 8, 8, 2, 1_005)

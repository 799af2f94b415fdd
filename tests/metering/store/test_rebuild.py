"""Roll-ups written bit by bit are the roll-ups made anew, to the last row and digit."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.models import Organization
from core.tenancy import organization_scope
from metering.directory import Directory
from metering.ingest.batch import parse_value
from metering.models import Ledger
from metering.pipeline import Sender, record
from metering.pricing.book import PriceBook
from metering.store.base import Outcome
from metering.store.postgres import StaleClockError
from metering.store.rebuild import rebuild
from metering.store.steps import run
from tests.metering.door import event, roll_ups, select, usage

ZONES = ("Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe")
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
# Around both changes of the clock in Berlin and on Lord Howe (half an hour, at half past), and around new year.
SPOTS = [
    dt.datetime(2025, 3, 30, 0, 50, tzinfo=dt.UTC),
    dt.datetime(2025, 4, 5, 14, 50, tzinfo=dt.UTC),
    dt.datetime(2025, 10, 4, 15, 20, tzinfo=dt.UTC),
    dt.datetime(2025, 10, 26, 0, 40, tzinfo=dt.UTC),
    dt.datetime(2025, 12, 31, 12, 0, tzinfo=dt.UTC),
]
moments = st.builds(
    lambda spot, minutes: spot + dt.timedelta(minutes=minutes), st.sampled_from(SPOTS), st.integers(-900, 900)
)
files = st.lists(
    st.builds(
        lambda file, name, size, tokens: {
            key: value
            for key, value in (("id", file), ("name", name), ("size_bytes", size), ("tokens", tokens))
            if value is not None
        },
        st.sampled_from(["f1", "f2", "f3"]),
        st.sampled_from([None, "a.pdf", "b.pdf"]),
        st.one_of(st.none(), st.integers(0, 2**40)),
        st.one_of(st.none(), st.integers(0, 2**31 - 1)),
    ),
    max_size=3,
)
documents = st.builds(
    event,
    event_id=st.integers(0, 400).map(lambda n: f"e{n}"),
    occurred_at=moments.map(dt.datetime.isoformat),
    model=st.sampled_from(["gpt-4o", "o3", "free"]),
    feature=st.sampled_from([None, "chat", "agents"]),
    chat=st.sampled_from([None, {"id": "c1"}, {"id": "c1", "title": "A"}, {"id": "c1", "title": "B"}, {"id": "c2"}]),
    status=st.sampled_from(["ok", "ok", "error"]),
    usage=st.one_of(st.none(), st.builds(usage, st.integers(0, 2**30), st.integers(0, 2**30))),
    integration=st.sampled_from([None, "slack"]),
    files=st.one_of(st.none(), files),
    message=st.sampled_from([None, {"input_parts": {"files": 300}}]),
    duration_ms=st.one_of(st.none(), st.integers(0, 10_000)),
    time_to_first_token_ms=st.one_of(st.none(), st.integers(0, 2**31 - 1)),
    supersedes=st.one_of(st.none(), st.none(), st.integers(0, 400).map(lambda n: f"e{n}")),
)


def write(organization: Organization, documents: list[dict[str, Any]], sender: Sender | None = None) -> list[Outcome]:
    directory = Directory.load(organization.id)
    parsed = [parse_value(document, is_strict=True, received_at=NOW) for document in documents]
    assert not [one.problem for one in parsed if one.problem]
    rated = record(directory, PriceBook.load(), sender or Sender(), [one.event for one in parsed if one.event], NOW)
    return [one.outcome for one in rated]


def rebuilt(organization: Organization, zone: str) -> dict[str, list[tuple[Any, ...]]]:
    with organization_scope(organization.id), transaction.atomic():
        connection.ensure_connection()
        run(connection.connection, rebuild(organization.id, ZoneInfo(zone)))
    return roll_ups(organization)


def in_zone(organization: Organization, zone: str) -> None:
    with organization_scope(organization.id):
        Organization.objects.filter(pk=organization.pk).update(timezone=zone)


@pytest.mark.parametrize("zone", ZONES)
@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batches=st.lists(st.lists(documents, max_size=25), min_size=1, max_size=3))
def test_written_is_rebuilt(acme: Organization, zone: str, batches: list[list[dict[str, Any]]]) -> None:
    """Whatever comes in whatever batches: duplicates, conflicts, corrections of anything."""
    with transaction.atomic():
        in_zone(acme, zone)
        for batch in batches:
            write(acme, batch)
        written = roll_ups(acme)
        assert rebuilt(acme, zone) == written
        counted = select(acme, "SELECT count(*) FROM metering_event WHERE superseded_by IS NULL")
        total = select(acme, "SELECT coalesce(sum(requests), 0) FROM metering_usage_day WHERE kind = 0")
        assert counted == total
        transaction.set_rollback(True)


def test_a_zone_moves_by_a_rebuild_and_back(acme: Organization) -> None:
    some = [event(f"e{n}", occurred_at=(SPOTS[n % 5] + dt.timedelta(minutes=7 * n)).isoformat()) for n in range(60)]
    assert set(write(acme, some)) == {Outcome.CREATED}
    berlin = roll_ups(acme)
    kathmandu = rebuilt(acme, "Asia/Kathmandu")
    assert kathmandu != berlin
    assert {row[1].minute for row in kathmandu["metering_usage_hour"]} == {15}
    # Who placed rows by the old clock is told, and nothing of theirs is written.
    stale = Directory.load(acme.id)
    assert rebuilt(acme, "Europe/Berlin") == berlin
    parsed = parse_value(event("late"), is_strict=True, received_at=NOW)
    assert parsed.event is not None
    with pytest.raises(StaleClockError), transaction.atomic():
        record(stale, PriceBook.load(), Sender(), [parsed.event], NOW)
    assert roll_ups(acme) == berlin
    with organization_scope(acme.id):
        assert Ledger.objects.get().timezone == "Europe/Berlin"


def test_a_rebuild_repairs(acme: Organization) -> None:
    write(acme, [event(f"e{n}", occurred_at=SPOTS[0].isoformat(), chat={"id": "c"}) for n in range(5)])
    right = roll_ups(acme)
    with organization_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("UPDATE metering_usage_day SET input = input + 1 WHERE kind = 1")
        cursor.execute("DELETE FROM metering_usage_hour")
        cursor.execute("UPDATE metering_usage_chat SET title = 'wrong', requests = 99")
    assert roll_ups(acme) != right
    assert rebuilt(acme, "Europe/Berlin") == right


def test_an_empty_ledger_is_rebuilt_to_nothing(acme: Organization) -> None:
    assert rebuilt(acme, "Asia/Kathmandu") == {table: [] for table in roll_ups(acme)}

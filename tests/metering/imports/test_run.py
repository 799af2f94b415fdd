"""Rows into the ledger: counted once, whatever happens in between."""

from __future__ import annotations

import datetime as dt
import io
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from django.db import connection, transaction

from accounts.models import Organization, Project, User
from core.tenancy import organization_scope
from metering.events import Usage, UsageEvent
from metering.imports.dry_run import Rehearsal
from metering.imports.mapping import ColumnMap
from metering.imports.reader import FileError, Reader
from metering.imports.recognize import overrule, propose
from metering.imports.run import Importer, spread
from metering.imports.tally import RowProblem, Tally

UTC = dt.UTC
NOW = dt.datetime(2026, 11, 22, tzinfo=UTC)
HEADER = "timestamp,model,prompt_tokens,completion_tokens,cached_tokens,project"
PLAIN = propose(HEADER.split(",")).mapping


class Notes:
    """A journal that remembers; `stop_after` batches it loses its patience."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.batches = 0
        self.problems: list[RowProblem] = []
        self.rows_done = 0
        self.tally = Tally()
        self._stop_after = stop_after

    def advance(self, rows_done: int, bytes_done: int, tally: Tally, problems: Sequence[RowProblem]) -> None:
        if self._stop_after == self.batches:
            raise KeyboardInterrupt
        self.batches += 1
        self.rows_done, self.tally = rows_done, tally
        self.problems += problems


def csv_of(rows: Sequence[str], header: str = HEADER) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def some_rows(number: int, seed: int = 7) -> list[str]:
    chance = random.Random(seed)
    return [
        f"2026-11-{chance.randint(1, 20):02d}T{chance.randint(0, 23):02d}:{chance.randint(0, 59):02d}:00Z,"
        f"{chance.choice(['gpt-4o', 'own-model'])},{chance.randint(50, 999)},{chance.randint(0, 99)},"
        f"{chance.randint(0, 50)},"
        for _ in range(number)
    ]


def load(
    organization: Organization, content: bytes, mapping: ColumnMap = PLAIN, journal: Notes | None = None, **options: Any
) -> Notes:
    journal = journal or Notes()
    run_options = {name: options.pop(name) for name in ("after_row", "tally") if name in options}
    importer = Importer(organization.id, mapping, received_at=NOW, **options)
    importer.run(Reader(io.BytesIO(content)), journal, **run_options)
    return journal


def stored(organization: Organization) -> tuple[Any, ...]:
    """What is in the ledger, and what its roll-ups say."""
    with organization_scope(organization.id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(sum(input), 0), coalesce(sum(cache_read), 0), coalesce(sum(output), 0),"
            " sum(cost_nanos) FROM metering_event"
        )
        events = cursor.fetchone()
        cursor.execute("SELECT coalesce(sum(requests), 0)::bigint FROM metering_usage_day WHERE kind = 0")
        ((rolled,),) = cursor.fetchall()
        assert events is not None
        assert rolled == events[0]
    return tuple(events)


def test_rows_become_events(acme: Organization, prices: None) -> None:
    rows = ["2026-11-01T10:00:00Z,gpt-4o,100,10,60,", "2026-11-02 10:00,unheard-of,5,5,0,"]
    notes = load(acme, csv_of(rows))
    tally = notes.tally
    assert (tally.rows, tally.created, tally.problems) == (2, 2, 0)
    assert stored(acme)[:4] == (2, 45, 60, 15)
    assert tally.by_pricing["priced"].cost_nanos == 40 * 2500 + 60 * 1250 + 10 * 10_000
    assert tally.by_pricing["unpriced"].cost_nanos is None
    assert tally.by_model["gpt-4o"].prompt_tokens == 100
    assert list(tally.unpriced_reasons.values()) == [1]


def test_a_second_run_changes_nothing(acme: Organization) -> None:
    content = csv_of(some_rows(300))
    load(acme, content, batch_events=50)
    before = stored(acme)
    again = load(acme, content, batch_events=70)
    assert (again.tally.created, again.tally.duplicates) == (0, 300)
    assert stored(acme) == before


def test_two_identical_rows_are_two_calls(acme: Organization) -> None:
    row = "2026-11-01T10:00:00Z,gpt-4o,100,10,0,"
    content = csv_of([row, row, row])
    assert load(acme, content).tally.created == 3
    assert load(acme, content).tally.duplicates == 3
    longer = load(acme, csv_of([row, row, row, row])).tally
    assert (longer.created, longer.duplicates) == (1, 3)


def test_a_row_is_the_same_row_in_another_format_of_columns(acme: Organization) -> None:
    load(
        acme,
        csv_of(
            ["2026-11-01T10:00:00Z,gpt-4o,100,10,5"], "timestamp,model,prompt_tokens,completion_tokens,cached_tokens"
        ),
    )
    other = csv_of(
        [";gpt-4o;2026-11-01T10:00:00Z;100;5;10"], "note;model;timestamp;prompt_tokens;cached_tokens;completion_tokens"
    )
    assert load(acme, other).tally.duplicates == 1


def test_an_edited_row_is_another_call(acme: Organization) -> None:
    load(acme, csv_of(["2026-11-01T10:00:00Z,gpt-4o,100,10,0,", "2026-11-01T11:00:00Z,gpt-4o,1,1,0,"]))
    edited = load(acme, csv_of(["2026-11-01T10:00:00Z,gpt-4o,101,10,0,", "2026-11-01T11:00:00Z,gpt-4o,1,1,0,"])).tally
    assert (edited.created, edited.duplicates) == (1, 1)


def test_another_mapping_of_the_same_row_is_a_conflict(acme: Organization) -> None:
    content = csv_of(["2026-11-01T10:00:00Z,gpt-4o,100,10,0,"])
    load(acme, content)
    notes = load(acme, content, overrule(PLAIN, [("cached_tokens", "")]))
    assert (notes.tally.created, notes.tally.conflicts) == (0, 1)
    assert notes.problems[0].code == "event_conflict"


def test_offsets_belong_to_their_start(acme: Organization) -> None:
    content = csv_of(["0.5,gpt-4o,1,1"], "t_s,model,prompt_tokens,completion_tokens")
    mapping = propose(["t_s", "model", "prompt_tokens", "completion_tokens"]).mapping
    for day, created in ((1, 1), (2, 1), (1, 0)):
        started = ColumnMap(mapping.columns, start=dt.datetime(2026, 11, day, tzinfo=UTC))
        assert load(acme, content, started).tally.created == created


def test_ids_of_the_file_are_used(acme: Organization) -> None:
    content = csv_of(
        ["a,2026-11-01T10:00:00Z,gpt-4o,1,1", "b,2026-11-01T10:00:00Z,gpt-4o,1,1", "a,2026-11-01T10:00:00Z,gpt-4o,2,1"],
        "request_id,timestamp,model,prompt_tokens,completion_tokens",
    )
    mapping = propose(["request_id", "timestamp", "model", "prompt_tokens", "completion_tokens"]).mapping
    tally = load(acme, content, mapping).tally
    assert (tally.created, tally.conflicts) == (2, 1)
    with organization_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT event_id FROM metering_event ORDER BY 1")
        assert cursor.fetchall() == [("a",), ("b",)]


# ── What is refused ──


def test_every_refused_row_is_named(acme: Organization, website: Project) -> None:
    rows = [
        "2026-11-01T10:00:00Z,gpt-4o,100,10,0,website",
        "2026-11-01T10:00:00Z,gpt-4o,100,10,0,elsewhere",
        "yesterday,gpt-4o,100,10,0,",
        "2026-11-01T10:00:00Z,,100,10,0,",
        "2026-11-01T10:00:00Z,gpt-4o,-5,10,0,",
        "2031-11-01T10:00:00Z,gpt-4o,1,1,0,",
        "2026-11-01T10:00:00Z,gpt-4o,1",
        "2026-11-01T10:00:00Z,gpt\0-4o,1,1,0,",
        "2026-11-01T10:00:00Z,gpt-4o,7,7,0,",
    ]
    notes = load(acme, csv_of(rows))
    assert (notes.tally.rows, notes.tally.created, notes.tally.invalid) == (9, 2, 7)
    assert sorted((p.row, p.code, p.column) for p in notes.problems) == [
        (3, "unknown_project", "project"),
        (4, "invalid_time", "timestamp"),
        (5, "missing_field", "model"),
        (6, "negative_tokens", "prompt_tokens"),
        (7, "time_in_future", "timestamp"),
        (8, "wrong_cells", None),
        (9, "nul_character", None),
    ]


def test_a_default_project_is_for_rows_that_name_none(acme: Organization, website: Project) -> None:
    with organization_scope(acme.id):
        other = Project.objects.create(organization=acme, name="Other", slug="other")
    rows = ["2026-11-01T10:00:00Z,gpt-4o,1,1,0,", "2026-11-01T10:00:00Z,gpt-4o,2,1,0,other"]
    assert load(acme, csv_of(rows), project="website").tally.created == 2
    with organization_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT input, project_id FROM metering_event ORDER BY 1")
        assert cursor.fetchall() == [(1, website.id), (2, other.id)]


def test_a_value_the_database_refuses_costs_no_other_row(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    from metering import pipeline

    honest = pipeline.record

    def refusing(directory: Any, book: Any, sender: Any, events: Sequence[UsageEvent], at: dt.datetime) -> Any:
        with transaction.atomic():
            rated = honest(directory, book, sender, events, at)
            if any(event.model == "poison" for event in events):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1/0")
        return rated

    monkeypatch.setattr(pipeline, "record", refusing)
    rows = [*some_rows(20), "2026-11-01T10:00:00Z,poison,1,1,0,", *some_rows(20, seed=8)]
    notes = load(acme, csv_of(rows))
    assert (notes.tally.created, notes.tally.failed) == (40, 1)
    assert [(p.row, p.code) for p in notes.problems] == [(22, "unstorable")]
    assert stored(acme)[0] == 40


def test_a_damaged_file_keeps_what_came_before(acme: Organization) -> None:
    notes = Notes()
    content = csv_of(some_rows(100)) + b'"' + b"x" * (3 << 20)
    with pytest.raises(FileError):
        load(acme, content, journal=notes, batch_events=10)
    assert notes.tally.created == stored(acme)[0] == 100


# ── Interrupted ──


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_an_interrupted_import_run_again_is_whole(acme: Organization, globex: Organization, batches: int) -> None:
    rows = some_rows(150)
    content = csv_of([*rows, *rows[:30]])  # with identical rows on both sides of every interruption
    load(globex, content)
    with pytest.raises(KeyboardInterrupt):
        load(acme, content, journal=Notes(stop_after=batches), batch_events=40)
    assert stored(acme)[0] == batches * 40
    again = load(acme, content, batch_events=40)
    assert (again.tally.created, again.tally.duplicates) == (180 - batches * 40, batches * 40)
    assert stored(acme) == stored(globex)


def test_an_import_goes_on_behind_the_rows_that_are_stored(acme: Organization) -> None:
    rows = some_rows(100)
    content = csv_of([*rows, *rows[:50]])
    first = Notes(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        load(acme, content, journal=first, batch_events=30)
    second = load(acme, content, batch_events=30, after_row=first.rows_done, tally=first.tally)
    assert (second.tally.rows, second.tally.created, second.tally.duplicates) == (150, 150, 0)
    assert stored(acme)[0] == 150


# ── Rows that sum up calls ──


def test_summed_up_rows_keep_their_sums(acme: Organization, prices: None) -> None:
    header = "start_time_iso,num_model_requests,model,input_tokens,output_tokens,input_cached_tokens,batch"
    rows = ["2026-11-01T10:00:00+00:00,7,gpt-4o,1000,100,300,False", "2026-11-01T10:01:00+00:00,0,gpt-4o,0,0,0,False"]
    mapping = propose(header.split(",")).mapping
    tally = load(acme, csv_of(rows, header), mapping, batch_events=3).tally
    assert (tally.rows, tally.skipped, tally.created, tally.estimated_requests) == (1, 1, 7, 7)
    assert stored(acme)[:4] == (7, 700, 300, 100)
    assert load(acme, csv_of(rows, header), mapping).tally.duplicates == 7


def test_shares_are_as_even_as_whole_tokens_allow() -> None:
    event = UsageEvent(event_id="e", occurred_at=NOW, model="m", usage=Usage(input=11, cache_read=4, output=2))
    shares = [one.usage for one in spread(event, 4)]
    assert [u and u.input for u in shares] == [3, 3, 3, 2]
    assert [u and u.cache_read for u in shares] == [1, 1, 1, 1]
    assert [u and u.output for u in shares] == [1, 1, 0, 0]


# ── Dry runs ──


def test_a_dry_run_says_what_a_run_does_and_does_nothing(acme: Organization, prices: None) -> None:
    rows = [*some_rows(50), *some_rows(10), "2026-11-01T10:00:00Z,gpt-4o,x,1,0,"]
    content = csv_of(rows)
    load(acme, csv_of(some_rows(20)))
    before = stored(acme)
    with organization_scope(acme.id):
        rehearsal = Rehearsal(acme.id, NOW)
    rehearsed = load(acme, content, store=rehearsal, batch_events=15)
    assert stored(acme) == before
    with organization_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metering_event_key")
        assert cursor.fetchone() == (20,)
    done = load(acme, content, batch_events=15)
    assert rehearsed.tally == done.tally
    assert rehearsed.tally.created == 40
    assert rehearsed.problems == done.problems


def test_a_dry_run_finds_repeated_ids_in_the_file(acme: Organization) -> None:
    header = "id,timestamp,model,prompt_tokens"
    rows = [f"{name},2026-11-01T10:00:00Z,gpt-4o,{tokens}" for name, tokens in (("a", 1), ("b", 1), ("a", 1), ("a", 2))]
    mapping = propose(header.split(",")).mapping
    tally = load(acme, csv_of(rows, header), mapping, store=Rehearsal(acme.id, NOW), batch_events=1).tally
    assert (tally.created, tally.duplicates, tally.conflicts) == (2, 1, 1)
    assert tally == load(acme, csv_of(rows, header), mapping, batch_events=1).tally


def test_members_and_chats_are_found(acme: Organization, alice: User) -> None:
    row = {
        "id": "e1",
        "occurred_at": "2026-11-01T10:00:00Z",
        "model": "m",
        "usage": {"input": 3},
        "user": "Alice@acme.test",
        "chat": {"id": "c1", "title": "Plan"},
        "tags": {"env": "prod"},
    }
    content, mapping = msgspec.json.encode(row), propose(list(row), [row]).mapping
    assert load(acme, content, mapping).tally.created == 1
    with organization_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT member_id <> 0, chat, tags ->> 'env' FROM metering_event")
        assert cursor.fetchall() == [(True, "c1", "prod")]
        cursor.execute("SELECT chat, title, requests FROM metering_usage_chat")
        assert cursor.fetchall() == [("c1", "Plan", 1)]

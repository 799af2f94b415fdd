"""Requests share transactions; a row that cannot be stored is its own request's misfortune."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from accounts.models import Organization
from core.periods import LocalClock
from metering import pipeline
from metering.directory import Directory, learn
from metering.events import Usage, UsageEvent
from metering.group_commit import StorageUnavailableError, UnstorableError
from metering.pricing.book import PriceBook
from metering.recorder import Recorder
from metering.store.base import Outcome, StoredEvent
from metering.store.postgres import StaleClockError
from metering.store.rebuild import ENTER_ALONE
from metering.store.steps import run
from tests.metering.door import as_database_owner, day_total, select, stored_ids

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


class Rows:
    """Makes rows of an organization."""

    def __init__(self, organization: Organization) -> None:
        self.directory = Directory.load(organization.id)
        self._book = PriceBook([])

    def __call__(self, *names: str) -> list[StoredEvent]:
        events = [
            UsageEvent(event_id=name, occurred_at=NOW, model="m", usage=Usage(input=1), body_hash=b"h" * 16)
            for name in names
        ]
        while True:
            try:
                rated = pipeline.rate(events, self.directory, self._book, pipeline.Sender(), NOW)
                return [one.row for one in rated if one.row is not None]
            except pipeline.UnknownLabelsError as error:
                with transaction.atomic():
                    connection.ensure_connection()
                    self.directory.remember(
                        run(connection.connection, learn(self.directory.organization_id, error.labels))
                    )


@pytest.fixture
def rows(transactional_db: None, acme: Organization) -> Iterator[Rows]:
    return Rows(acme)


def with_recorder(act: Callable[[Recorder], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        recorder = Recorder()
        await recorder.start()
        try:
            return await act(recorder)
        finally:
            await recorder.stop()

    return asyncio.run(main())


def test_concurrent_requests_share_transactions(acme: Organization, rows: Rows) -> None:
    requests = [rows(f"e{n}") for n in range(200)]

    async def act(recorder: Recorder) -> list[Any]:
        return await asyncio.gather(*(recorder.commits.append(one, rows.directory.clock) for one in requests))

    answers = with_recorder(act)
    assert {answer[0].outcome for answer in answers} == {Outcome.CREATED}
    ((events, transactions),) = select(acme, "SELECT count(*), count(DISTINCT xmin::text) FROM metering_event")
    assert events == 200
    assert transactions <= 4
    assert day_total(acme)[0] == 200


def test_a_lone_request_waits_for_nobody(acme: Organization, rows: Rows) -> None:
    requests = [rows(f"e{n}") for n in range(5)]

    async def act(recorder: Recorder) -> None:
        for one in requests:
            await recorder.commits.append(one, rows.directory.clock)

    with_recorder(act)
    assert select(acme, "SELECT count(DISTINCT xmin::text) FROM metering_event") == [(5,)]


def test_an_unstorable_row_fails_only_its_own_request(acme: Organization, rows: Rows) -> None:
    def spoiled(name: str, **fields: Any) -> list[StoredEvent]:
        return [*rows(f"{name}-good"), *(msgspec.structs.replace(row, **fields) for row in rows(name))]

    requests = {
        "first": rows("first"),
        "refused by the database": spoiled("bad1", detail=b"\x01{not json"),
        "a number too large for its column": spoiled("bad2", cost_nanos=2**70),
        "a partition that is not there": spoiled("bad3", occurred_at=-(10**15)),
        "last": rows("last"),
    }

    async def act(recorder: Recorder) -> list[Any]:
        clock = rows.directory.clock
        return await asyncio.gather(
            *(recorder.commits.append(one, clock) for one in requests.values()), return_exceptions=True
        )

    answers = dict(zip(requests, with_recorder(act), strict=True))
    failed = {name for name, answer in answers.items() if isinstance(answer, UnstorableError)}
    assert failed == set(list(requests)[1:4])
    assert stored_ids(acme) == ["first", "last"]
    assert day_total(acme)[0] == 2


def test_organizations_and_clocks_in_one_group(acme: Organization, globex: Organization, rows: Rows) -> None:
    """Rows placed by an old clock are turned away alone, also when the same organization has newer ones waiting."""
    theirs = Rows(globex)
    old_clock = LocalClock(ZoneInfo("Asia/Kathmandu"))
    work = [(rows("a"), rows.directory.clock), (rows("b"), old_clock), (rows("c"), rows.directory.clock),
            (theirs("d"), theirs.directory.clock), (theirs("e"), old_clock)]  # fmt: skip

    async def act(recorder: Recorder) -> list[Any]:
        return await asyncio.gather(*(recorder.commits.append(*one) for one in work), return_exceptions=True)

    answers = with_recorder(act)
    assert [isinstance(answer, StaleClockError) for answer in answers] == [False, True, False, False, True]
    assert (stored_ids(acme), stored_ids(globex)) == (["a", "c"], ["d"])


def test_a_locked_organization_keeps_nobody_else_waiting(
    acme: Organization, globex: Organization, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metering.recorder.SESSION", "-c lock_timeout=200ms")
    theirs = Rows(globex)
    clock = rows.directory.clock
    work = [(rows("a"), clock), (theirs("b"), theirs.directory.clock), (rows("c"), clock)]

    async def act(recorder: Recorder) -> list[Any]:
        return await asyncio.gather(*(recorder.commits.append(*one) for one in work), return_exceptions=True)

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ENTER_ALONE, [f"{{{acme.id}}}", acme.id])
        # Elsewhere, while this connection holds the lock.
        with ThreadPoolExecutor(1) as thread:
            answers = thread.submit(with_recorder, act).result()
    assert [isinstance(answer, StorageUnavailableError) for answer in answers] == [True, False, True]
    assert (stored_ids(acme), stored_ids(globex)) == ([], ["b"])


def test_stopping_answers_everybody_and_takes_nobody_new(acme: Organization, rows: Rows) -> None:
    requests = [rows(*(f"{n}-{m}" for m in range(500))) for n in range(20)]
    one_more = rows("one more")

    async def act(recorder: Recorder) -> tuple[list[Any], Any]:
        waiting = [asyncio.create_task(recorder.commits.append(one, rows.directory.clock)) for one in requests]
        await asyncio.sleep(0.005)
        stopping = asyncio.create_task(recorder.commits.stop())
        await asyncio.sleep(0)
        refused = await asyncio.gather(recorder.commits.append(one_more, rows.directory.clock), return_exceptions=True)
        await stopping
        assert all(task.done() for task in waiting)
        return await asyncio.gather(*waiting), refused[0]

    answers, refused = with_recorder(act)
    assert sum(len(answer) for answer in answers) == 10_000
    assert isinstance(refused, StorageUnavailableError)
    assert day_total(acme)[0] == 10_000


def test_who_goes_away_before_its_turn_is_not_written(acme: Organization, rows: Rows) -> None:
    requests = [rows(f"e{n}") for n in range(3)]

    async def act(recorder: Recorder) -> None:
        tasks = [asyncio.create_task(recorder.commits.append(one, rows.directory.clock)) for one in requests]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with_recorder(act)
    assert stored_ids(acme) == ["e0", "e2"]


def test_a_deadlock_with_somebody_else_is_tried_again(acme: Organization, rows: Rows) -> None:
    """Somebody takes locks in another order than writers do, and PostgreSQL ends the writer, who waited first."""
    first, second = rows("e0"), rows("e1")
    clock = rows.directory.clock

    async def act(recorder: Recorder) -> Any:
        await recorder.commits.append(first, clock)
        async with await psycopg.AsyncConnection.connect(recorder.keyring._conninfo) as rude:
            await rude.execute(f"SELECT set_config('tokenledger.organizations', '{{{acme.id}}}', true)")
            await rude.execute("SELECT FROM metering_usage_day WHERE kind = 0 FOR UPDATE")
            writing = asyncio.create_task(recorder.commits.append(second, clock))
            await asyncio.sleep(0.2)
            await rude.execute("SELECT FROM metering_usage_hour FOR UPDATE")
            await rude.rollback()
            return await writing

    (answer,) = with_recorder(act)
    assert answer.outcome is Outcome.CREATED
    assert day_total(acme)[0] == 2


def test_connections_that_died_idle_are_not_the_requests_problem(acme: Organization, rows: Rows) -> None:
    """After a restart of the database every pooled connection is dead, and nobody has noticed."""
    first, second = rows("e0"), rows("e1")
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"

    async def act(recorder: Recorder) -> Any:
        await recorder.commits.append(first, rows.directory.clock)
        with as_database_owner() as owner:
            assert len(owner.execute(kill, [settings.DATABASES["default"]["NAME"]]).fetchall()) >= 2
        return await asyncio.gather(*(recorder.commits.append(one, rows.directory.clock) for one in (second, first)))

    connection.close()
    answers = with_recorder(act)
    assert [answer[0].outcome for answer in answers] == [Outcome.CREATED, Outcome.DUPLICATE]
    assert day_total(acme)[0] == 2

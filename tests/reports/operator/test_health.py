"""Health and queue: real readings of the engines, the broker and the disk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.utils.timezone import now

from accounts.models import Organization
from core import task_queue
from core.task_queue import Failure, note_failure, note_tick, read_queue
from core.tasks import heartbeat
from metering.gateway.gateway import SPOOL_FOLDER
from metering.gateway.spool import Debt, Spool, read_backlog
from metering.pipeline import Sender
from metering.tasks import follow_zones
from reports.operator.health import Reading
from tests.metering.query.usage import make_event

pytestmark = pytest.mark.django_db
HEALTH, QUEUE = "/operator/health/", "/operator/queue/"
NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def clean_broker() -> Iterator[None]:
    names = ("tl:tasks:beat", "tl:tasks:worker", "tl:tasks:failed", "unacked", settings.CELERY_TASK_DEFAULT_QUEUE)
    with task_queue.client() as broker:
        broker.delete(*names)
        yield
        broker.delete(*names)


def readings(client: Client) -> dict[str, Reading]:
    groups = client.get(HEALTH).context["groups"]
    return {one.label: one for _, found in groups for one in found}


@pytest.mark.parametrize("person", ["alice", "bob", "charlie"])
def test_nobody_else_learns_that_it_exists(person: str, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    assert {client.get(address).status_code for address in (HEALTH, QUEUE)} == {404}


def test_engines_answer(olga_client: Client) -> None:
    found = readings(olga_client)
    assert found["PostgreSQL"].state == found["Redis"].state == "ok"
    assert found["PostgreSQL"].value[0].isdigit()
    assert "connections" in found["PostgreSQL"].detail
    assert found["Partitions"].state == "ok"
    assert found["Ingestion lag"].value == "0 s"


def test_silence_of_beat_and_workers_is_critical(olga_client: Client) -> None:
    found = readings(olga_client)
    assert (found["Beat"].state, found["Worker"].state) == ("critical", "critical")
    assert found["Beat"].value == "Never heard of"


def test_a_heartbeat_is_a_sign_of_both(olga_client: Client) -> None:
    note_tick(sender="core.heartbeat")
    note_tick(sender="another.task")
    heartbeat()
    found = readings(olga_client)
    assert (found["Beat"].state, found["Worker"].state) == ("ok", "ok")


@pytest.mark.parametrize(("age", "state"), [(60, "ok"), (120, "warning"), (600, "critical")])
def test_a_worker_that_fell_silent(olga_client: Client, age: int, state: str) -> None:
    with task_queue.client() as broker:
        broker.set("tl:tasks:worker", (now() - dt.timedelta(seconds=age)).isoformat())
    assert readings(olga_client)["Worker"].state == state


def test_tasks_that_wait_are_counted_by_name(olga_client: Client) -> None:
    # Tests enqueue into memory; these go to the broker that workers read.
    url = urlsplit(settings.REDIS_URL)
    socket = f"redis+socket://{url.path}?virtual_host={dict(parse_qsl(url.query)).get('db', '0')}"
    with follow_zones.app.connection(socket if url.scheme == "unix" else settings.REDIS_URL) as real:
        follow_zones.apply_async(connection=real)
        follow_zones.apply_async(connection=real)
    state = read_queue()
    assert (state.waiting_total, state.waiting) == (2, {"metering.follow_zones": 2})
    page = olga_client.get(QUEUE)
    assert page.context["rows"] == [("metering.follow_zones", 2, 0)]


def test_failures_are_noted_without_what_the_task_was_called_with(olga_client: Client) -> None:
    note_failure(sender=follow_zones, task_id="t1", exception=ValueError("no such zone"), args=["secret"])
    (failure,) = read_queue().failures
    assert (failure.name, failure.error) == ("metering.follow_zones", "ValueError: no such zone")
    text = olga_client.get(QUEUE).content.decode()
    assert "no such zone" in text
    assert "secret" not in text
    assert readings(olga_client)["Failed tasks"].state == "warning"


def test_old_failures_are_left_out() -> None:
    long_ago = Failure("a", "1", now() - dt.timedelta(days=8), "x")
    late = Failure("b", "2", now() - dt.timedelta(days=1), "x")
    assert task_queue.recent([late, long_ago], now() - dt.timedelta(days=7)) == [late]


@override_settings(REDIS_URL=NOBODY)
def test_without_redis_both_pages_say_so(olga_client: Client) -> None:
    assert readings(olga_client)["Redis"].state == "critical"
    page = olga_client.get(QUEUE)
    assert page.status_code == 200
    assert b"The queue cannot be read" in page.content


@override_settings(REDIS_URL=NOBODY)
def test_what_cannot_be_noted_ends_no_task() -> None:
    note_tick(sender="core.heartbeat")
    note_failure(sender=follow_zones, task_id="t1", exception=ValueError("x"))
    heartbeat()


def test_what_the_gateway_owes_is_lag(olga_client: Client, acme: Organization, tmp_path: Path) -> None:
    with override_settings(DATA_DIR=tmp_path):
        spool = Spool(tmp_path / SPOOL_FOLDER)
        spool.open("test")
        old = make_event("late", now() - dt.timedelta(minutes=20), "gpt-4o")
        spool.owe(
            Debt(acme.pk, Sender(), old, is_open=False),
            Debt(acme.pk, Sender(), make_event("running", now(), "gpt-4o"), is_open=True),
        )
        found = readings(olga_client)["Ingestion lag"]
        assert found.state == "critical"
        assert found.detail.startswith("1 answered calls wait")
        backlog = read_backlog(tmp_path / SPOOL_FOLDER)
        assert (backlog.waiting, backlog.under_way, backlog.unreadable) == (1, 1, 0)
        assert backlog.oldest_at == old.occurred_at
        spool.close()


def test_a_journal_that_was_put_aside_needs_somebody(olga_client: Client, tmp_path: Path) -> None:
    folder = tmp_path / SPOOL_FOLDER / "test"
    folder.mkdir(parents=True)
    (folder / "1.unreadable").write_bytes(b"?")
    (folder / "2.journal").write_bytes(b"cut")
    with override_settings(DATA_DIR=tmp_path):
        assert readings(olga_client)["Unreadable journals"].value == "1"


def test_unpriced_models_are_counted(olga_client: Client, usage: None) -> None:
    found = readings(olga_client)["Unpriced models"]
    assert (found.value, found.state) == ("1", "warning")
    assert found.detail == "15 tokens in 30 days are in no cost"

"""Whether the installation is well: its engines, its workers, its disk, and what it meters."""

from __future__ import annotations

import datetime as dt
import platform
import shutil
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import msgspec
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.utils.timezone import now
from django.views.decorators.http import require_GET

from core import figures as words
from core.periods import next_month
from core.task_queue import HEARTBEAT_SECONDS, QueueState, client, read_queue, recent
from metering.condition import Condition, read_condition
from metering.pricing.catalogue import source
from reports.operator.access import operator_only

# A version is neither well nor ill.
OK, WARNING, CRITICAL, PLAIN = "ok", "warning", "critical", "plain"
# Beat and workers say that they live every 30 seconds.
LATE, GONE = dt.timedelta(seconds=3 * HEARTBEAT_SECONDS), dt.timedelta(seconds=10 * HEARTBEAT_SECONDS)
LONG_QUEUE = 1_000
LOW_DISK, FULL_DISK = 0.10, 0.03
FAILURES_SHOWN = dt.timedelta(days=7)


class Reading(msgspec.Struct, frozen=True):
    """One thing that was looked at: what it is, how it is (ok, warning, critical, or plain), and what that means."""

    label: str
    value: str
    state: str = OK
    detail: str = ""


@require_GET
@operator_only
def health(request: HttpRequest) -> HttpResponseBase:
    at = now()
    queue = _queue_or_none()
    condition = read_condition(at)
    groups = [
        ("Engines", [database(), broker(), disk()]),
        ("Workers", workers(queue, at)),
        ("Metering", metering(condition, at)),
        ("Versions", versions()),
    ]
    worst = [one for _, readings in groups for one in readings if one.state in (WARNING, CRITICAL)]
    context = {"page": {"title": "Health", "at": at}, "groups": groups, "worst": worst}
    return render(request, "operator/health.html", context)


@require_GET
@operator_only
def tasks(request: HttpRequest) -> HttpResponseBase:
    """What waits for workers, what they are at, and what failed in the last week."""
    at = now()
    queue = _queue_or_none()
    context: dict[str, Any] = {"page": {"title": "Queue", "at": at}, "queue": queue}
    if queue is not None:
        names = dict.fromkeys((*queue.waiting, *queue.taken))
        context["rows"] = [(name, queue.waiting.get(name, 0), queue.taken.get(name, 0)) for name in names]
        context["failures"] = recent(queue.failures, at - FAILURES_SHOWN)
        context["readings"] = workers(queue, at)
    return render(request, "operator/queue.html", context)


def _queue_or_none() -> QueueState | None:
    try:
        return read_queue()
    except redis.RedisError:
        return None


# ── Readings ──


def _timed(ask: Callable[[], Any]) -> tuple[Any, int]:
    started = time.perf_counter()
    answer = ask()
    return answer, round((time.perf_counter() - started) * 1000)


def database() -> Reading:
    def ask() -> tuple[str, int, int, int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('server_version'), pg_database_size(current_database()),"
                " (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),"
                " current_setting('max_connections')::int"
            )
            row: tuple[str, int, int, int] = cursor.fetchone()
            return row

    (release, size, connections, most), took = _timed(ask)
    state = WARNING if connections > most * 0.8 else OK
    detail = f"{filesizeformat(size)}, {connections} of {most} connections, answered in {took} ms"
    return Reading("PostgreSQL", release.split()[0], state, detail)


def broker() -> Reading:
    def ask() -> dict[str, Any]:
        with client() as server:
            return dict(server.info())

    try:
        info, took = _timed(ask)
    except redis.RedisError as error:
        return Reading("Redis", "Cannot be reached", CRITICAL, f"{error}. Rates are not counted, tasks wait.")
    return Reading("Redis", info["redis_version"], OK, f"{info['used_memory_human']} of memory, answered in {took} ms")


def disk() -> Reading:
    try:
        usage = shutil.disk_usage(settings.DATA_DIR)
    except OSError as error:
        return Reading("Disk of the data directory", "Cannot be read", CRITICAL, str(error))
    free = usage.free / usage.total
    state = CRITICAL if free < FULL_DISK else WARNING if free < LOW_DISK else OK
    return Reading(
        "Disk of the data directory",
        f"{filesizeformat(usage.free)} free",
        state,
        f"of {filesizeformat(usage.total)}, at {settings.DATA_DIR}",
    )


def workers(queue: QueueState | None, at: dt.datetime) -> list[Reading]:
    if queue is None:
        return [Reading("Task queue", "Unknown", CRITICAL, "Redis cannot be reached.")]
    failed = recent(queue.failures, at - dt.timedelta(days=1))
    taken = sum(queue.taken.values())
    return [
        _sign_of_life("Beat", queue.beat_at, at, "Nothing is sent on time: start the beat process."),
        _sign_of_life("Worker", queue.worker_at, at, "Tasks are not done: start a worker."),
        Reading(
            "Waiting tasks",
            words.count(queue.waiting_total),
            WARNING if queue.waiting_total > LONG_QUEUE else OK,
            f"{words.count(taken)} under way",
        ),
        Reading("Failed tasks", words.count(len(failed)), WARNING if failed else OK, "in 24 hours"),
    ]


def _sign_of_life(label: str, last: dt.datetime | None, at: dt.datetime, meaning: str) -> Reading:
    if last is None:
        return Reading(label, "Never heard of", CRITICAL, meaning)
    age = at - last
    state = CRITICAL if age > GONE else WARNING if age > LATE else OK
    return Reading(label, f"{words.duration(age)} ago", state, "last sign of life" if state == OK else meaning)


def metering(condition: Condition, at: dt.datetime) -> list[Reading]:
    return [
        *_backlog(condition, at),
        Reading("Newest event", _ago(condition.last_event_at, at), OK, "by the time of the call"),
        Reading(
            "Holds",
            f"{words.count(condition.holds.open)} open",
            WARNING if condition.holds.expired else OK,
            f"{words.count(condition.holds.expired)} should have been given up"
            if condition.holds.expired
            else "none is overdue",
        ),
        _months(condition, at),
        Reading(
            "Unpriced models",
            words.count(condition.unpriced.models),
            WARNING if condition.unpriced.models else OK,
            f"{words.tokens(condition.unpriced.tokens)} tokens in 30 days are in no cost"
            if condition.unpriced.models
            else "every call of 30 days has a price",
        ),
    ]


def _backlog(condition: Condition, at: dt.datetime) -> list[Reading]:
    """Doors answer after the commit, so only the gateway's journal can be behind."""
    backlog = condition.backlog
    if backlog is None:
        return [Reading("Ingestion lag", "Unknown", CRITICAL, "The gateway’s journals cannot be read.")]
    lag = at - backlog.oldest_at if backlog.oldest_at else dt.timedelta()
    state = CRITICAL if lag > dt.timedelta(minutes=10) else WARNING if lag > dt.timedelta(minutes=1) else OK
    found = [
        Reading(
            "Ingestion lag",
            words.duration(lag) if lag else "0 s",
            state,
            f"{words.count(backlog.waiting)} answered calls wait on this machine’s disk for the database, "
            f"{words.count(backlog.under_way)} under way",
        )
    ]
    if backlog.unreadable:
        found.append(
            Reading(
                "Unreadable journals", words.count(backlog.unreadable), CRITICAL, "kept aside for people to look at"
            )
        )
    return found


def _months(condition: Condition, at: dt.datetime) -> Reading:
    months = condition.months
    if months is None:
        return Reading("Partitions", "None", CRITICAL, "No month has a place for events: run migrate.")
    has_next = months.last >= next_month(at.date())
    return Reading(
        "Partitions",
        f"{words.count(months.count)} months",
        OK if has_next else WARNING,
        f"{months.first:%b %Y} to {months.last:%b %Y}" + ("" if has_next else "; next month has none yet"),
    )


def product_version() -> str:
    """As the project file beside the code says it: the code runs from its tree and is no installed package."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    return str(tomllib.loads(project.read_text())["project"]["version"])


def versions() -> list[Reading]:
    return [
        Reading("Tokenledger", product_version(), PLAIN),
        Reading("Python", platform.python_version(), PLAIN),
        Reading("Django", django.get_version(), PLAIN),
        Reading("Price catalogue", source(), PLAIN),
    ]


def _ago(moment: dt.datetime | None, at: dt.datetime) -> str:
    return "—" if moment is None else f"{words.duration(max(at - moment, dt.timedelta()))} ago"

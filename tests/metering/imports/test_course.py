"""An uploaded file on its way through the tasks, also when a worker dies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.utils.timezone import now

from accounts.audit import Actor
from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering import tasks
from metering.imports import course, run
from metering.imports.recognize import propose
from metering.imports.records import KEPT_PROBLEMS, KeptFile, create_import, keep_file
from metering.imports.tally import RowProblem, Tally
from metering.models import ImportChunk, ImportProblem, ImportStatus, UsageImport
from tests.metering.imports.test_run import HEADER, csv_of, some_rows, stored

MAPPING = msgspec.to_builtins(propose(HEADER.split(",")).mapping)


def upload(organization: Organization, content: bytes, status: ImportStatus = ImportStatus.RUNNING) -> UsageImport:
    with organization_scope(organization.id):
        record = create_import(
            organization,
            "calls.csv",
            len(content),
            by=Actor.of_command("test"),
            status=status,
            mapping=MAPPING,
            worker="w",
        )
        keep_file(record, [content[:5], content[5:]])
    return record


def fresh(record: UsageImport) -> UsageImport:
    with organization_scope(record.organization_id):
        return UsageImport.objects.get(pk=record.pk)


def test_kept_files_come_back_as_they_were(acme: Organization) -> None:
    content = bytes(range(256)) * 10_000
    record = upload(acme, content)
    with organization_scope(acme.id):
        assert ImportChunk.objects.filter(usage_import=record).count() == 3
    file = KeptFile(record)
    assert b"".join(iter(lambda: file.read(100_000), b"")) == content


def test_a_check_forecasts_and_a_run_fulfils(acme: Organization, prices: None) -> None:
    record = upload(acme, csv_of([*some_rows(40), "x,gpt-4o,1,1,0,"]), ImportStatus.CHECKING)
    tasks.check_import(acme.id, record.pk)
    checked = fresh(record)
    assert (checked.status, checked.forecast["created"], checked.forecast["invalid"]) == (ImportStatus.CHECKED, 40, 1)
    assert stored(acme)[0] == 0
    with organization_scope(acme.id):
        assert ImportProblem.objects.get().row == 42
        UsageImport.objects.update(status=ImportStatus.RUNNING, rows_done=0, bytes_done=0)
        ImportProblem.objects.all().delete()
    tasks.run_import(acme.id, record.pk)
    done = fresh(record)
    assert (done.status, done.tally) == (ImportStatus.FINISHED, checked.forecast)
    assert done.finished_at is not None
    assert stored(acme)[0] == 40
    with organization_scope(acme.id):
        assert not ImportChunk.objects.exists()
        assert ImportProblem.objects.count() == 1


def test_a_task_that_comes_twice_does_nothing_the_second_time(acme: Organization) -> None:
    record = upload(acme, csv_of(some_rows(10)))
    tasks.run_import(acme.id, record.pk)
    tasks.run_import(acme.id, record.pk)
    assert fresh(record).tally["created"] == 10


def test_a_killed_worker_is_followed_by_one_that_goes_on(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "BATCH_EVENTS", 15)
    monkeypatch.setattr(
        run.Importer.__init__, "__kwdefaults__", {**run.Importer.__init__.__kwdefaults__, "batch_events": 15}
    )
    rows = some_rows(60)
    record = upload(acme, csv_of([*rows, *rows]))
    honest, batches = course.RecordJournal.advance, []

    def dying(self: Any, rows_done: int, bytes_done: int, tally: Tally, problems: Sequence[RowProblem]) -> None:
        honest(self, rows_done, bytes_done, tally, problems)
        batches.append(rows_done)
        if len(batches) == 3:
            raise SystemExit  # after the batch, before its commit

    monkeypatch.setattr(course.RecordJournal, "advance", dying)
    with pytest.raises(SystemExit):
        tasks.run_import(acme.id, record.pk)
    assert (fresh(record).rows_done, stored(acme)[0]) == (31, 30)
    with unscoped("test"):
        assert course.stalled() == []
        UsageImport.objects.update(advanced_at=now() - dt.timedelta(minutes=5))
        assert course.stalled() == [(acme.id, record.pk, "running")]
    tasks.run_import(acme.id, record.pk)
    done = fresh(record)
    assert (done.status, done.tally["rows"], done.tally["created"], done.tally["duplicates"]) == (
        "finished",
        120,
        120,
        0,
    )
    assert stored(acme)[0] == 120


def test_a_killed_commands_import_ends(acme: Organization) -> None:
    record = upload(acme, b"")
    with unscoped("test"):
        UsageImport.objects.update(advanced_at=now() - dt.timedelta(minutes=5))
        assert course.stalled() == []
    assert (fresh(record).status, fresh(record).problem[:17]) == (ImportStatus.FAILED, "The command ended")


def test_a_worker_that_was_thought_dead_gives_up(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    record = upload(acme, csv_of(some_rows(10)))
    honest = course.RecordJournal.advance

    def overtaken(self: Any, *arguments: Any) -> None:
        UsageImport.objects.filter(pk=record.pk).update(worker="another")
        honest(self, *arguments)

    monkeypatch.setattr(course.RecordJournal, "advance", overtaken)
    tasks.run_import(acme.id, record.pk)
    assert fresh(record).status == ImportStatus.RUNNING
    assert stored(acme)[0] == 0


def test_a_file_that_breaks_off_fails_and_says_where(acme: Organization) -> None:
    record = upload(acme, csv_of(some_rows(3)) + b'"' + b"x" * (3 << 20))
    tasks.run_import(acme.id, record.pk)
    failed = fresh(record)
    assert (failed.status, failed.tally["created"]) == (ImportStatus.FAILED, 3)
    assert "longer than" in failed.problem


def test_the_first_problems_are_kept_and_all_are_counted(acme: Organization) -> None:
    record = upload(acme, csv_of(["x,gpt-4o,1,1,0,"] * (KEPT_PROBLEMS + 5)))
    tasks.run_import(acme.id, record.pk)
    assert fresh(record).tally["invalid"] == KEPT_PROBLEMS + 5
    with organization_scope(acme.id):
        assert ImportProblem.objects.count() == KEPT_PROBLEMS


def test_old_uploads_are_forgotten(acme: Organization) -> None:
    record = upload(acme, csv_of(some_rows(3)), ImportStatus.CHECKED)
    with unscoped("test"):
        assert course.forget_old_uploads() == 0
        UsageImport.objects.update(created_at=now() - dt.timedelta(days=8))
    tasks.resume_imports()
    with organization_scope(acme.id):
        assert not ImportChunk.objects.exists()
    assert fresh(record).status == ImportStatus.CHECKED


def test_uploads_are_invisible_to_others(acme: Organization, globex: Organization) -> None:
    record = upload(acme, b"model\nsecret\n")
    with organization_scope(globex.id), connection.cursor() as cursor:
        for table in ("metering_usageimport", "metering_importchunk", "metering_importproblem"):
            cursor.execute(f"SELECT count(*) FROM {table}")
            assert cursor.fetchone() == (0,)
    tasks.run_import(globex.id, record.pk)
    assert fresh(record).tally == {}

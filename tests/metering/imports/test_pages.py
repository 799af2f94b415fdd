"""The pages of an import: upload, mapping, dry run, import, history."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization, Project
from core.tenancy import organization_scope, unscoped
from metering import forms, tasks
from metering.models import ImportChunk, ImportStatus, UsageImport
from tests.metering.imports.test_run import stored

INDEX = "/o/acme/settings/import/"
ROWS = "time,engine,prompt_tokens,completion_tokens,note\n" + "".join(
    f"2026-11-0{n}T10:00:00Z,gpt-4o,{n}00,{n},=cmd()\n" for n in range(1, 6)
)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the pages enqueue."""
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tasks, "enqueue", lambda task, *arguments: sent.append((task, *arguments)))
    return sent


@pytest.fixture
def upload(alice_client: Client, queue: list[tuple[Any, ...]]) -> Callable[..., UsageImport]:
    def act(content: str | bytes = ROWS, name: str = "calls.csv") -> UsageImport:
        body = content.encode() if isinstance(content, str) else content
        response = alice_client.post(INDEX, {"file": SimpleUploadedFile(name, body)})
        assert response.status_code == 302, response.content.decode()
        return fetch(int(response["location"].rstrip("/").rpartition("/")[2]))

    return act


def fetch(pk: int) -> UsageImport:
    with unscoped("test"):
        return UsageImport.objects.get(pk=pk)


def mapped(client: Client, record: UsageImport, **changes: str) -> Any:
    """Submit the mapping form as it is shown, with changes."""
    form = client.get(f"{INDEX}{record.pk}/?edit=1").context["form"]
    shown = {name: str(form[name].value() or "") for name in form.fields}
    for column, field in changes.items():
        place = form.columns.index(column) if column in form.columns else None
        shown[column if place is None else f"column_{place}"] = field
    return client.post(f"{INDEX}{record.pk}/", shown)


def run_queued(queue: list[tuple[Any, ...]]) -> None:
    task, *arguments = queue.pop()
    task(*arguments)


def test_from_upload_to_history(
    acme: Organization, prices: None, alice_client: Client, upload: Callable[..., UsageImport], queue: list[Any]
) -> None:
    record = upload()
    page = alice_client.get(f"{INDEX}{record.pk}/").content.decode()
    assert "usage.prompt_tokens" in page
    assert "2026-11-01T10:00:00Z" in page
    assert stored(acme)[0] == 0

    assert mapped(alice_client, record, note="tags.note").status_code == 302
    assert "Trying the file" in alice_client.get(f"{INDEX}{record.pk}/").content.decode()
    fragment = alice_client.get(f"{INDEX}{record.pk}/progress/")
    assert "hx-get" in fragment.content.decode()
    run_queued(queue)
    assert alice_client.get(f"{INDEX}{record.pk}/progress/")["HX-Refresh"] == "true"
    checked = alice_client.get(f"{INDEX}{record.pk}/").content.decode()
    assert "Import 5 calls" in checked
    assert stored(acme)[0] == 0

    assert alice_client.post(f"{INDEX}{record.pk}/start/").status_code == 302
    run_queued(queue)
    done = alice_client.get(f"{INDEX}{record.pk}/").content.decode()
    assert "What was added" in done
    assert stored(acme)[0] == 5
    history = alice_client.get(INDEX).content.decode()
    assert "calls.csv" in history
    assert "alice@acme.test" in history
    with organization_scope(acme.id):
        entry = AuditEntry.objects.get(action="usage.import")
        assert (entry.actor_label, entry.target_label) == ("alice@acme.test", "calls.csv")
        assert not ImportChunk.objects.exists()


def test_the_same_file_again_says_that_nothing_is_new(
    acme: Organization, alice_client: Client, upload: Callable[..., UsageImport], queue: list[Any]
) -> None:
    for content in (ROWS, gzip.compress(ROWS.encode())):
        record = upload(content)
        mapped(alice_client, record)
        run_queued(queue)
        alice_client.post(f"{INDEX}{record.pk}/start/")
        run_queued(queue)
    assert fetch(record.pk).tally["duplicates"] == 5
    third = upload()
    mapped(alice_client, third)
    run_queued(queue)
    page = alice_client.get(f"{INDEX}{third.pk}/").content.decode()
    assert "Nothing new is in this file." in page
    assert "/start/" not in page
    assert stored(acme)[0] == 5


def test_errors_are_listed_and_downloaded_without_formulas(
    acme: Organization, alice_client: Client, upload: Callable[..., UsageImport], queue: list[Any]
) -> None:
    record = upload("time,model,prompt_tokens\n2026-11-01,gpt-4o,=1+1\n2026-11-01,gpt-4o,3\n")
    mapped(alice_client, record)
    run_queued(queue)
    assert "This is no whole number." in alice_client.get(f"{INDEX}{record.pk}/").content.decode()
    response = alice_client.get(f"{INDEX}{record.pk}/errors.csv")
    lines = list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))  # type: ignore[attr-defined]
    assert [(line["row"], line["column"], line["value"]) for line in lines] == [("2", "prompt_tokens", "'=1+1")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "modle"}, "There is no field modle."),
        ({"engine": ""}, "No column gives the model."),
        ({"constants": "just words"}, "Write field = text"),
        ({"constants": "nonsense = 1"}, "There is no field nonsense."),
        ({"start": "soon"}, "This is no time."),
        ({"start": "2026-11-01"}, "needs its offset"),
        ({"zone_name": "Mars/Olympus"}, "Select a valid choice"),
        ({"project": "globex-secret"}, "Select a valid choice"),
        ({"only": "zz = 1"}, "The file has no column zz."),
    ],
)
def test_mappings_that_cannot_work_are_said_in_the_form(
    acme: Organization, alice_client: Client, upload: Callable[..., UsageImport], changes: dict[str, str], words: str
) -> None:
    record = upload()
    response = mapped(alice_client, record, **changes)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert fetch(record.pk).status == ImportStatus.UPLOADED


def test_a_mapping_has_everything_the_command_has(
    acme: Organization, website: Project, alice_client: Client, upload: Callable[..., UsageImport], queue: list[Any]
) -> None:
    record = upload("t_s,kind,in,out\n0.5,call,10,1\n1.5,span,,\n")
    response = mapped(
        alice_client, record, t_s="occurred_at", start="2026-11-01T00:00:00+01:00", project="website",
        constants="model = gpt-4o\ntags.from = {kind}", only="kind = call",
        **{"in": "usage.input", "out": "usage.output"},
    )  # fmt: skip
    assert response.status_code == 302
    run_queued(queue)
    checked = fetch(record.pk)
    assert (checked.forecast["created"], checked.forecast["skipped"], checked.project) == (1, 1, "website")
    assert checked.forecast["first_at"].startswith("2026-10-31T23:00:00.5")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"[1]", "JSON array"), (b"1,2\n", "name the columns"), (b"a,b\n", "no rows")],
)
def test_files_that_cannot_be_read_are_not_kept(
    acme: Organization, alice_client: Client, content: bytes, words: str
) -> None:
    response = alice_client.post(INDEX, {"file": SimpleUploadedFile("x.csv", content)})
    assert response.status_code == 422
    assert words in response.content.decode()
    with organization_scope(acme.id):
        assert not UsageImport.objects.exists()


def test_files_that_are_too_large_are_refused(
    acme: Organization, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "LARGEST_UPLOAD", 10)
    response = alice_client.post(INDEX, {"file": SimpleUploadedFile("x.csv", ROWS.encode())})
    assert response.status_code == 422
    assert "can be uploaded" in response.content.decode()


def test_an_upload_can_be_discarded_until_it_is_imported(
    acme: Organization, alice_client: Client, upload: Callable[..., UsageImport], queue: list[Any]
) -> None:
    record = upload()
    assert alice_client.post(f"{INDEX}{record.pk}/discard/")["location"] == INDEX
    with organization_scope(acme.id):
        assert not UsageImport.objects.exists()
    kept = upload()
    mapped(alice_client, kept)
    run_queued(queue)
    alice_client.post(f"{INDEX}{kept.pk}/start/")
    run_queued(queue)
    alice_client.post(f"{INDEX}{kept.pk}/discard/")
    assert fetch(kept.pk).status == ImportStatus.FINISHED


def test_nothing_starts_twice_or_unchecked(
    acme: Organization, alice_client: Client, upload: Callable[..., UsageImport], queue: list[Any]
) -> None:
    record = upload()
    alice_client.post(f"{INDEX}{record.pk}/start/")
    assert queue == []
    mapped(alice_client, record)
    assert mapped_again(alice_client, record) == 404
    run_queued(queue)
    alice_client.post(f"{INDEX}{record.pk}/start/")
    alice_client.post(f"{INDEX}{record.pk}/start/")
    assert len(queue) == 1


def mapped_again(client: Client, record: UsageImport) -> int:
    return client.post(f"{INDEX}{record.pk}/", {}).status_code


def test_an_import_that_lost_its_worker_says_so(
    acme: Organization, alice_client: Client, upload: Callable[..., UsageImport], queue: list[Any]
) -> None:
    record = upload()
    mapped(alice_client, record)
    with organization_scope(acme.id):
        UsageImport.objects.update(advanced_at=now().replace(year=2020))
    assert "Nothing has moved" in alice_client.get(f"{INDEX}{record.pk}/").content.decode()


def test_strangers_find_no_import(
    acme: Organization, charlie_client: Client, bob_client: Client, upload: Callable[..., UsageImport]
) -> None:
    record = upload()
    assert charlie_client.get(f"/o/globex/settings/import/{record.pk}/").status_code == 404
    assert charlie_client.get(f"{INDEX}{record.pk}/errors.csv").status_code == 404
    assert bob_client.get(INDEX).status_code == 403

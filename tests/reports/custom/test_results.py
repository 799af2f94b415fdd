"""Files that are made, kept, handed out in parts, and deleted in time."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from pathlib import Path

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Membership, Organization, TeamMembership, User
from accounts.permissions import Right
from core.errors import ApiError
from core.tenancy import organization_scope
from reports.custom import course, results, storage
from reports.models import Result, ResultState
from tests.cast import membership_of
from tests.reports.custom import making
from tests.reports.custom.making import wanted

CONTENT = "model,cost\n" + "gpt-4o,1\n" * 200


def asked(organization: Organization, by: User | None = None, **fields: object) -> Result:
    """One that is waiting for its worker."""
    membership = membership_of(by, organization) if by else None
    with organization_scope(organization.id):
        result = results.ask(organization, wanted(CONTENT), membership)
        Result.objects.filter(pk=result.pk).update(**fields)
    return again(result)


def made(organization: Organization, by: User | None = None, **fields: object) -> Result:
    result = asked(organization, by, **fields)
    course.make_result(organization.id, result.pk)
    return again(result)


def again(result: Result) -> Result:
    with organization_scope(result.organization_id):
        found: Result = Result.objects.get(pk=result.pk)
        return found


def address(result: Result) -> str:
    return f"/o/acme/reports/results/{result.pk}/file"


def status(client: Client, result: Result) -> int:
    response = client.get(address(result))
    if response.streaming:
        response.getvalue()
    return int(response.status_code)


def files_in(disk: Path) -> list[Path]:
    return [path for path in disk.glob("*/*/*") if path.is_file()]


# ── Being made ──


def test_a_file_is_made_once_and_is_private(acme: Organization, alice: User, disk: Path) -> None:
    result = made(acme, alice)
    assert result.state == ResultState.READY
    assert (result.rows_done, result.size_bytes) == (2, len(CONTENT))
    (path,) = files_in(disk)
    assert path.read_text() == CONTENT
    assert result.sha256 == hashlib.sha256(CONTENT.encode()).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.name) == 48
    course.make_result(acme.id, result.pk)
    assert [(result.pk, "ready")] == making.ENDED


def test_why_it_cannot_be_made_is_said(acme: Organization, disk: Path) -> None:
    with organization_scope(acme.id):
        result = results.ask(acme, wanted(unmakeable="There is no usage in that time."), None)
    course.make_result(acme.id, result.pk)
    failed = again(result)
    assert (failed.state, failed.problem) == (ResultState.FAILED, "There is no usage in that time.")
    assert [(result.pk, "failed")] == making.ENDED
    assert files_in(disk) == []


def test_a_mistake_is_tried_again_and_then_given_up(acme: Organization, disk: Path) -> None:
    with organization_scope(acme.id):
        result = results.ask(acme, wanted(broken=True), None)
    for attempt in range(1, course.MOST_ATTEMPTS):
        course.make_result(acme.id, result.pk)
        assert (again(result).state, again(result).attempts) == (ResultState.QUEUED, attempt)
    course.make_result(acme.id, result.pk)
    assert (again(result).state, again(result).problem) == (ResultState.FAILED, course.GIVEN_UP)
    assert files_in(disk) == []


def test_what_a_killed_worker_left_is_made_anew(acme: Organization, disk: Path) -> None:
    long_ago = now() - course.PATIENCE * 2
    result = asked(acme, state=ResultState.RUNNING, worker="killed", attempts=1, advanced_at=long_ago)
    half, strange = (storage.path_of(acme.id, f"{pk}-{'0' * 48}.part") for pk in (result.pk, result.pk + 1))
    half.parent.mkdir(parents=True)
    for path in (half, strange):
        path.write_text("model,co")
        os.utime(path, (0, 0))
    assert course.stalled(now()) == [(acme.id, result.pk)]
    assert course.stalled(now()) == []
    course.make_result(acme.id, result.pk)
    assert again(result).state == ResultState.READY
    assert (half.exists(), strange.exists()) == (False, True)
    assert course.sweep(now()) == 1
    assert [path.read_text() for path in files_in(disk)] == [CONTENT]


def test_one_that_kills_its_workers_is_given_up(acme: Organization) -> None:
    long_ago = now() - course.PATIENCE * 2
    fields = {"state": ResultState.RUNNING, "worker": "killed", "attempts": course.MOST_ATTEMPTS}
    result = asked(acme, advanced_at=long_ago, **fields)
    assert course.stalled(now()) == []
    assert again(result).state == ResultState.FAILED


def test_one_in_hand_is_left_to_its_worker(acme: Organization) -> None:
    result = asked(acme, state=ResultState.RUNNING, worker="another", attempts=1)
    assert course.stalled(now()) == []
    course.make_result(acme.id, result.pk)
    assert again(result).worker == "another"


@pytest.mark.parametrize("fields", [{"worker": "another"}, {"state": ResultState.CANCELED}])
def test_a_worker_that_lost_it_leaves_no_file(acme: Organization, disk: Path, fields: dict[str, str]) -> None:
    result = asked(acme)

    def meanwhile() -> None:
        with organization_scope(acme.id):
            Result.objects.filter(pk=result.pk).update(**fields)

    making.MEANWHILE.append(meanwhile)
    course.make_result(acme.id, result.pk)
    assert again(result).state != ResultState.READY
    assert files_in(disk) == []
    assert making.ENDED == []


def test_a_person_has_so_many_under_way(acme: Organization, alice: User) -> None:
    for _ in range(results.MOST_AT_ONCE):
        asked(acme, alice)
    with pytest.raises(ApiError, match="are being made"):
        asked(acme, alice)


# ── Deleted in time ──


def test_files_expire_and_the_page_says_so(acme: Organization, alice: User, alice_client: Client, disk: Path) -> None:
    result = made(acme, alice, title="Cost of October")
    with organization_scope(acme.id):
        Result.objects.update(expires_at=now() - dt.timedelta(seconds=1))
    course.expire(now())
    assert files_in(disk) == []
    assert again(result).state == ResultState.EXPIRED
    assert "is deleted" in alice_client.get(f"/o/acme/reports/results/{result.pk}/").content.decode()
    assert status(alice_client, result) == 410
    course.expire(now() + course.REMEMBERED)
    with organization_scope(acme.id):
        assert not Result.objects.exists()


# ── Handing out ──


def test_a_download_goes_on_where_it_broke_off(acme: Organization, alice: User, alice_client: Client) -> None:
    result = made(acme, alice)
    whole = alice_client.get(address(result))
    assert whole.status_code == 200
    assert whole.getvalue().decode() == CONTENT
    assert whole["ETag"] == f'"{result.sha256}"'
    assert whole["Content-Disposition"] == 'attachment; filename="acme-cost.csv"'
    rest = alice_client.get(address(result), headers={"Range": "bytes=100-", "If-Range": whole["ETag"]})
    assert rest.status_code == 206
    assert rest.getvalue().decode() == CONTENT[100:]
    assert rest["Content-Range"] == f"bytes 100-{len(CONTENT) - 1}/{len(CONTENT)}"
    other = alice_client.get(address(result), headers={"Range": "bytes=100-", "If-Range": '"another"'})
    assert (other.status_code, other.getvalue().decode()) == (200, CONTENT)
    assert alice_client.get(address(result), headers={"If-None-Match": whole["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    ("asked_for", "status", "first", "last"),
    [
        ("bytes=0-0", 206, 0, 0),
        ("bytes=-5", 206, len(CONTENT) - 5, len(CONTENT) - 1),
        ("bytes=10-999999", 206, 10, len(CONTENT) - 1),
        ("bytes=-999999", 206, 0, len(CONTENT) - 1),
        ("bytes=5-2", 200, 0, len(CONTENT) - 1),
        ("bytes=0-1,4-5", 200, 0, len(CONTENT) - 1),
        ("rows=0-1", 200, 0, len(CONTENT) - 1),
        ("bytes=-", 200, 0, len(CONTENT) - 1),
    ],
)
def test_ranges(
    acme: Organization, alice: User, alice_client: Client, asked_for: str, status: int, first: int, last: int
) -> None:
    response = alice_client.get(address(made(acme, alice)), headers={"Range": asked_for})
    assert response.status_code == status
    assert response.getvalue().decode() == CONTENT[first : last + 1]
    assert int(response["Content-Length"]) == last - first + 1
    with organization_scope(acme.id):
        assert AuditEntry.objects.filter(action="report.download").count() == (first == 0)


def test_a_range_behind_the_end(acme: Organization, alice: User, alice_client: Client) -> None:
    response = alice_client.get(address(made(acme, alice)), headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


def test_before_it_is_ready_there_is_no_file(acme: Organization, alice: User, alice_client: Client) -> None:
    result = asked(acme, alice)
    assert status(alice_client, result) == 409
    page = alice_client.get(f"/o/acme/reports/results/{result.pk}/").content.decode()
    assert 'hx-trigger="every 1s"' in page
    alice_client.post(f"/o/acme/reports/results/{result.pk}/cancel")
    assert again(result).state == ResultState.CANCELED


# ── Whose ──


def test_who_may_have_a_file(
    acme: Organization, alice_client: Client, bob: User, bob_client: Client, vera_client: Client,
    charlie_client: Client,
) -> None:  # fmt: skip
    clients = {"alice": alice_client, "bob": bob_client, "vera": vera_client, "charlie": charlie_client}

    def who(result: Result) -> set[str]:
        return {name for name, client in clients.items() if status(client, result) == 200}

    bobs = membership_of(bob, acme)
    assert who(made(acme)) == {"alice", "vera"}
    assert who(made(acme, of_member=bobs)) == {"alice", "bob", "vera"}
    assert who(made(acme, rights=[Right.SEE_KEYS.value])) == {"alice"}
    # Asked for while they saw everybody's, and no more.
    assert who(made(acme, bob)) == {"alice", "vera"}
    assert status(charlie_client, made(acme)) == 404


def test_a_teams_file_is_its_admins(acme: Organization, bob: User, bob_client: Client, search: object) -> None:
    result = made(acme, of_team=search)
    assert status(bob_client, result) == 404
    with organization_scope(acme.id):
        TeamMembership.objects.update_or_create(
            organization=acme, team=search, membership=membership_of(bob, acme), defaults={"is_admin": True}
        )
    assert status(bob_client, result) == 200


def test_who_cancels(acme: Organization, bob: User, vera_client: Client, fiona_client: Client) -> None:
    result = asked(acme, bob, of_member=membership_of(bob, acme))
    assert vera_client.post(f"/o/acme/reports/results/{result.pk}/cancel").status_code == 403
    assert fiona_client.post(f"/o/acme/reports/results/{result.pk}/cancel").status_code == 302
    assert again(result).state == ResultState.CANCELED


def test_a_person_who_left_has_nothing(acme: Organization, bob: User, bob_client: Client) -> None:
    result = made(acme, bob, of_member=membership_of(bob, acme))
    assert status(bob_client, result) == 200
    with organization_scope(acme.id):
        Membership.objects.filter(user=bob).update(ended_at=now())
    assert status(bob_client, result) == 404

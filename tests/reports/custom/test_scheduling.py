"""Schedules: run once when due, with their owner's rights of that moment, told to who may see it."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core import mail as mails
from django.db import connection
from django.utils.timezone import now

from accounts.audit import Actor
from accounts.models import Membership, Organization, Role, User
from alerts.models import Dispatch
from alerts.tasks import send_dispatch, spread_facts
from core.errors import ApiError
from core.facts import Fact
from core.tenancy import organization_scope
from reports.custom import course, records, scheduling
from reports.custom.making import LOST
from reports.models import CustomReport, ReportSchedule, Result, ResultState
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write

BY = Actor.of_command("test")
# Every Monday at 08:00 in Berlin.
CRON = "0 8 * * 1"


def due(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


MONDAY = due("2026-11-16T07:00")


def saved(organization: Organization, owner: User, *, is_shared: bool = False, **parameters: list[str]) -> CustomReport:
    membership = membership_of(owner, organization)
    with organization_scope(organization.pk):
        report = records.create_report(
            membership, "Cost by model", {"range": ["last-week"], "by": ["model"], **parameters},
            is_shared=is_shared, by=BY,
        )  # fmt: skip
    report.organization = organization
    return report


def scheduled(report: CustomReport, owner: User, *receivers: User, **fields: Any) -> ReportSchedule:
    """Due on MONDAY."""
    organization = report.organization
    membership = membership_of(owner, organization)
    ids = [membership_of(user, organization).pk for user in receivers or (owner,)]
    with organization_scope(organization.pk):
        schedule = scheduling.set_schedule(
            ReportSchedule(organization=organization, report=report),
            membership,
            {"file_format": "csv", "frequency": "weekly", "cron": CRON, "receivers": ids},
            by=BY,
        )
        ReportSchedule.objects.filter(pk=schedule.pk).update(**{"next_at": MONDAY, **fields})
    return schedule


def run(schedule: ReportSchedule, at: dt.datetime) -> Result | None:
    """As beat and a worker do it."""
    if (schedule.organization_id, schedule.pk) not in scheduling.due(at):
        return None
    result = scheduling.run(schedule.organization_id, schedule.pk, at)
    if result is not None:
        course.make_result(result.organization_id, result.pk)
        with organization_scope(result.organization_id):
            result.refresh_from_db()
    return result


def again(schedule: ReportSchedule) -> ReportSchedule:
    with organization_scope(schedule.organization_id):
        found: ReportSchedule = ReportSchedule.objects.get(pk=schedule.pk)
        return found


def ready(facts: list[Fact]) -> list[Fact]:
    return [fact for fact in facts if fact.kind == "report.ready"]


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    at = due("2026-11-11T12:00")
    write(acme.pk, [make_event("a", at, user=alice.email), make_event("b", at, "claude", user=bob.email)])


def test_it_is_made_when_it_is_due_and_told(
    acme: Organization, alice: User, fiona: User, usage: None, told_facts: list[Fact]
) -> None:
    schedule = scheduled(saved(acme, alice), alice, alice, fiona)
    assert run(schedule, MONDAY - dt.timedelta(seconds=1)) is None
    result = run(schedule, MONDAY + dt.timedelta(minutes=1))
    assert result is not None
    assert (result.state, result.due_at, result.title) == (
        ResultState.READY, MONDAY, "Cost by model, 9–15 Nov 2026",
    )  # fmt: skip
    assert result.rows_done == 2
    (fact,) = ready(told_facts)
    assert set(fact.people) == {alice.pk, fiona.pk}
    assert fact.data["page"] == f"/o/acme/reports/results/{result.pk}/"
    assert (fact.data["period_start"], fact.data["period_end"]) == ("2026-11-09", "2026-11-15")
    assert again(schedule).next_at == MONDAY + dt.timedelta(days=7)
    assert run(schedule, MONDAY + dt.timedelta(minutes=2)) is None


def test_what_was_missed_is_made_up_for_once(acme: Organization, alice: User, usage: None) -> None:
    schedule = scheduled(saved(acme, alice), alice)
    result = run(schedule, MONDAY + dt.timedelta(days=23))
    assert result is not None
    # Of the time it was due at, not of the time it was made at.
    assert (result.due_at, result.title) == (MONDAY + dt.timedelta(days=21), "Cost by model, 30 Nov – 6 Dec 2026")
    assert again(schedule).next_at == MONDAY + dt.timedelta(days=28)
    with organization_scope(acme.pk):
        assert Result.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_beats_at_once_have_it_made_once(acme: Organization, alice: User) -> None:
    schedule = scheduled(saved(acme, alice), alice)

    def beat(_: int) -> bool:
        try:
            return scheduling.run(acme.pk, schedule.pk, MONDAY) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(beat, range(4)))
    assert made.count(True) == 1
    with organization_scope(acme.pk):
        assert Result.objects.count() == 1


# ── Rights ──


def test_who_may_not_see_it_does_not_receive_it(acme: Organization, alice: User, bob: User, vera: User) -> None:
    report = saved(acme, alice)
    with pytest.raises(ApiError, match="may not see"):
        scheduled(report, alice, bob)
    scheduled(report, alice, vera)
    by_key = saved_by_key(acme, alice)
    with pytest.raises(ApiError, match="may not see"):
        scheduled(by_key, alice, vera)


def saved_by_key(organization: Organization, owner: User) -> CustomReport:
    with organization_scope(organization.pk):
        CustomReport.objects.update(name="Another")
    return saved(organization, owner, by=["api_key"])


def test_a_member_has_their_own_usage_sent_to_themselves(
    acme: Organization, alice: User, bob: User, usage: None, told_facts: list[Fact]
) -> None:
    report = saved(acme, alice, is_shared=True)
    with pytest.raises(ApiError, match="may not see"):
        scheduled(report, bob, alice)
    result = run(scheduled(report, bob), MONDAY)
    assert result is not None
    assert (result.rows_done, result.of_member_id) == (1, membership_of(bob, acme).pk)
    assert [fact.people for fact in ready(told_facts)] == [(bob.pk,)]


def test_receivers_who_lost_the_right_hear_nothing(
    acme: Organization, alice: User, fiona: User, vera: User, usage: None, told_facts: list[Fact]
) -> None:
    schedule = scheduled(saved(acme, alice), alice, fiona, vera)
    with organization_scope(acme.pk):
        Membership.objects.filter(user=fiona).update(role=Role.MEMBER)
        Membership.objects.filter(user=vera).update(ended_at=now())
    result = run(schedule, MONDAY)
    assert result is not None
    assert result.state == ResultState.READY
    assert ready(told_facts) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"role": Role.MEMBER}, scheduling.NARROWED),
        ({"ended_at": due("2026-11-12T00:00")}, scheduling.LEFT),
    ],
)
def test_an_owner_without_the_right_pauses_it(
    acme: Organization, fiona: User, alice: User, told_facts: list[Fact], change: dict[str, Any], reason: str
) -> None:
    schedule = scheduled(saved(acme, fiona, is_shared=True), fiona, fiona, alice)
    with organization_scope(acme.pk):
        Membership.objects.filter(user=fiona).update(**change)
    assert run(schedule, MONDAY) is None
    paused = again(schedule)
    assert (paused.next_at, paused.pause_reason) == (None, reason)
    assert ready(told_facts) == []
    (notice,) = [fact for fact in told_facts if fact.kind == "report.failed"]
    assert (notice.data["reason"], notice.data["is_paused"], notice.people) == (reason, True, ())
    # Somebody who may takes it up, with their own rights.
    with organization_scope(acme.pk):
        values = {
            "file_format": "csv",
            "frequency": "weekly",
            "cron": CRON,
            "receivers": [membership_of(alice, acme).pk],
        }
        scheduling.set_schedule(paused, membership_of(alice, acme), values, by=BY)
    assert again(schedule).next_at is not None
    assert again(schedule).owner_id == membership_of(alice, acme).pk


def test_a_role_that_sees_no_keys_pauses_it(acme: Organization, fiona: User) -> None:
    schedule = scheduled(saved(acme, fiona, by=["api_key"]), fiona)
    with organization_scope(acme.pk):
        Membership.objects.filter(user=fiona).update(role=Role.VIEWER)
    assert run(schedule, MONDAY) is None
    assert again(schedule).pause_reason == "Your role does not see API key."


def test_rights_lost_while_it_waits_for_a_worker(
    acme: Organization, fiona: User, usage: None, told_facts: list[Fact]
) -> None:
    schedule = scheduled(saved(acme, fiona), fiona)
    result = scheduling.run(acme.pk, schedule.pk, MONDAY)
    assert result is not None
    with organization_scope(acme.pk):
        Membership.objects.filter(user=fiona).update(role=Role.MEMBER)
    course.make_result(acme.pk, result.pk)
    with organization_scope(acme.pk):
        result.refresh_from_db()
    assert (result.state, result.problem) == (ResultState.FAILED, LOST)
    (notice,) = [fact for fact in told_facts if fact.kind == "report.failed"]
    assert (notice.data["reason"], notice.data["is_paused"], notice.people) == (LOST, False, (fiona.pk,))


def test_a_report_that_is_not_shared_any_more_ends_others_schedules(
    acme: Organization, alice: User, fiona: User
) -> None:
    report = saved(acme, alice, is_shared=True)
    own, other = scheduled(report, alice), scheduled(report, fiona)
    with organization_scope(acme.pk):
        records.change_report(report, membership_of(alice, acme), name="Mine", is_shared=False, by=BY)
        assert list(ReportSchedule.objects.values_list("pk", flat=True)) == [own.pk]
    assert run(other, MONDAY) is None


# ── The letter ──


def test_the_file_goes_with_the_letter_while_its_reader_may_have_it(
    acme: Organization, alice: User, fiona: User, usage: None, told_facts: list[Fact]
) -> None:
    run(scheduled(saved(acme, alice), alice, alice, fiona), MONDAY)
    spread_facts()
    with organization_scope(acme.pk):
        # Demoted after it was told, before it was sent.
        Membership.objects.filter(user=fiona).update(role=Role.MEMBER)
        letters = list(Dispatch.objects.filter(channel="email").values_list("pk", flat=True))
    for letter in letters:
        send_dispatch(acme.pk, letter)
    attached = {mail.to[0]: [name for name, *_ in mail.attachments] for mail in mails.outbox}
    assert attached == {alice.email: ["acme-cost-by-model-2026-11-09-2026-11-15.csv"], fiona.email: []}
    (mail,) = [mail for mail in mails.outbox if mail.to == [alice.email]]
    assert "model,requests,total_tokens,cost_usd" in str(mail.attachments[0][1])

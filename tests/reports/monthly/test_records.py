"""A report is asked for once, made once, told once; what came late is told in another revision."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.timezone import now

from accounts.audit import Actor
from accounts.models import Organization, Project, Team, TeamMembership, User
from alerts.letters.attachments import LARGEST_BYTES, attachment_of
from alerts.models import Dispatch, Preference, ToldFact, Way
from alerts.notices.sending import send_waiting
from alerts.tasks import spread_facts
from billing.invoices.closing import GRACE, close_due_periods
from billing.models import ClosedPeriod
from billing.subscriptions import start_subscription
from core.facts import Fact
from core.money import usd_text
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from reports.models import MonthlyReport
from reports.monthly import due, records, telling
from reports.monthly.figures import Whose, read
from reports.monthly.month import Month
from reports.monthly.tasks import ask_monthly_reports
from tests.billing.invoices.selling import has_seller
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write
from tests.reports.monthly.usage import MAY, MAY_NANOS, asked, at, cost, made, write_may
from tests.reports.test_teams import leads

pytestmark = pytest.mark.django_db
BY = Actor.of_command("test")


@pytest.fixture
def used(acme: Organization, bob: User, website: Project) -> None:
    write_may(acme, bob, website)


def reports(acme: Organization) -> list[MonthlyReport]:
    with organization_scope(acme.pk):
        return list(MonthlyReport.objects.order_by("scope", "ref", "revision"))


def told(kind: str = telling.READY) -> list[ToldFact]:
    with unscoped("test"):
        return list(ToldFact.objects.filter(kind=kind).order_by("pk"))


def sent() -> dict[str, list[str]]:
    """Subjects by recipient, after everything that waits was sent."""
    spread_facts()
    send_waiting()
    found: dict[str, list[str]] = {}
    for message in mail.outbox:
        found.setdefault(message.to[0].partition("@")[0], []).append(message.subject)
    return found


# ── When ──


@pytest.mark.parametrize(
    ("zone", "too_early", "in_time"),
    [
        ("Europe/Berlin", "2026-06-02T21:59:59", "2026-06-02T22:00:00"),
        ("Asia/Kathmandu", "2026-06-02T18:14:59", "2026-06-02T18:15:00"),
        ("America/New_York", "2026-06-03T03:59:59", "2026-06-03T04:00:00"),
    ],
)
def test_it_is_due_once_late_usage_was_waited_for(
    acme: Organization, used: None, zone: str, too_early: str, in_time: str
) -> None:
    acme.timezone = zone
    with organization_scope(acme.pk):
        acme.save()
        for text, months in ((too_early, []), (in_time, [dt.date(2026, 5, 1)])):
            found = due.due_months(acme, dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC))
            assert [month.first for month in found] == months
    assert due.due_organizations(dt.datetime.fromisoformat(too_early).replace(tzinfo=dt.UTC)) == []
    assert due.due_organizations(dt.datetime.fromisoformat(in_time).replace(tzinfo=dt.UTC)) == [acme.pk]


def test_it_waits_for_the_period_to_be_closed(acme: Organization, used: None) -> None:
    start_subscription(acme, "free", by=BY, at=at("2026-05-01", 1))
    ripe = MAY.ends_at + GRACE
    with organization_scope(acme.pk):
        assert due.due_months(acme, ripe) == []
        # Nobody bills here, so nothing can be closed: that holds nobody up for longer than a day.
        assert due.due_months(acme, ripe + due.LONGEST_WAIT) == [MAY]
    has_seller()
    close_due_periods(acme, by=BY, at=ripe)
    with organization_scope(acme.pk):
        assert ClosedPeriod.objects.exists()
        assert due.due_months(acme, ripe) == [MAY]


def test_nothing_is_due_before_the_first_usage(acme: Organization, globex: Organization) -> None:
    write(acme.pk, [make_event("june", at("2026-06-01"))])
    ripe = MAY.ends_at + GRACE
    assert due.ask_when_due(acme.pk, ripe) == []
    assert globex.pk not in due.due_organizations(ripe)


def test_months_that_nothing_ran_in_are_made_up_for(acme: Organization, used: None) -> None:
    long_after = at("2026-09-20")
    with organization_scope(acme.pk):
        # An upgrade sends nobody the months of before.
        assert [f"{month.first:%m}" for month in due.due_months(acme, long_after)] == ["08"]
        records.ask(Whose(acme), MAY.following, by=BY)
        assert [f"{month.first:%m}" for month in due.due_months(acme, long_after)] == ["08"]
        records.ask(Whose(acme), MAY)
        assert [f"{month.first:%m}" for month in due.due_months(acme, long_after)] == ["08", "07"]
    assert due.due_organizations(long_after) == [acme.pk]
    due.ask_when_due(acme.pk, long_after)
    assert due.due_organizations(long_after) == []


# ── Once ──


def test_the_organization_and_led_teams_get_one_each(
    acme: Organization, bob: User, search: Team, used: None, told_facts: list[Fact]
) -> None:
    leads(bob, search)
    with organization_scope(acme.pk):
        Team.objects.create(organization=acme, name="Nobody leads it", slug="nobodys")
    ripe = MAY.ends_at + GRACE
    for _ in range(2):
        due.ask_when_due(acme.pk, ripe)
    assert [(one.scope, one.ref, one.revision) for one in reports(acme)] == [
        ("organization", 0, 0),
        ("team", search.pk, 0),
    ]
    assert due.due_organizations(ripe) == []
    for report in reports(acme):
        assert records.make(acme.pk, report.pk)
        assert not records.make(acme.pk, report.pk), "it is made once"
    assert [(fact.key, fact.scope, fact.ref) for fact in told_facts] == [
        (f"monthly:{report.pk}", report.scope, report.ref) for report in reports(acme)
    ]
    whole, team = (fact.data for fact in told_facts)
    assert (whole["cost_usd"], whole["requests"]) == (usd_text(MAY_NANOS), 12)
    assert whole["page"] == "/o/acme/reports/monthly/"
    assert team["about"] == {"scope": "team", "of": "search", "label": "Search"}
    assert team["page"].endswith("?team=search")


def test_who_is_killed_leaves_it_to_the_next(acme: Organization, used: None) -> None:
    report = asked(acme)
    long_ago = now() - 2 * due.LOST_AFTER
    with organization_scope(acme.pk):
        # Killed at every attempt but the last one there is.
        MonthlyReport.objects.update(asked_at=long_ago, attempted_at=long_ago, attempts=records.MOST_ATTEMPTS - 1)
    with unscoped("test"):
        assert [one.pk for one in due.lost(now())] == [report.pk]
    assert records.make(acme.pk, report.pk)
    with unscoped("test"):
        assert not due.waiting().exists()


def test_one_that_cannot_be_made_is_not_tried_for_ever(acme: Organization, alice: User, used: None) -> None:
    report = asked(acme)
    with organization_scope(acme.pk):
        MonthlyReport.objects.update(attempts=records.MOST_ATTEMPTS)
    assert not records.make(acme.pk, report.pk)
    with unscoped("test"):
        assert not due.waiting().exists()
    # Who looks after reports hears of it once, when the last attempt is over.
    given_up_at = now()
    with organization_scope(acme.pk):
        MonthlyReport.objects.update(attempted_at=given_up_at)
    for minutes in (1, 11, 26):
        due.tell_given_up(given_up_at + dt.timedelta(minutes=minutes))
        assert len(told(telling.FAILED)) == (minutes > 1)
    assert sent() == {name: ["Report of May 2026 could not be made"] for name in ("alice",)}
    # Until somebody asks for it again.
    asked(acme)
    assert records.make(acme.pk, report.pk)


def test_late_usage_makes_another_revision(acme: Organization, used: None, told_facts: list[Fact]) -> None:
    first = made(acme)
    write(acme.pk, [make_event("late", at("2026-05-31"), usage=Usage(input=1_000))])
    with organization_scope(acme.pk):
        totals = read(Whose(acme), MAY).totals
    assert records.moved_since(first, MAY, totals)
    second = made(acme, revision=1)
    assert not records.moved_since(second, MAY, totals)
    kept, again = reports(acme)
    assert (kept.digest, bytes(kept.content)) == (first.digest, bytes(first.content)), "the one before stays"
    assert again.known_cost_nanos == MAY_NANOS + cost(1_000)
    assert [fact.data["revision"] for fact in told_facts] == [0, 1]


def test_a_team_that_is_gone_has_no_report(acme: Organization, search: Team, used: None) -> None:
    report = asked(acme, search)
    with organization_scope(acme.pk):
        TeamMembership.objects.all().delete()
        Project.objects.update(team=None)
        Team.objects.filter(pk=search.pk).delete()
    assert not records.make(acme.pk, report.pk)
    assert reports(acme) == []


# ── Told ──


def test_each_gets_one_letter_with_the_file(
    acme: Organization, alice: User, fiona: User, bob: User, vera: User, charlie: User, search: Team, used: None
) -> None:
    leads(bob, search)
    with organization_scope(acme.pk):
        Preference.objects.create(
            organization=acme, member=membership_of(fiona, acme), kind=telling.READY, way=Way.EMAIL, is_on=False
        )
    report = made(acme)
    made(acme, search)
    for _ in range(2):
        letters = sent()
    assert set(letters) == {"alice", "bob"}
    assert letters["alice"] == ["Report of May 2026: Acme, $0.27"]
    assert letters["bob"] == ["Report of May 2026: Search, $0.25"]
    message = next(one for one in mail.outbox if one.to[0].startswith("alice"))
    [(name, content, kind)] = message.attachments
    assert (name, content, kind) == ("acme-2026-05.pdf", bytes(report.content), "application/pdf")
    assert "Attached: acme-2026-05.pdf" in message.body
    assert "/o/acme/reports/monthly/" in message.body


def test_what_is_too_large_for_e_mail_goes_as_a_link(acme: Organization, alice: User, used: None) -> None:
    report = made(acme)
    with organization_scope(acme.pk):
        MonthlyReport.objects.filter(pk=report.pk).update(content=b"%" * LARGEST_BYTES, size_bytes=LARGEST_BYTES)
    assert set(sent()) == {"alice"}
    [message] = mail.outbox
    assert message.attachments == []
    assert "Attached" not in message.body
    assert "/o/acme/reports/monthly/" in message.body
    with organization_scope(acme.pk):
        assert not Dispatch.objects.filter(sent_at=None).exists()


def test_who_may_not_read_it_any_more_gets_no_file(
    acme: Organization, alice: User, bob: User, search: Team, used: None
) -> None:
    leads(bob, search)
    report = made(acme, search)
    spread_facts()
    with organization_scope(acme.pk):
        fact = ToldFact.objects.get(key=f"monthly:{report.pk}")
        member = membership_of(bob, acme)
        assert attachment_of(fact, member) is not None
        TeamMembership.objects.update(is_admin=False)
        assert attachment_of(fact, member) is None


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one(acme: Organization, alice: User, bob: User, website: Project) -> None:
    write_may(acme, bob, website)
    report = asked(acme)

    def work(_: int) -> bool:
        try:
            return records.make(acme.pk, report.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, organization_scope(acme.pk):
        # While it is being made nobody waits for it, or takes one of its attempts.
        MonthlyReport.objects.select_for_update().get(pk=report.pk)
        assert list(pool.map(work, range(1))) == [False]
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(work, range(2))) == [False, True]
    assert [(one.attempts > 2, len(told())) for one in reports(acme)] == [(False, 1)]
    assert sent() == {"alice": ["Report of May 2026: Acme, $0.27"]}


# ── Beat, and by hand ──


def test_beat_and_the_command_do_the_same(acme: Organization, alice: User, tasks_at_once: None) -> None:
    last = Month.at(now(), acme.zone).before
    write(acme.pk, [make_event("x", last.starts_at, usage=Usage(input=5_000))])
    with unscoped("test"):
        is_due = due.due_organizations(now()) == [acme.pk]
    out = StringIO()
    call_command("send_reports", "acme", stdout=out)
    assert out.getvalue() == (f"acme: Acme, {last.name}\n" if is_due else "")
    call_command("send_reports", stdout=out)
    ask_monthly_reports()
    assert len(told()) == len(reports(acme)) == int(is_due)
    with pytest.raises(CommandError, match="no organization"):
        call_command("send_reports", "nobody")

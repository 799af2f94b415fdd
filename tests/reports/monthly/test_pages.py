"""The list of months: who reads whose, what is made from there, and what came late."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization, Project, Team, User
from core.tenancy import organization_scope
from metering.events import Usage
from reports.models import MonthlyReport
from reports.monthly import records
from reports.monthly.figures import Whose
from reports.monthly.month import Month
from tests.metering.query.usage import make_event, write
from tests.reports.monthly.usage import BERLIN
from tests.reports.test_teams import leads

pytestmark = pytest.mark.django_db
URL = "/o/acme/reports/monthly/"
MAKE = f"{URL}make"


@pytest.fixture
def last(acme: Organization, search: Team, website: Project) -> Month:
    """The last month, with usage of the team Search in it, and of the one before."""
    month = Month.at(now(), acme.zone).before
    write(
        acme.pk,
        [
            make_event("now", month.starts_at, usage=Usage(input=1_000_000), project="website"),
            make_event("before", month.before.starts_at, usage=Usage(input=500_000)),
        ],
    )
    return month


def shown(client: Client, query: str = "", status: int = 200) -> Any:
    response = client.get(URL + query)
    assert response.status_code == status, response.content
    return response.context["monthly"] if status == 200 else response.content.decode()


def states(monthly: Any) -> list[tuple[str, str, bool]]:
    return [(f"{row['month'].first:%Y-%m}", row["state"], row["has_moved"]) for row in monthly["rows"]]


def make(acme: Organization, month: Month, team: Team | None = None) -> MonthlyReport:
    with organization_scope(acme.pk):
        report = records.ask(Whose(acme, team), month)
    assert records.make(acme.pk, report.pk)
    with organization_scope(acme.pk):
        return MonthlyReport.objects.get(pk=report.pk)


def test_every_month_of_the_record_is_listed(alice_client: Client, acme: Organization, last: Month) -> None:
    names = [f"{last.first:%Y-%m}", f"{last.before.first:%Y-%m}"]
    assert states(shown(alice_client)) == [(name, "none", False) for name in names]
    report = make(acme, last)
    monthly = shown(alice_client)
    assert states(monthly) == [(names[0], "ready", False), (names[1], "none", False)]
    row = monthly["rows"][0]
    assert (row["cost_nanos"], row["before_nanos"]) == (2_501_000_000, 1_250_500_000)
    with organization_scope(acme.pk):
        MonthlyReport.objects.update(made_at=dt.datetime(2026, 7, 1, 22, 30, tzinfo=dt.UTC))
    assert "2 Jul 2026, 00:30" in alice_client.get(URL).content.decode(), "on the organization's clock"
    response = alice_client.get(row["download_url"])
    assert (response["Content-Type"], response.content) == ("application/pdf", bytes(report.content))
    assert response["Content-Disposition"] == f'inline; filename="acme-{last.first:%Y-%m}.pdf"'


def test_a_month_that_changed_is_made_again(
    alice_client: Client, acme: Organization, last: Month, tasks_at_once: None
) -> None:
    make(acme, last)
    write(acme.pk, [make_event("late", last.ends_at - dt.timedelta(seconds=1), usage=Usage(input=9))])
    row = shown(alice_client)["rows"][0]
    assert (row["has_moved"], row["revision"], row["moved_nanos"]) == (True, 1, 9 * 2_501)
    asked = {"month": f"{last.first:%Y-%m}", "team": "", "revision": "1"}
    for _ in range(2):
        assert alice_client.post(MAKE, asked).headers["Location"] == URL
    with organization_scope(acme.pk):
        assert list(MonthlyReport.objects.order_by("revision").values_list("revision", "asked_by_label")) == [
            (0, ""),
            (1, "alice@acme.test"),
        ]
    with organization_scope(acme.pk):
        for report in MonthlyReport.objects.filter(made_at=None):
            assert records.make(acme.pk, report.pk)
    row = shown(alice_client)["rows"][0]
    assert (row["state"], row["has_moved"], row["report"].revision, len(row["older"])) == ("ready", False, 1, 1)
    # Another one would say the same.
    refused = alice_client.post(MAKE, asked | {"revision": "2"})
    assert (refused.status_code, "would say the same" in refused.content.decode()) == (409, True)
    with organization_scope(acme.pk):
        assert MonthlyReport.objects.count() == 2
        done = AuditEntry.objects.filter(action__startswith="report.").order_by("pk")
        done = done.values_list("action", "actor_label")
        assert list(done.all()) == [("report.make", "alice@acme.test")]
        assert alice_client.get(row["download_url"]).status_code == 200
        assert list(done.all())[-1] == ("report.download", "alice@acme.test")


@pytest.mark.parametrize(
    "asked",
    [
        {"month": "2026-13"},
        {"month": "1970-01"},
        {"month": "9999-01"},
        {"month": ""},
        {"month": "2026-05", "team": "nobodys"},
        {"month": "2026-05", "team": "\0"},
        {"month": "2024-01"},
        {"month": f"{Month.at(now(), BERLIN).before.before.before.first:%Y-%m}"},
        {"month": f"{Month.at(now(), BERLIN).first:%Y-%m}"},
        {"month": f"{Month.at(now(), BERLIN).before.first:%Y-%m}", "revision": "1"},
        {"month": "2026-05", "revision": "1"},
        {"month": "2026-05", "revision": "-1"},
    ],
)
def test_what_cannot_be_made(alice_client: Client, acme: Organization, last: Month, asked: dict[str, str]) -> None:
    """The record begins with the month before the last one."""
    assert alice_client.post(MAKE, asked).status_code == 404
    with organization_scope(acme.pk):
        assert not MonthlyReport.objects.exists()


def test_who_reads_whose(
    acme: Organization,
    bob: User,
    bob_client: Client,
    vera_client: Client,
    fiona_client: Client,
    charlie_client: Client,
    search: Team,
    last: Month,
) -> None:
    with organization_scope(acme.pk):
        other = Team.objects.create(organization=acme, name="Other", slug="other")
    whole, own, others = (make(acme, last, team) for team in (None, search, other))
    shown(bob_client, status=403)
    leads(bob, search)
    monthly = shown(bob_client)
    assert (monthly["team"], monthly["may_make"], monthly["whose"]) == (search, True, [])
    assert monthly["rows"][0]["report"] == own
    shown(bob_client, "?team=other", status=403)
    for report, status in ((own, 200), (whole, 403), (others, 403)):
        assert bob_client.get(f"{URL}{report.pk}.pdf").status_code == status
        assert vera_client.get(f"{URL}{report.pk}.pdf").status_code == 200
        assert charlie_client.get(f"{URL}{report.pk}.pdf").status_code == 404
        assert charlie_client.get(f"/o/globex/reports/monthly/{report.pk}.pdf").status_code == 404
    assert [one["label"] for one in shown(vera_client)["whose"]] == ["Acme", "Other", "Search"]
    assert not shown(vera_client)["may_make"]
    asked = {"month": f"{last.before.first:%Y-%m}"}
    assert vera_client.post(MAKE, asked).status_code == 403
    assert bob_client.post(MAKE, asked).status_code == 403
    assert bob_client.post(MAKE, asked | {"team": "other"}).status_code == 403
    assert bob_client.post(MAKE, asked | {"team": "search"}).status_code == 302
    assert fiona_client.post(MAKE, asked).status_code == 302
    assert shown(fiona_client)["is_under_way"]


def test_the_page_of_all_reports_has_the_latest(
    alice_client: Client, bob: User, bob_client: Client, search: Team, last: Month
) -> None:
    page = "/o/acme/reports/"
    assert states(alice_client.get(page).context["monthly"])[0] == (f"{last.first:%Y-%m}", "none", False)
    assert bob_client.get(page).context["monthly"] is None
    leads(bob, search)
    assert bob_client.get(page).context["monthly"]["team"] == search


def test_a_part_of_a_month_is_said_to_be_one(alice_client: Client, acme: Organization) -> None:
    month = Month.at(now(), acme.zone).before
    began_at = month.before.ends_at - dt.timedelta(days=2)
    write(acme.pk, [make_event("a", began_at), make_event("b", month.starts_at, usage=Usage(input=500_000))])
    monthly = shown(alice_client)
    assert [(row["before_nanos"], row["recorded_since"]) for row in monthly["rows"]] == [
        (None, None),
        (None, began_at.astimezone(acme.zone).date()),
    ]
    make(acme, month)
    assert shown(alice_client)["rows"][0]["before_nanos"] is None
    assert f"since {began_at.astimezone(acme.zone):%-d %b}" in alice_client.get(URL).content.decode()


def test_before_the_first_month_is_over(alice_client: Client, acme: Organization) -> None:
    assert shown(alice_client)["rows"] == []
    assert "No month is over yet" in alice_client.get(URL).content.decode()

"""Reports on their pages: put together, saved, shared, run, scheduled."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization, User
from core.tenancy import organization_scope
from reports.custom import course
from reports.models import CustomReport, ReportSchedule, Result, ResultState
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write

URL = "/o/acme/reports/"
QUERY = "range=today&by=model&metric=requests&metric=cost_usd"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    write(
        acme.pk,
        [
            *(make_event(f"a{n}", now(), user=alice.email) for n in range(3)),
            make_event("b", now(), "claude", user=bob.email),
        ],
    )


def save(client: Client, name: str = "Cost by model", query: str = QUERY, **fields: Any) -> str:
    """The address of the report."""
    response = client.post(f"{URL}save?{urlencode({'query': query})}", {"name": name, **fields})
    assert response.status_code == 302, response.content.decode()[:2000]
    return str(response.headers["Location"])


def text_of(client: Client, address: str, status: int = 200, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == status
    return response.content.decode()


def rows(page: str) -> list[list[str]]:
    """The cells of the first table."""
    table = page.partition("<tbody>")[2].partition("</table>")[0]
    return [
        [re.sub(r"<[^>]*>|\s+", " ", cell).strip() for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
    ]


def test_a_report_is_put_together_saved_and_run(acme: Organization, alice_client: Client, usage: None) -> None:
    builder = text_of(alice_client, f"{URL}new?{QUERY}")
    assert rows(builder)[0][:2] == ["gpt-4o", "3"]
    assert rows(builder)[-1][:2] == ["Everything", "4"]
    address = save(alice_client)
    assert "Cost by model" in text_of(alice_client, URL)
    with organization_scope(acme.pk):
        report = CustomReport.objects.get()
    assert report.parameters == {"by": ["model"], "metric": ["requests", "cost_usd"], "range": ["today"]}
    made = alice_client.post(f"{URL}run", {"format": "csv", "report": report.pk}).headers["Location"]
    with organization_scope(acme.pk):
        result = Result.objects.get()
    assert 'hx-trigger="every 2s"' in text_of(alice_client, address)
    assert "Waiting for a worker" in text_of(alice_client, made)
    course.make_result(acme.pk, result.pk)
    assert f"{made}file" in text_of(alice_client, made, **{"HX-Request": "true"})
    content = alice_client.get(f"{made}file").getvalue().decode()
    assert content.splitlines()[:2] == ["model,requests,cost_usd", "gpt-4o,3,0.000225135"]
    assert "every 2s" not in text_of(alice_client, address, **{"HX-Request": "true"})


@pytest.mark.parametrize("file_format", ["json", "jsonl", "parquet", "xlsx", "pdf"])
def test_every_format_is_made(acme: Organization, alice_client: Client, usage: None, file_format: str) -> None:
    query = f"{QUERY}&by=member&by=project&against=before"
    alice_client.post(f"{URL}run", {"format": file_format, "query": query})
    with organization_scope(acme.pk):
        result = Result.objects.get()
    course.make_result(acme.pk, result.pk)
    with organization_scope(acme.pk):
        result.refresh_from_db()
    assert (result.state, result.problem, result.rows_done) == (ResultState.READY, "", 2)
    assert result.file_name.endswith(f".{file_format}")


def test_what_makes_no_report_says_so_and_is_not_kept(alice_client: Client, usage: None) -> None:
    page = text_of(alice_client, f"{URL}new?{QUERY}&limit=none")
    assert "This makes no report yet" in page
    assert "at most 1 to 10,000 rows" in page
    assert text_of(alice_client, f"{URL}new?range=nonsense", 422)
    turned = f"{URL}new?range=custom&from=2026-11-02T00:00&to=2026-11-01T00:00"
    said = text_of(alice_client, turned, **{"HX-Request": "true"})
    assert "The end must be after the start" in said.partition('id="report-builder"')[2]
    assert alice_client.post(f"{URL}save?{urlencode({'query': 'by=nonsense'})}", {"name": "x"}).status_code == 422
    assert alice_client.post(f"{URL}run", {"format": "docx", "query": QUERY}).status_code == 422
    refused = alice_client.post(f"{URL}run", {"format": "csv", "query": "limit=none"}, follow=True)
    assert "at most 1 to 10,000 rows" in refused.content.decode()


def test_without_usage_and_without_rows(alice_client: Client) -> None:
    assert "Nothing was used in this range" in text_of(alice_client, f"{URL}new")
    page = text_of(alice_client, URL)
    assert "No report is saved yet" in page
    assert "No files yet" in page


def test_a_shared_report_shows_each_what_is_theirs(
    acme: Organization, alice_client: Client, bob_client: Client, vera_client: Client, charlie_client: Client,
    usage: None,
) -> None:  # fmt: skip
    private = save(alice_client, "Private")
    shared = save(alice_client, "Shared", is_shared="on")
    assert text_of(bob_client, private, 404)
    assert text_of(charlie_client, shared, 404)
    assert "Your own usage" in text_of(bob_client, shared)
    opened = re.search(r'href="(/o/acme/reports/new[^"]*)"', text_of(bob_client, shared))
    assert opened
    assert rows(text_of(bob_client, opened[1].replace("&amp;", "&")))[0][:2] == ["claude", "1"]
    for client in (bob_client, vera_client):
        assert client.post(f"{shared}change", {"name": "Theirs"}).status_code == 403
        assert client.post(f"{shared}delete").status_code == 403
    with organization_scope(acme.pk):
        actions = set(AuditEntry.objects.filter(target="customreport").values_list("action", "target_label"))
    assert actions == {("report.share", "Shared")}


def test_reports_are_found_by_name(alice_client: Client, bob_client: Client) -> None:
    private, shared = save(alice_client, "Costs of mine"), save(alice_client, "Costs of all", is_shared="on")
    found = text_of(bob_client, "/o/acme/search?q=costs of")
    assert shared in found
    assert private not in found
    assert private in text_of(alice_client, "/o/acme/search?q=costs of")


def test_changing_replacing_and_deleting(acme: Organization, alice_client: Client, bob_client: Client) -> None:
    address = save(alice_client)
    save(alice_client, "Another")
    taken = alice_client.post(f"{address}change", {"name": "another"})
    assert (taken.status_code, "There is a report called another" in taken.content.decode()) == (422, True)
    assert alice_client.post(f"{address}change", {"name": "Costs", "is_shared": "on"}).status_code == 302
    replaced = f"{address}replace?{urlencode({'query': 'range=7d&by=team'})}"
    assert "7 days · by team" in text_of(alice_client, replaced)
    assert alice_client.post(replaced).status_code == 302
    assert bob_client.post(replaced).status_code == 403
    with organization_scope(acme.pk):
        report = CustomReport.objects.get(name="Costs")
    assert (report.is_shared, report.parameters) == (True, {"by": ["team"], "range": ["7d"]})
    assert alice_client.post(f"{address}delete").status_code == 302
    assert text_of(alice_client, address, 404)


def test_unsharing_asks_whose_it_becomes(
    acme: Organization, alice_client: Client, adam_client: Client, bob_client: Client, bob: User, adam: User
) -> None:
    address = save(alice_client, is_shared="on")
    for client, user in ((bob_client, bob), (adam_client, adam)):
        schedule = {
            "frequency": "daily",
            "at": "08:00",
            "file_format": "csv",
            "receivers": [membership_of(user, acme).pk],
        }
        assert client.post(f"{address}schedules/new", schedule).status_code == 302
    assert "1 of other people" in text_of(bob_client, URL)
    assert "1 schedule of other people makes it" in " ".join(text_of(bob_client, address).split())
    assert "of other people" not in text_of(adam_client, URL)
    asked = adam_client.post(f"{address}change", {"name": "Costs of Alice"}).content.decode()
    assert "It becomes Alice&#x27;s alone: nobody else finds it. 2 schedules of other people end." in asked
    with organization_scope(acme.pk):
        assert CustomReport.objects.get().is_shared
    done = adam_client.post(f"{address}change", {"name": "Costs of Alice", "sure": "yes"}, follow=True)
    assert (done.status_code, done.redirect_chain[-1][0]) == (200, URL)
    with organization_scope(acme.pk):
        assert (CustomReport.objects.get().is_shared, ReportSchedule.objects.count()) == (False, 0)


def test_who_cannot_run_a_report_is_offered_no_schedule(alice_client: Client, vera_client: Client) -> None:
    address = save(alice_client, query="range=today&by=api_key", is_shared="on")
    page = text_of(vera_client, address)
    assert "You cannot run this report" in page
    assert "New schedule" not in page
    assert text_of(vera_client, f"{address}schedules/new", 403)


def test_who_may_not_share(bob_client: Client, acme: Organization) -> None:
    save(bob_client, is_shared="on")
    with organization_scope(acme.pk):
        assert not CustomReport.objects.get().is_shared


def test_a_private_reports_files_are_listed_for_its_owner(
    acme: Organization, alice_client: Client, adam_client: Client, usage: None
) -> None:
    save(alice_client, "Salaries")
    with organization_scope(acme.pk):
        pk = CustomReport.objects.get().pk
    alice_client.post(f"{URL}run", {"format": "csv", "report": pk})
    assert "Salaries, " in text_of(alice_client, URL)
    assert "Salaries" not in text_of(adam_client, URL)


# ── Schedules ──


def test_a_schedule_is_set_changed_paused_and_deleted(acme: Organization, alice_client: Client, alice: User) -> None:
    address = save(alice_client)
    me = membership_of(alice, acme).pk
    form = f"{address}schedules/new"
    asked = {"frequency": "monthly", "day": "32", "at": "07:30"}
    fields = text_of(alice_client, f"{form}?{urlencode(asked)}", **{"HX-Request": "true"})
    assert fields.count("2026, 07:30</li>") + fields.count("2027, 07:30</li>") == 3
    for half in ({"frequency": "cron"}, {"frequency": "weekly", "weekday": "x", "at": "25:00"}, {"frequency": "x"}):
        assert "Next times" in text_of(alice_client, f"{form}?{urlencode(half)}", **{"HX-Request": "true"})
    too_often = {"frequency": "cron", "expression": "*/1 * * * *"}
    fields = text_of(alice_client, f"{form}?{urlencode(too_often)}", **{"HX-Request": "true"})
    assert "A report is made at most once an hour." in fields
    weekly = {"frequency": "weekly", "weekday": "0", "at": "08:00", "file_format": "xlsx", "receivers": [me]}
    assert alice_client.post(form, weekly).status_code == 302
    assert "Every week, Monday 08:00" in text_of(alice_client, address)
    with organization_scope(acme.pk):
        schedule = ReportSchedule.objects.get()
    change = f"{URL}schedules/{schedule.pk}/"
    assert 'value="08:00"' in text_of(alice_client, change)
    cron = {"frequency": "cron", "expression": "*/5 * * * *", "file_format": "csv", "receivers": [me]}
    refused = alice_client.post(change, cron)
    assert (refused.status_code, "at most once an hour" in refused.content.decode()) == (422, True)
    assert alice_client.post(change, {**cron, "expression": "0 7 * * mon-fri"}).status_code == 302
    assert "Cron 0 7 * * MON-FRI" in text_of(alice_client, URL)
    assert alice_client.post(f"{change}pause").status_code == 302
    assert "Paused" in text_of(alice_client, address)
    assert "It is paused." in text_of(alice_client, change)
    assert alice_client.post(f"{change}delete").status_code == 302
    with organization_scope(acme.pk):
        assert not ReportSchedule.objects.exists()


def test_a_member_schedules_for_themselves(acme: Organization, alice_client: Client, bob_client: Client) -> None:
    address = save(alice_client, is_shared="on")
    page = text_of(bob_client, f"{address}schedules/new")
    assert page.count('name="receivers"') == 1
    assert "Bob" in page

"""Files in the search: by words of their name or by id, of the calls one may see."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, Team, User
from core.tenancy import organization_scope
from metering.query.finding import Whose, find_files
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write
from tests.reports.search.test_search import found, links
from tests.reports.test_teams import leads

REPORT = {"id": "reports/2025 a.pdf", "name": "Annual Marketing Report.pdf", "tokens": 400}
BRIEF = {"id": "brief-7", "name": "Market's brief.docx", "tokens": 100}
BARE = {"id": "bare"}


@pytest.fixture
def files(acme: Organization, alice: User, bob: User, search: Team) -> None:
    """The report alice's in a chat and long ago, the brief bob's, the bare one nobody's."""
    at = now() - dt.timedelta(hours=1)

    def call(name: str, at: dt.datetime, *files: dict[str, Any], **fields: Any) -> Any:
        return make_event(name, at, detail={"files": list(files)}, **fields)

    write(
        acme.pk,
        [
            call("1", at, REPORT, user=alice.email, chat="c1"),
            call("2", at + dt.timedelta(minutes=1), BRIEF, user=bob.email),
            call("3", at, BARE),
            call("4", at - dt.timedelta(days=70), REPORT, user=alice.email),
        ],
    )


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("market", ["Market's brief.docx", "Annual Marketing Report.pdf"]),
        ("rep ANNUAL", ["Annual Marketing Report.pdf"]),
        ("reports/2025", ["Annual Marketing Report.pdf"]),
        ("brief-7", ["Market's brief.docx"]),
        ("ba", ["bare"]),
        ("keting", []),
        ("' | 'x", []),
    ],
)
def test_files_are_found_by_words_and_ids(alice_client: Client, files: None, wanted: str, names: list[str]) -> None:
    assert found(alice_client, wanted).get("files", []) == names
    for url in links(alice_client, wanted).values():
        assert alice_client.get(url).status_code == 200, url


def test_a_file_leads_to_its_page(alice_client: Client, files: None) -> None:
    assert links(alice_client, "annual")["Annual Marketing Report.pdf"] == "/o/acme/files/id/reports/2025%20a.pdf"


def test_a_member_finds_those_of_their_calls_only(bob_client: Client, files: None) -> None:
    assert found(bob_client, "market") == {"files": ["Market's brief.docx"]}
    assert found(bob_client, "bare") == found(bob_client, "annual") == {}


def test_who_administers_a_team_finds_the_teams_too(
    bob_client: Client, bob: User, alice: User, acme: Organization, search: Team, files: None
) -> None:
    leads(bob, search)
    leads(alice, search)
    write(
        acme.pk, [make_event("5", now(), user=alice.email, detail={"files": [{"id": "plan", "name": "Market plan"}]})]
    )
    assert found(bob_client, "market")["files"] == ["Market plan", "Market's brief.docx"]
    url = links(bob_client, "market")["Market plan"]
    assert url == "/o/acme/files/id/plan?team=search"
    assert bob_client.get(url).status_code == 200


def test_strangers_find_nothing(charlie_client: Client, globex: Organization, acme: Organization, files: None) -> None:
    assert found(charlie_client, "market", "/o/globex/search") == {}
    with organization_scope(globex.pk):
        assert find_files(acme.pk, "market", most=5) == []


def test_a_file_of_many_chats_hides_no_other(acme: Organization, bob: User, alice_client: Client) -> None:
    both = [{"id": "often", "name": "Market often"}]
    events = [make_event(f"o{n}", now(), chat=f"c{n}", detail={"files": both}) for n in range(30)]
    write(
        acme.pk, [*events, make_event("r", now() - dt.timedelta(minutes=5), detail={"files": [BRIEF]}, user=bob.email)]
    )
    with organization_scope(acme.pk):
        assert [file.file for file in find_files(acme.pk, "market", most=5)] == ["often", "brief-7"]
        own = Whose(member=membership_of(bob, acme).pk)
        assert [file.file for file in find_files(acme.pk, "market", own, most=5)] == ["brief-7"]


def test_many_lead_to_the_list(alice_client: Client, acme: Organization) -> None:
    named = [[{"id": f"f{n}", "name": f"Market {n}"}] for n in range(25)]
    write(acme.pk, [make_event(f"e{n}", now(), detail={"files": one}) for n, one in enumerate(named)])
    sections = alice_client.get("/o/acme/search", {"q": "market"}).context["sections"]
    (section,) = [section for section in sections if section.key == "files"]
    assert (len(section.rows), section.more_url) == (20, "/o/acme/files/?q=market")
    assert "All files called so" in alice_client.get("/o/acme/search", {"q": "market"}).content.decode()

"""What search finds, for whom, and what it never finds."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, Project, Team, TeamMembership, User
from core.tenancy import organization_scope
from metering.query.finding import MOST_CANDIDATES, Whose, find_chats
from tests.cast import Key, make_key, membership_of
from tests.metering.query.usage import make_event, write

URL = "/o/acme/search"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User, search: Team, website: Project) -> None:
    """Two chats of alice's, one of bob's, one of nobody's; a project and a model each."""
    at = now() - dt.timedelta(hours=1)
    events = [
        make_event("call-a1", at, "gpt-4o", user=alice.email, chat="c-1", chat_title="Quarterly Marketing (Q3)"),
        make_event("call-a2", at, "gpt-4o-mini", user=alice.email, chat="c-2",
                   chat_title="Überblick: Marken, it's 50%"),
        make_event("call-b1", at, "claude-haiku", user=bob.email, chat="c-3", chat_title="Marketing of bob's",
                   project="website"),
        make_event("call-n1", at, "mistral", chat="Odd'\\id:1"),
    ]  # fmt: skip
    write(acme.pk, events)


@pytest.fixture
def bob_leads(acme: Organization, alice: User, bob: User, search: Team) -> None:
    """Bob administers Search, which alice joins."""
    with organization_scope(acme.pk):
        TeamMembership.objects.filter(team=search).update(is_admin=True)
        TeamMembership.objects.create(organization=acme, team=search, membership=membership_of(alice, acme))


def found(client: Client, wanted: str, url: str = URL) -> dict[str, list[str]]:
    """The labels by section; the pages of the menu aside."""
    response = client.get(url, {"q": wanted})
    assert response.status_code == 200
    return {
        section.key: [row.label for row in section.rows]
        for section in response.context["sections"]
        if section.key != "pages"
    }


def links(client: Client, wanted: str) -> dict[str, str]:
    sections = client.get(URL, {"q": wanted}).context["sections"]
    return {row.label: row.url for section in sections for row in section.rows}


@pytest.mark.parametrize(
    ("wanted", "chats"),
    [
        ("marketing", ["Marketing of bob's", "Quarterly Marketing (Q3)"]),
        ("MARK", ["Marketing of bob's", "Quarterly Marketing (Q3)", "Überblick: Marken, it's 50%"]),
        ("q3 quart", ["Quarterly Marketing (Q3)"]),
        ("keting", []),
        ("Überblick", ["Überblick: Marken, it's 50%"]),
        ("c-2", ["Überblick: Marken, it's 50%"]),
        ("c-", ["Marketing of bob's", "Quarterly Marketing (Q3)", "Überblick: Marken, it's 50%"]),
        ("odd'\\id", ["Odd'\\id:1"]),
        ("' | 'x", []),
        ("***", []),
    ],
)
def test_chats_are_found_by_words_and_ids(alice_client: Client, usage: None, wanted: str, chats: list[str]) -> None:
    assert sorted(found(alice_client, wanted).get("chats", [])) == chats


def test_a_call_is_found_by_its_whole_id(alice_client: Client, usage: None) -> None:
    assert found(alice_client, "call-b1")["calls"] == ["call-b1"]
    assert links(alice_client, "call-b1")["call-b1"] == "/o/acme/calls/id/call-b1"
    assert "calls" not in found(alice_client, "call-b")


def test_names_lead_to_their_usage(
    alice_client: Client, acme: Organization, usage: None, search: Team, acme_key: Key
) -> None:
    assert links(alice_client, "bob")["Bob"] == "/o/acme/overview?member=bob%40acme.test"
    assert links(alice_client, "searc")["Search"] == "/o/acme/overview?team=search"
    assert links(alice_client, "websi")["Website"] == "/o/acme/overview?project=website"
    assert links(alice_client, "4o-mi")["gpt-4o-mini"] == "/o/acme/models?model=gpt-4o-mini"
    key = f"/o/acme/overview?api_key={acme_key.row.prefix}"
    assert links(alice_client, "test ke")["Test key"] == key
    assert links(alice_client, acme_key.secret)["Test key"] == key  # pasted whole: found by how it begins
    for url in links(alice_client, "a").values():
        assert alice_client.get(url).status_code == 200, url


def test_pages_are_found_by_name(alice_client: Client, bob_client: Client, usage: None) -> None:
    assert links(alice_client, "audit")["Audit log"] == "/o/acme/settings/audit/"
    assert "Audit log" not in links(bob_client, "audit")
    assert {"Overview", "API keys", "Security"} <= set(links(bob_client, ""))


def test_a_member_finds_only_what_is_theirs(bob_client: Client, acme: Organization, bob: User, usage: None) -> None:
    make_key(acme, name="Markus' key")
    own = make_key(acme, name="Mark two", member=membership_of(bob, acme))
    assert found(bob_client, "mark") == {"chats": ["Marketing of bob's"], "keys": [own.row.name]}
    assert found(bob_client, "call-a1") == {}
    assert found(bob_client, "call-b1") == {"calls": ["call-b1"]}
    assert found(bob_client, "alice") == found(bob_client, "search") == {}
    assert found(bob_client, "gpt") == {}
    assert found(bob_client, "cl") == {"models": ["claude-haiku"]}
    assert found(bob_client, "web") == {"projects": ["Website"]}


def test_who_administers_a_team_finds_the_teams_too(bob_leads: None, bob_client: Client, usage: None) -> None:
    # By the time of the calls alice was in the team: they count for it.
    assert sorted(found(bob_client, "marketing")["chats"]) == ["Marketing of bob's", "Quarterly Marketing (Q3)"]
    said = links(bob_client, "marketing")
    assert said["Quarterly Marketing (Q3)"] == "/o/acme/chats/id/c-1?team=search"
    assert said["Marketing of bob's"] == "/o/acme/chats/id/c-3"
    assert links(bob_client, "call-a1")["call-a1"] == "/o/acme/calls/id/call-a1?team=search"
    assert links(bob_client, "alice")["Alice"] == "/o/acme/overview?member=alice%40acme.test&team=search"
    assert links(bob_client, "gpt-4o")["gpt-4o"] == "/o/acme/models?team=search&model=gpt-4o"
    for wanted in ("marketing", "call-a1", "alice", "gpt-4o", "search"):
        for url in links(bob_client, wanted).values():
            assert bob_client.get(url).status_code == 200, url


def test_a_viewer_finds_no_keys(vera_client: Client, acme_key: Key, usage: None) -> None:
    assert "keys" not in found(vera_client, "test")
    assert found(vera_client, "marketing")["chats"]


def test_nothing_of_other_organizations_is_found(
    charlie_client: Client, globex: Organization, acme_key: Key, usage: None
) -> None:
    write(globex.pk, [make_event("own", now(), "gpt-4o", chat="g-1", chat_title="Marketing at Globex")])
    url = "/o/globex/search"
    assert found(charlie_client, "marketing", url) == {"chats": ["Marketing at Globex"]}
    for wanted in ("c-1", "call-a1", "alice", "website", "mistral", acme_key.row.prefix, "Test key"):
        assert found(charlie_client, wanted, url) == {}, wanted


def test_the_database_asks_for_the_scope_itself(acme: Organization, globex: Organization, usage: None) -> None:
    with organization_scope(globex.pk):
        assert find_chats(acme.pk, "marketing", most=5) == []
    with organization_scope(acme.pk):
        assert len(find_chats(acme.pk, "marketing", most=5)) == 2
        assert find_chats(acme.pk, "marketing", Whose(member=0), most=5) == []


def test_a_chat_of_several_months_is_found_once_and_a_corrected_one_not(acme: Organization, alice: User) -> None:
    at = now() - dt.timedelta(days=40)
    write(acme.pk, [
        make_event("m1", at, chat="long", chat_title="Old words"),
        make_event("m2", now(), chat="long", chat_title="New words"),
        make_event("m3", now(), chat="wrong", chat_title="Words by mistake"),
    ])  # fmt: skip
    write(acme.pk, [make_event("m4", now(), chat="right", chat_title="None of them", supersedes="m3")])
    with organization_scope(acme.pk):
        rows = find_chats(acme.pk, "words", most=5)
    assert [(row.chat, row.title) for row in rows] == [("long", "New words")]
    assert MOST_CANDIDATES >= 1_000


@pytest.mark.parametrize("wanted", ["", " ", "\0", "a" * 5_000, "%", "_", "\\", "'", "--", "日本"])
def test_any_text_is_answered(alice_client: Client, bob_client: Client, usage: None, wanted: str) -> None:
    for client in (alice_client, bob_client):
        for url in (URL, f"{URL}/options"):
            assert client.get(url, {"q": wanted}).status_code == 200


def test_queries_do_not_grow_with_what_is_found(
    acme: Organization, alice_client: Client, bob_client: Client, bob_leads: None, usage: None
) -> None:
    def count(client: Client) -> int:
        client.get(URL, {"q": "ma"})  # what is remembered is remembered
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(URL, {"q": "ma"})
        return len(queries)

    before = {id(client): count(client) for client in (alice_client, bob_client)}
    with organization_scope(acme.pk):
        Team.objects.bulk_create(Team(organization=acme, name=f"Makers {n}", slug=f"makers-{n}") for n in range(15))
    for n in range(15):
        make_key(acme, name=f"Main {n}")
    write(acme.pk, [make_event(f"x{n}", now(), f"magic-{n}", chat=f"x{n}", chat_title=f"Mad {n}") for n in range(15)])
    assert {id(client): count(client) for client in (alice_client, bob_client)} == before


def test_the_palette_gets_five_of_a_kind_and_the_way_to_all(alice_client: Client, acme: Organization) -> None:
    write(acme.pk, [make_event(f"x{n}", now(), chat=f"x{n}", chat_title=f"Mad {n}") for n in range(30)])
    response: Any = alice_client.get(f"{URL}/options", {"q": "mad"})
    (section,) = response.context["sections"]
    assert len(section.rows) == 5
    page = response.content.decode()
    assert 'role="option"' in page
    assert "/o/acme/search?q=mad" in page
    assert "<html" not in page
    chats = alice_client.get(URL, {"q": "mad"}).context["sections"][-1]
    assert len(chats.rows) == 20
    assert chats.more_url == "/o/acme/chats/?q=mad"

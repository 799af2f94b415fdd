"""The operator's list of organizations, and one of them."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, Role, User
from core.tenancy import organization_scope, unscoped
from metering.models import Limit
from tests.cast import make_key
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
LIST = "/operator/organizations/"


@pytest.mark.parametrize("person", ["alice", "bob", "charlie"])
def test_nobody_else_learns_that_it_exists(person: str, usage: None, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    for address in (LIST, f"{LIST}acme/"):
        assert client.get(address).status_code == 404


def names(client: Client, query: str = "") -> list[str]:
    return [row.organization.name for row in client.get(f"{LIST}{query}").context["rows"]]


def test_the_largest_spender_comes_first(olga_client: Client, usage: None, alice: User) -> None:
    page = olga_client.get(LIST)
    rows = list(page.context["rows"])
    # Two priced calls each, a third one of Acme's has no price: the same cost, so by name.
    assert [(row.organization.name, row.figures.total_tokens, row.members) for row in rows] == [
        ("Acme", 45, 1),
        ("Globex", 30, 0),
    ]
    assert {row.state for row in rows} == {"active"}


@pytest.mark.parametrize("key", ["name", "cost", "tokens", "members", "last", "created", "nonsense"])
def test_it_sorts_both_ways(olga_client: Client, usage: None, key: str) -> None:
    assert set(names(olga_client, f"?sort={key}")) == set(names(olga_client, f"?sort=-{key}")) == {"Acme", "Globex"}


def test_sorting_by_name_is_what_it_says(olga_client: Client, usage: None) -> None:
    assert names(olga_client, "?sort=name") == ["Acme", "Globex"]
    assert names(olga_client, "?sort=-name") == ["Globex", "Acme"]


@pytest.mark.parametrize("words", ["glob", "GLOBEX", "charlie@globex"])
def test_it_searches_names_and_members(olga_client: Client, usage: None, charlie: User, words: str) -> None:
    assert names(olga_client, f"?q={words}") == ["Globex"]


def test_nothing_found_says_so(olga_client: Client, usage: None) -> None:
    assert b"No organization matches" in olga_client.get(LIST, {"q": "initech"}).content


def test_one_organization(olga_client: Client, usage: None, acme: Organization, alice: User, bob: User) -> None:
    make_key(acme)
    with organization_scope(acme.pk):
        Limit.objects.create(
            organization=acme, kind="allowance", source="plan", label="Plan", unit="tokens", amount=1_000
        )
    page = olga_client.get(f"{LIST}acme/")
    assert page.context["figures"].total_tokens == 45
    assert dict(page.context["counts"])["Active API keys"] == 1
    assert [(limit["used"], limit["amount"]) for limit in page.context["limits"]] == [(45, 1_000)]
    text = page.content.decode()
    assert "45 of 1,000" in text
    assert "bob@acme.test" in text


def test_an_organization_that_there_is_not(olga_client: Client) -> None:
    assert olga_client.get(f"{LIST}initech/").status_code == 404


def test_queries_do_not_grow(olga_client: Client, usage: None, acme: Organization, new_person: object) -> None:
    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert olga_client.get(address).status_code == 200
        return len(captured)

    queries(LIST)
    before = queries(LIST), queries(f"{LIST}acme/")
    for number in range(6):
        with unscoped("test cast"):
            more = Organization.objects.create(name=f"More {number}", slug=f"more-{number}", timezone="Asia/Tokyo")
        write(more.pk, [make_event("one", now(), f"model-{number}")])
        new_person(f"person{number}", Role.MEMBER)  # type: ignore[operator]
    assert (queries(LIST), queries(f"{LIST}acme/")) == before


def test_the_palette_finds_organizations(olga_client: Client, alice_client: Client, usage: None, charlie: User) -> None:
    for words in ("glob", "charlie@globex"):
        page = olga_client.get("/operator/organizations-found", {"q": words}).content.decode()
        assert 'href="/operator/organizations/globex/"' in page
        assert "Acme" not in page
        assert f"/operator/organizations/?q={words.replace('@', '%40')}" in page
    assert b"option" not in olga_client.get("/operator/organizations-found", {"q": "nothing\0"}).content
    assert alice_client.get("/operator/organizations-found", {"q": "glob"}).status_code == 404
    overview = olga_client.get("/operator/").content.decode()
    assert 'data-options="/operator/organizations-found"' in overview
    assert 'id="jump-place-1-1"' in overview

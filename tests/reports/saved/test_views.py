"""Saved views: kept, opened, shared, replaced, landed on; whose they are, and what is said when one fits no longer."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import AuditEntry, Membership, Organization, Team, User
from core.tenancy import organization_scope
from reports.models import SavedView, StartPage
from reports.saved.records import MOST_OWN
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write

URL = "/o/acme/views/"
QUERY = "range=7d&model=gpt-4o&by=project&cursor=x"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    at = now() - dt.timedelta(hours=1)
    write(acme.pk, [make_event("a", at, user=alice.email), make_event("b", at, user=bob.email)])


def save(client: Client, name: str, query: str = QUERY, page: str = "usage", **fields: str) -> Any:
    return client.post(f"{URL}new?{urlencode({'page': page, 'query': query})}", {"name": name, **fields})


def view(acme: Organization, name: str) -> SavedView:
    with organization_scope(acme.pk):
        found: SavedView = SavedView.objects.select_related("owner").get(name=name)
        return found


def audited(acme: Organization) -> list[str]:
    with organization_scope(acme.pk):
        return list(AuditEntry.objects.filter(action__startswith="view.").values_list("action", flat=True))


def test_a_view_is_saved_opened_and_named_on_the_page(alice_client: Client, acme: Organization, usage: None) -> None:
    response = save(alice_client, "  Models  of\tnow ")
    kept = view(acme, "Models of now")
    assert kept.parameters == {"range": ["7d"], "model": ["gpt-4o"], "by": ["project"]}
    address = f"/o/acme/usage?by=project&model=gpt-4o&range=7d&view={kept.pk}"
    assert response.headers["Location"] == address
    page = alice_client.get(address).context["page"]
    assert page["views"]["label"] == "Models of now"
    assert "replace_url" not in page["views"]
    assert page["range"]["key"] == "7d"
    changed = alice_client.get(address.replace("7d", "30d")).context["page"]["views"]
    assert changed["label"] == "Models of now, changed"
    assert alice_client.get(changed["replace_url"]).status_code == 200
    assert alice_client.post(changed["replace_url"]).status_code == 302
    assert view(acme, "Models of now").parameters["range"] == ["30d"]
    assert audited(acme) == []  # nobody else's business


def test_the_view_goes_along_within_the_page_only(alice_client: Client, acme: Organization, usage: None) -> None:
    save(alice_client, "V")
    address = f"/o/acme/usage?range=7d&view={view(acme, 'V').pk}"
    response = alice_client.get(address)
    page = response.context["page"]
    assert all("view=" in option["url"] for option in page["range"]["options"])
    items = [item["url"] for group in response.context["shell"]["nav"] for item in group["items"]]
    assert not [url for url in items if "view=" in url]
    assert [url for url in items if "range=7d" in url]


def test_private_views_are_nobody_elses(
    alice_client: Client, bob_client: Client, charlie_client: Client, acme: Organization, usage: None
) -> None:
    save(bob_client, "Bob's own")
    pk = view(acme, "Bob's own").pk
    assert bob_client.get(f"{URL}{pk}/").status_code == 200
    for client in (alice_client, charlie_client):
        for path in (f"{URL}{pk}/", f"{URL}{pk}/delete", f"{URL}{pk}/replace?page=usage"):
            assert client.get(path).status_code == 404
            assert client.post(path, {"name": "x"}).status_code == 404
    assert alice_client.post(f"{URL}start", {"view": pk}).status_code == 404
    assert "Bob&#x27;s own" not in alice_client.get(URL).content.decode()
    assert alice_client.get("/o/acme/usage?range=7d").context["page"]["views"]["options"] == []
    assert not alice_client.get("/o/acme/search", {"q": "Bob's own"}).context["sections"]


def test_shared_views_show_each_reader_what_is_theirs(
    alice_client: Client, bob_client: Client, acme: Organization, usage: None
) -> None:
    save(alice_client, "Month", query="range=month", page="overview", is_shared="on")
    (option,) = bob_client.get("/o/acme/usage").context["page"]["views"]["options"]
    assert option["is_shared"]
    theirs, all_of_it = (client.get(option["url"]).context["proof"]["events"] for client in (bob_client, alice_client))
    assert (theirs, all_of_it) == (1, 2)
    assert audited(acme) == ["view.share"]
    (section,) = [
        section
        for section in bob_client.get("/o/acme/search", {"q": "mont"}).context["sections"]
        if section.key == "views"
    ]
    assert section.rows[0].url == option["url"]


def test_who_may_share_and_look_after_what_is_shared(
    alice_client: Client, bob_client: Client, fiona_client: Client, vera_client: Client, acme: Organization, usage: None
) -> None:
    for client in (bob_client, vera_client):
        save(client, "Not shared", is_shared="on")  # the form does not know the field
    with organization_scope(acme.pk):
        assert not SavedView.objects.filter(is_shared=True).exists()
    save(alice_client, "Ours", is_shared="on")
    pk = view(acme, "Ours").pk
    assert bob_client.get(f"{URL}{pk}/").status_code == 403
    assert bob_client.post(f"{URL}{pk}/delete").status_code == 403
    assert bob_client.post(f"{URL}{pk}/replace?page=usage").status_code == 403
    assert fiona_client.post(f"{URL}{pk}/", {"name": "Everybody's", "is_shared": "on"}).status_code == 302
    assert fiona_client.post(f"{URL}{pk}/replace?page=models&query=range%3D7d").status_code == 302
    kept = view(acme, "Everybody's")
    assert (kept.page, kept.parameters, kept.owner.user_id) == ("models", {"range": ["7d"]}, _alice(acme).user_id)
    assert fiona_client.post(f"{URL}{pk}/delete").status_code == 302
    assert sorted(audited(acme)) == ["view.delete", "view.share", "view.update", "view.update"]


def _alice(acme: Organization) -> Membership:
    with organization_scope(acme.pk):
        found: Membership = Membership.objects.get(user__email="alice@acme.test")
        return found


def test_what_is_shared_no_longer_is_nobodys_start(
    alice_client: Client, bob_client: Client, acme: Organization, usage: None
) -> None:
    save(alice_client, "Ours", is_shared="on")
    kept = view(acme, "Ours")
    assert bob_client.post(f"{URL}start", {"view": kept.pk}).status_code == 302
    assert bob_client.get("/o/acme/").headers["Location"].endswith(f"&view={kept.pk}")
    alice_client.post(f"{URL}{kept.pk}/", {"name": "Mine"})
    assert bob_client.get("/o/acme/").headers["Location"] == "/o/acme/overview"
    with organization_scope(acme.pk):
        assert not StartPage.objects.exists()


def test_people_land_on_their_start_page(alice_client: Client, acme: Organization, usage: None) -> None:
    def landing() -> str:
        return str(alice_client.get("/", follow=True).redirect_chain[-1][0])

    assert landing() == "/o/acme/overview"
    save(alice_client, "Mine", is_start="on")
    assert landing() == f"/o/acme/usage?by=project&model=gpt-4o&range=7d&view={view(acme, 'Mine').pk}"
    alice_client.post(f"{URL}start")
    assert landing() == "/o/acme/overview"
    pk = view(acme, "Mine").pk
    alice_client.post(f"{URL}{pk}/", {"name": "Mine", "is_start": "on"})
    assert landing().endswith(f"view={pk}")
    alice_client.post(f"{URL}{pk}/delete")
    assert landing() == "/o/acme/overview"


def test_names_are_once_and_room_is_limited(alice_client: Client, acme: Organization, alice: User) -> None:
    save(alice_client, "Mine")
    again = save(alice_client, "mine")
    assert again.status_code == 422
    assert "There is a view called mine already." in again.content.decode()
    assert save(alice_client, " ").status_code == 422
    with organization_scope(acme.pk):
        owner = membership_of(alice, acme)
        SavedView.objects.bulk_create(
            SavedView(organization=acme, owner=owner, name=f"v{n}", page="usage") for n in range(MOST_OWN - 1)
        )
    assert "which is the most" in save(alice_client, "One more").content.decode()


@pytest.mark.parametrize(
    ("page", "query", "status"),
    [
        ("no-such", "", 404),
        ("usage", "nonsense=1", 422),
        ("usage", "range=99d", 422),
        ("usage", "model=" + "x" * 5_000, 422),
    ],
)
def test_what_makes_no_sense_is_not_saved(alice_client: Client, page: str, query: str, status: int) -> None:
    assert save(alice_client, "V", query, page).status_code == status


def test_a_view_with_a_filter_that_is_gone_explains_itself(
    alice_client: Client, acme: Organization, search: Team, usage: None
) -> None:
    save(alice_client, "Searchers", query="range=7d&team=search")
    address = alice_client.get(URL).context["own"][0]["url"]
    assert alice_client.get(address).status_code == 200
    with organization_scope(acme.pk):
        Team.objects.all().delete()
    response = alice_client.get(address)
    assert response.status_code == 422
    problem = response.context["error"]
    assert problem["title"] == "The view Searchers no longer works"
    assert problem["text"] == "There is no team 'search'."
    assert problem["retry_label"] == "Open it without team"
    page = alice_client.get(problem["retry_url"])
    assert page.status_code == 200
    assert page.context["page"]["views"]["label"] == "Searchers, changed"


def test_the_list_and_the_menu_take_as_many_queries_for_many(
    alice_client: Client, acme: Organization, alice: User, usage: None
) -> None:
    def count(url: str) -> int:
        alice_client.get(url)  # what is remembered for a while is
        with CaptureQueriesContext(connection) as queries:
            assert alice_client.get(url).status_code == 200
        return len(queries)

    save(alice_client, "One")
    urls = (URL, "/o/acme/usage?range=7d")
    before = [count(url) for url in urls]
    with organization_scope(acme.pk):
        owner = membership_of(alice, acme)
        SavedView.objects.bulk_create(
            SavedView(organization=acme, owner=owner, name=f"v{n}", page="usage", is_shared=n % 2 == 0)
            for n in range(30)
        )
    assert [count(url) for url in urls] == before


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("usage", "by=zz"),
        ("usage", "team=zz"),
        ("chats", "sort=zz"),
        ("comparison", "gpus=0"),
        ("shared-costs", "rule=z"),
    ],
)
def test_what_the_page_refuses_is_not_saved(
    alice_client: Client, acme: Organization, usage: None, page: str, query: str
) -> None:
    assert save(alice_client, "Broken", query=query, page=page).status_code == 422
    save(alice_client, "Whole")
    kept = view(acme, "Whole")
    address = f"{URL}{kept.pk}/replace?{urlencode({'page': page, 'query': query})}"
    assert alice_client.get(address).status_code == 422
    assert alice_client.post(address).status_code == 422
    with organization_scope(acme.pk):
        assert [one.parameters for one in SavedView.objects.all()] == [kept.parameters]

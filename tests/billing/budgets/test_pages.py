"""The pages of budgets: what stands there, who sees what, and what forms refuse."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization, Project, Team, TeamMembership, User
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from billing.models import Budget
from core.figures import money
from core.tenancy import organization_scope
from metering.events import Usage
from tests.billing.plans import BY
from tests.cast import logged_in, make_member, membership_of
from tests.metering.query.usage import make_event, write
from tests.reports.priced import set_prices

pytestmark = pytest.mark.django_db
ADDRESS = "/o/acme/budgets/"
USD = 10**9


def budget(organization: Organization, scope: str = "organization", ref: int = 0, **fields: Any) -> Budget:
    return create_budget(organization, {"scope": scope, "ref": ref, "amount": 10 * USD, **fields}, Reach.whole(), by=BY)


def text(client: Client, address: str = ADDRESS) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def form(**fields: str) -> dict[str, str]:
    return {
        "of": "organization:0", "unit": "cost", "amount": "450", "period": "month", "at_the_limit": "warn",
        "thresholds": "75 warning, 90 caution", **fields,
    }  # fmt: skip


def test_the_figures_are_the_apis(acme: Organization, alice_client: Client, acme_api: Client) -> None:
    write(acme.pk, [make_event("a", dt.datetime.now(dt.UTC), usage=Usage(input=3_000_000))])
    budget(acme)
    page = text(alice_client)
    told = acme_api.get("/v1/budgets").json()["data"][0]
    assert told["actual"]["cost_usd"] == "7.503"
    assert money(7_503_000_000) in page
    assert f"{told['actual']['used_percent']}%" in page
    assert "1 of 1" in page.replace('<span class="tl-minor"> of 1</span>', " of 1")
    assert "Warning" in page
    lines = alice_client.get(f"{ADDRESS}budgets.csv").content.decode().splitlines()
    assert lines[1].startswith("Acme,organization,,,")
    assert lines[1].endswith(",usd,7.503,10,75.0,warn,Warning,0")


def test_nothing_is_set(alice_client: Client, vera_client: Client, bob_client: Client) -> None:
    assert "New budget" in text(alice_client)
    assert "No budget is set" in text(vera_client)
    assert "New budget" not in text(vera_client)
    assert "No budget is set for you" in text(bob_client)


def test_a_member_sees_their_own(acme: Organization, search: Team, bob: User, bob_client: Client) -> None:
    budget(acme, name="Of the whole")
    budget(acme, "team", search.pk, name="Of the team")
    budget(acme, "member", membership_of(bob, acme).pk, name="Of Bob")
    page = text(bob_client)
    assert "Of Bob" in page
    assert "Of the" not in page
    assert "Of the" not in bob_client.get(f"{ADDRESS}budgets.csv").content.decode()


def test_who_administers_a_team_sets_its_budgets(acme: Organization, search: Team, website: Project) -> None:
    dora = make_member(acme, "dora", "member")  # type: ignore[arg-type]
    with organization_scope(acme.pk):
        TeamMembership.objects.create(
            organization=acme, team=search, membership=membership_of(dora, acme), is_admin=True
        )
    client = logged_in(dora)
    offered = text(client, f"{ADDRESS}new/")
    assert f'value="team:{search.pk}"' in offered
    assert f'value="project:{website.pk}"' in offered
    assert "organization:0" not in offered
    assert client.post(f"{ADDRESS}new/", form(of=f"team:{search.pk}")).status_code == 302
    assert client.post(f"{ADDRESS}new/", form()).status_code == 422
    whole = budget(acme)
    assert client.get(f"{ADDRESS}{whole.pk}/").status_code == 404
    assert "Search" in text(client)


def test_from_new_to_archived(acme: Organization, alice: User, alice_client: Client, search: Team) -> None:
    owner = str(membership_of(alice, acme).pk)
    made = alice_client.post(f"{ADDRESS}new/", form(of=f"team:{search.pk}", owner=owner, at_the_limit="refuse"))
    assert made.status_code == 302
    with organization_scope(acme.pk):
        row = Budget.objects.get()
        assert (row.scope, row.ref, row.amount, row.is_hard, row.owner_id) == (
            "team",
            search.pk,
            450 * USD,
            True,
            int(owner),
        )
        assert row.thresholds == [{"percent": 75, "name": "warning"}, {"percent": 90, "name": "caution"}]
    address = f"{ADDRESS}{row.pk}/"
    page = text(alice_client, f"{address}change/")
    assert 'value="450"' in page
    assert "75 warning, 90 caution" in page
    changed = form(
        of=f"team:{search.pk}", unit="tokens", amount="5000", period="custom", starts_on="2026-11-01",
        ends_on="2026-11-10", thresholds="", name="Sprint",
    )  # fmt: skip
    assert alice_client.post(f"{address}change/", changed).status_code == 302
    with organization_scope(acme.pk):
        row.refresh_from_db()
        assert (row.unit, row.amount, str(row.ends_on), row.thresholds, row.is_hard) == (
            "tokens", 5_000, "2026-11-10", [], False,
        )  # fmt: skip
    assert "Sprint" in text(alice_client)
    assert alice_client.post(f"{address}archive/").status_code == 302
    assert "Sprint" not in text(alice_client)
    assert alice_client.get(address).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"of": "planet:1"},
        {"of": "team:999999"},
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "x"},
        {"amount": "1.0000000001"},
        {"unit": "tokens", "amount": "1.5"},
        {"period": "custom"},
        {"period": "custom", "starts_on": "2026-11-10", "ends_on": "2026-11-10"},
        {"thresholds": "warning at 75"},
        {"thresholds": "75 a, 75 b"},
        {"thresholds": "0 none"},
        {"owner": "999999"},
        {"model": "gpt-4-typo"},
        {"feature": "never used"},
    ],
)
def test_forms_that_make_no_sense(acme: Organization, alice_client: Client, fields: dict[str, str]) -> None:
    answer = alice_client.post(f"{ADDRESS}new/", form(**fields))
    assert answer.status_code == 422
    with organization_scope(acme.pk):
        assert not Budget.objects.exists()


def test_suggestions_lead_to_a_filled_form(
    acme: Organization, alice_client: Client, website: Project, search: Team
) -> None:
    last_month = dt.datetime.now(dt.UTC).replace(day=15) - dt.timedelta(days=30)
    write(acme.pk, [make_event("a", last_month, usage=Usage(input=9_000_000), project="website")])
    page = text(alice_client, f"{ADDRESS}suggestions/")
    link = f"/o/acme/budgets/new/?of=team%3A{search.pk}&amp;amount=25"
    assert link in page
    begun = text(alice_client, link.replace("&amp;", "&"))
    assert f'value="team:{search.pk}" selected' in begun
    assert 'value="25"' in begun
    assert "Nothing to suggest" in text(alice_client, f"{ADDRESS}suggestions/?scope=member")
    assert alice_client.get(f"{ADDRESS}suggestions/?scope=planet").status_code == 404


def test_queries_do_not_grow_with_budgets(acme: Organization, alice_client: Client) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as caught:
            text(alice_client)
        return len(caught)

    with organization_scope(acme.pk):
        teams = [Team.objects.create(organization=acme, name=f"T{n}", slug=f"t{n}") for n in range(12)]
    budget(acme, "team", teams[0].pk)
    text(alice_client)
    few = statements()
    for team in teams[1:]:
        budget(acme, "team", team.pk)
    assert statements() == few


def test_models_and_features_are_those_there_are(acme: Organization, alice_client: Client) -> None:
    set_prices()
    write(acme.pk, [make_event("a", dt.datetime.now(dt.UTC), "our-own", feature="chat")])
    page = text(alice_client, f"{ADDRESS}new/")
    assert '<option value="our-own">' in page
    assert '<option value="gpt-4o">' in page
    assert '<option value="chat">chat</option>' in page
    for chosen in ({"model": "our-own"}, {"model": "gpt-4o"}, {"feature": "chat"}):
        assert alice_client.post(f"{ADDRESS}new/", form(**chosen)).status_code == 302
    with organization_scope(acme.pk):
        kept = Budget.objects.get(feature="chat")
        Budget.objects.filter(pk=kept.pk).update(feature="gone", model="gone-too")
    changed = form(feature="gone", model="gone-too", amount="9")
    assert alice_client.post(f"{ADDRESS}{kept.pk}/change/", changed).status_code == 302, "what it is may stay"

"""Who uses what: every team to who sees the organization's usage, to a member those they administer."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Department, Organization, Project, Team, TeamMembership, User
from core.money import usd_from_nanos
from core.tenancy import organization_scope
from metering.events import Usage
from tests.billing.plans import subscribed
from tests.cast import Key, membership_of
from tests.metering.query.usage import make_event, write

URL = "/o/acme/teams/"
AT_A_TIME = dt.timedelta(seconds=30)


@pytest.fixture
def support(acme: Organization) -> Team:
    with organization_scope(acme.pk):
        people = Department.objects.create(organization=acme, name="Customers", cost_center="CC-200")
        return Team.objects.create(organization=acme, department=people, name="Support", slug="support")


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User, search: Team, website: Project, support: Team) -> None:
    """Today. Search: bob 2 calls, alice 1 through its project. Support: alice 1. Nobody's: 1, and 1 unpriced."""
    at = now() - AT_A_TIME
    with organization_scope(acme.pk):
        TeamMembership.objects.create(organization=acme, team=support, membership=membership_of(alice, acme))
    write(
        acme.pk,
        [
            make_event("b1", at, usage=Usage(input=1000, output=100), user=bob.email),
            make_event("b2", at, "claude", Usage(input=2000, output=50), user=bob.email),
            make_event("a1", at, usage=Usage(input=300, output=30), user=alice.email, project="website"),
            make_event("a2", at, usage=Usage(input=500, output=50), user=alice.email),
            make_event("n1", at, usage=Usage(input=70, output=7)),
            make_event("n2", at, "odd-model", Usage(input=11, output=0)),
        ],
    )


def leads(bob: User, *teams: Team) -> None:
    for team in teams:
        with organization_scope(team.organization_id):
            TeamMembership.objects.update_or_create(
                organization=team.organization,
                team=team,
                membership=membership_of(bob, team.organization),
                defaults={"is_admin": True},
            )


def shown(client: Client, query: str = "range=today", status: int = 200) -> Any:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == status, response.content[:500]
    return response


def rows(context: Any, name: str = "teams") -> dict[str, int]:
    return {row["label"]: row["tokens"] for row in context[name]["rows"]}


def lines(client: Client, name: str, query: str = "range=today") -> list[dict[str, str]]:
    response = client.get(f"{URL}{name}?{query}")
    assert response.status_code == 200
    body = b"".join(response) if response.streaming else response.content
    return list(csv.DictReader(io.StringIO(body.decode())))


def test_every_team_with_what_it_used_and_what_is_nobodys(alice_client: Client, usage: None) -> None:
    context = shown(alice_client).context
    assert rows(context) == {"Search": 1100 + 2050 + 330, "Support": 550, "No team": 77 + 11}
    assert context["teams"]["totals"]["tokens"] == sum(rows(context).values())
    search = context["teams"]["rows"][0]
    assert (search["people"], search["department"]) == (1, "Engineering")
    assert search["per_person"] == 1100 + 2050 + 330
    assert [card["label"] for card in context["cards"]] == ["Search", "Support"]
    nobodys = context["teams"]["rows"][2]
    assert nobodys["is_partial"]
    assert nobodys["people"] is None


def test_the_figures_are_the_apis(alice_client: Client, acme_key: Key, usage: None) -> None:
    context = shown(alice_client).context
    day = f"{now():%Y-%m-%d}"
    for dimension, table in (("team", "teams"), ("department", "departments"), ("member", "members")):
        told = acme_key.client.get(f"/v1/usage/query?group_by={dimension}&from={day}&to={day}&timezone=Europe/Berlin")
        assert told.status_code == 200, told.content
        body = told.json()
        tokens = sorted(row["total_tokens"] for row in body["data"])
        assert sorted(row["tokens"] for row in context[table]["rows"] if row["tokens"]) == tokens
        shown_costs = sorted(
            usd_from_nanos(row["cost_nanos"]) for row in context[table]["rows"] if row["tokens"] and row["cost_nanos"]
        )
        assert [float(cost) for cost in shown_costs] == sorted(
            float(row["cost_usd"]) for row in body["data"] if row["cost_usd"] is not None
        )


def test_a_team_without_usage_is_listed_too(alice_client: Client, acme: Organization, usage: None) -> None:
    with organization_scope(acme.pk):
        Team.objects.create(organization=acme, name="Idle", slug="idle")
    assert rows(shown(alice_client).context)["Idle"] == 0
    assert "Idle" not in rows(shown(alice_client, "range=today&model=claude").context)


def test_departments_with_their_cost_centers(alice_client: Client, usage: None) -> None:
    table = shown(alice_client).context["departments"]
    assert {row["label"]: row["cost_center"] for row in table["rows"]} == {
        "Engineering": "CC-100",
        "Customers": "CC-200",
        "No department": "",
    }
    assert table["totals"]["tokens"] == sum(row["tokens"] for row in table["rows"])


def test_cost_centers_as_a_file_sum_to_the_page(
    alice_client: Client, acme: Organization, usage: None, support: Team
) -> None:
    with organization_scope(acme.pk):
        # Two departments of one cost center are one line.
        Department.objects.filter(name="Customers").update(cost_center="CC-100")
    found = lines(alice_client, "cost-centers.csv")
    assert [(line["cost_center"], line["departments"]) for line in found] == [
        ("CC-100", "Customers; Engineering"),
        ("", "No department"),
    ]
    totals = shown(alice_client).context["departments"]["totals"]
    assert sum(int(line["total_tokens"]) for line in found) == totals["tokens"]
    assert sum(round(float(line["cost_usd"]) * 10**9) for line in found) == totals["cost_nanos"]
    assert found[1]["unpriced_tokens"] == "11"


def test_a_team_in_detail(alice_client: Client, usage: None) -> None:
    response = shown(alice_client, "range=today&team=search")
    context = response.context
    assert context["page"]["title"] == "Search"
    assert (context["team"]["department"], context["team"]["cost_center"]) == ("Engineering", "CC-100")
    assert rows(context, "members") == {"Bob": 3150, "Alice": 330}
    assert [row["sub"] for row in context["members"]["rows"]] == ["", "not in the team"]
    assert context["members"]["totals"]["tokens"] == context["summary"][0]["value"] == 3480
    parts = {part["id"]: {row["label"]: row["value"] for row in part["rows"]} for part in context["breakdowns"]}
    assert parts["team-model"] == {"claude": 2050, "gpt-4o": 1430}
    assert parts["team-project"] == {"No project": 3150, "Website": 330}
    assert context["page"]["list_url"].endswith("/teams/?range=today")


def test_a_member_who_leads_no_team_is_refused(bob_client: Client, usage: None) -> None:
    page = shown(bob_client, status=403).content.decode()
    assert "Only who administers a team" in page
    assert "Support" not in page
    assert bob_client.get(f"{URL}cost-centers.csv").status_code == 403
    assert bob_client.get(f"{URL}list.csv").status_code == 403
    nav = bob_client.get("/o/acme/overview").context["shell"]["nav"]
    assert "Teams" not in [item["label"] for group in nav for item in group["items"]]


def test_who_leads_one_team_sees_it_and_no_other(
    bob_client: Client, bob: User, search: Team, support: Team, usage: None
) -> None:
    leads(bob, search)
    for query in ("range=today", "range=today&team=search", "range=today&team=support", "range=today&team=none"):
        response = shown(bob_client, query)
        context = response.context
        assert context["page"]["title"] == "Search"
        assert context["summary"][0]["value"] == 3480
        assert rows(context, "members") == {"Bob": 3150, "Alice": 330}
        assert "Support" not in response.content.decode()
    nav = bob_client.get("/o/acme/overview").context["shell"]["nav"]
    assert "Teams" in [item["label"] for group in nav for item in group["items"]]
    assert bob_client.get(f"{URL}cost-centers.csv").status_code == 403


def test_who_leads_two_teams_sees_each_by_itself(
    bob_client: Client, bob: User, search: Team, support: Team, usage: None
) -> None:
    leads(bob, search, support)
    context = shown(bob_client).context
    assert rows(context) == {"Search": 3480, "Support": 550}
    assert context["departments"] is None
    assert context["members"] is None
    assert {line["team"]: int(line["total_tokens"]) for line in lines(bob_client, "list.csv")} == {
        "search": 3480,
        "support": 550,
    }
    assert rows(shown(bob_client, "range=today&team=support").context, "members") == {"Alice": 550, "Bob": 0}


def test_a_stranger_finds_nothing(charlie_client: Client, usage: None) -> None:
    assert charlie_client.get(URL).status_code == 404


def test_the_trend_as_a_file(alice_client: Client, usage: None) -> None:
    found = lines(alice_client, "trend.csv")
    assert sum(int(line["total_tokens"]) for line in found) == 3480 + 550 + 88


@pytest.mark.parametrize("query", ["range=today", "range=today&team=search"])
def test_queries_do_not_grow_with_teams_and_members(
    alice_client: Client, acme: Organization, usage: None, search: Team, query: str
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client, query)
        return len(captured)

    shown(alice_client, query)
    few = count()
    at = now() - AT_A_TIME
    with organization_scope(acme.pk):
        for number in range(12):
            department = Department.objects.create(organization=acme, name=f"D{number}")
            team = Team.objects.create(organization=acme, department=department, name=f"T{number}", slug=f"t{number}")
            Project.objects.create(organization=acme, team=team, name=f"P{number}", slug=f"p{number}")
            Project.objects.create(organization=acme, team=search, name=f"S{number}", slug=f"s{number}")
    write(acme.pk, [make_event(f"t{n}", at, f"m{n}", project=f"p{n}", user=f"u{n}@acme.test") for n in range(12)])
    write(acme.pk, [make_event(f"s{n}", at, f"m{n}", project=f"s{n}") for n in range(12)])
    assert count() == few


# ── What the plan includes ──

CSV = ("list.csv", "trend.csv", "cost-centers.csv")


def test_without_a_plan_nothing_is_held_back(alice_client: Client, usage: None) -> None:
    for name in CSV:
        assert alice_client.get(f"{URL}{name}").status_code == 200


def test_a_plan_without_it_says_which_has_it_and_shows_no_figure(
    alice_client: Client, vera_client: Client, acme: Organization, usage: None
) -> None:
    subscribed(acme, "startup", now())
    context = shown(alice_client).context
    assert "teams" not in context
    assert "summary" not in context
    page = shown(alice_client).content.decode()
    assert "The Enterprise plan has it" in page
    assert 'href="/o/acme/billing/"' in page
    assert 'href="/o/acme/teams/?range=today"' in page  # it stays in the menu
    assert "4,107" not in page
    # Who may not look at plans is not sent there.
    assert "/o/acme/billing/" not in shown(vera_client).content.decode()
    for name in CSV:
        refused = alice_client.get(f"{URL}{name}?range=today")
        assert refused.status_code == 403
        assert "plan does not include usage by team" in refused.content.decode()


def test_a_plan_with_it_has_all_of_it(alice_client: Client, acme: Organization, usage: None) -> None:
    subscribed(acme, "enterprise", now())
    assert rows(shown(alice_client).context)["Search"] == 1100 + 2050 + 330
    for name in CSV:
        assert alice_client.get(f"{URL}{name}").status_code == 200


def test_who_administers_a_team_keeps_its_view_on_the_overview(
    bob_client: Client, bob: User, acme: Organization, search: Team, usage: None
) -> None:
    subscribed(acme, "startup", now())
    leads(bob, search)
    assert "withheld" in shown(bob_client).context
    page = bob_client.get("/o/acme/overview?range=today&team=search")
    assert page.status_code == 200
    assert page.context["summary"][0]["value"] == 1100 + 2050 + 330

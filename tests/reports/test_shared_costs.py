"""What no department used is divided among them, to the last nano-dollar, in a way that stands in the address."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Department, Organization, Project, Team, TeamMembership, User
from core.money import nanos_from_usd
from core.tenancy import organization_scope
from metering.events import Usage
from metering.query.metrics import Figures
from reports.shared_costs import RULES, Place, divide
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write
from tests.reports.test_teams import AT_A_TIME, support

URL = "/o/acme/costs/shared"
__all__ = ["support"]


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User, search: Team, support: Team) -> None:
    """Engineering: bob's two calls. Customers: alice's one. Shared: nobody's, and one of a team without department."""
    at = now() - AT_A_TIME
    with organization_scope(acme.pk):
        TeamMembership.objects.create(organization=acme, team=support, membership=membership_of(alice, acme))
        loose = Team.objects.create(organization=acme, name="Loose", slug="loose")
        Project.objects.create(organization=acme, team=loose, name="Lab", slug="lab")
    write(
        acme.pk,
        [
            make_event("b1", at, usage=Usage(input=1000, output=100), user=bob.email),
            make_event("b2", at, usage=Usage(input=2000, output=200), user=bob.email),
            make_event("a1", at, usage=Usage(input=500, output=50), user=alice.email),
            make_event("n1", at, usage=Usage(input=71, output=7)),
            make_event("l1", at, usage=Usage(input=30, output=3), project="lab"),
            make_event("o1", at, "odd-model", Usage(input=9, output=0)),
        ],
    )


def cost(prompt: int, completion: int) -> int:
    return prompt * 2_501 + completion * 10_007


ENGINEERING, CUSTOMERS, POOL = cost(3000, 300), cost(500, 50), cost(101, 10)


def shown(client: Client, query: str = "range=today", status: int = 200) -> Any:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == status, response.content[:500]
    return response


def parts(context: Any) -> dict[str, int]:
    return {row["label"]: row["shared_nanos"] for row in context["table"]["rows"]}


def test_what_is_shared_is_what_no_department_used(alice_client: Client, usage: None) -> None:
    context = shown(alice_client).context
    assert context["pool"]["cost_nanos"] == POOL
    assert context["direct_nanos"] == ENGINEERING + CUSTOMERS
    assert context["pool"]["unpriced_tokens"] == 9
    sources = {tuple(row["names"][:2]): row["cost_nanos"] for row in context["sources"]["rows"]}
    assert sources == {("No project", "No team"): cost(71, 7), ("Lab", "Loose"): cost(30, 3)}


@pytest.mark.parametrize("rule", RULES)
def test_the_parts_sum_to_the_pool_and_all_to_the_total(alice_client: Client, usage: None, rule: str) -> None:
    context = shown(alice_client, f"range=today&rule={rule}").context
    assert sum(parts(context).values()) == POOL
    rows = context["table"]["rows"]
    assert sum(row["total_nanos"] for row in rows) == context["table"]["total_nanos"] == ENGINEERING + CUSTOMERS + POOL
    assert sum(center["total_nanos"] for center in context["centers"]) == context["table"]["total_nanos"]
    overview = alice_client.get("/o/acme/overview?range=today").context
    assert overview["position"]["cost_nanos"] == context["table"]["total_nanos"]


def test_evenly_by_people_and_by_direct_cost(
    alice_client: Client, acme: Organization, search: Team, alice: User, usage: None
) -> None:
    half = POOL // 2
    even = parts(shown(alice_client, "range=today&rule=even").context)
    assert sorted(even.values()) == sorted([half, POOL - half])
    direct = parts(shown(alice_client).context)
    assert abs(direct["Engineering"] * (ENGINEERING + CUSTOMERS) - POOL * ENGINEERING) < ENGINEERING + CUSTOMERS
    with organization_scope(acme.pk):
        TeamMembership.objects.create(organization=acme, team=search, membership=membership_of(alice, acme))
    people = shown(alice_client, "range=today&rule=headcount").context
    assert {row["label"]: row["people"] for row in people["table"]["rows"]} == {"Engineering": 2, "Customers": 1}
    assert abs(parts(people)["Engineering"] * 3 - POOL * 2) < 3


def test_the_file_has_every_digit(alice_client: Client, usage: None) -> None:
    response = alice_client.get(f"{URL}.csv?range=today&rule=even")
    lines = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert [line["cost_center"] for line in lines] == ["CC-100", "CC-200"]
    total = sum(nanos_from_usd(Decimal(line["total_cost_usd"])) for line in lines)
    assert total == ENGINEERING + CUSTOMERS + POOL
    assert sum(nanos_from_usd(Decimal(line["shared_cost_usd"])) for line in lines) == POOL


def test_without_anything_to_divide_by_it_says_so(alice_client: Client, acme: Organization) -> None:
    write(acme.pk, [make_event("n1", now() - AT_A_TIME)])
    for rule in RULES.values():
        response = shown(alice_client, f"range=today&rule={rule.key}")
        assert rule.missing in response.content.decode()
        assert response.context["chart"] is None
    lines = alice_client.get(f"{URL}.csv?range=today").content.decode().splitlines()
    assert lines[1].startswith("No department,")


def test_a_deleted_department_keeps_its_cost_and_bears_no_even_part(
    alice_client: Client, acme: Organization, support: Team, usage: None
) -> None:
    with organization_scope(acme.pk):
        number = Department.objects.get(name="Customers").pk
        Department.objects.filter(pk=number).delete()
    rows = {row["label"]: row for row in shown(alice_client, "range=today&rule=even").context["table"]["rows"]}
    assert rows[str(number)]["direct_nanos"] == CUSTOMERS
    assert rows[str(number)]["shared_nanos"] == 0
    assert rows["Engineering"]["shared_nanos"] == POOL


def test_filters_by_what_is_divided_do_not_count(alice_client: Client, usage: None) -> None:
    context = shown(alice_client, "range=today&department=Engineering&team=search").context
    assert context["pool"]["cost_nanos"] == POOL
    assert context["page"]["filters"] == []
    assert not {"Department", "Team"} & {option["label"] for option in context["page"]["add_filter"]}
    assert shown(alice_client, "range=today&model=claude").context["page"]["has_data"] is False


def test_the_bar_offers_only_what_changes_the_division(alice_client: Client, usage: None) -> None:
    page = shown(alice_client, "range=month").context["page"]
    assert page["interval"]["options"] == []
    assert "options" not in page["compare"]


def test_an_unknown_rule_is_told(alice_client: Client, usage: None) -> None:
    assert "rule is one of" in shown(alice_client, "rule=fair", status=422).content.decode()
    assert alice_client.get(f"{URL}.csv?rule=fair").status_code == 422


def test_who_may_see_it(
    vera_client: Client, fiona_client: Client, bob_client: Client, charlie_client: Client, usage: None
) -> None:
    assert len(shown(fiona_client).context["sources"]["columns"]) == 3
    # A viewer sees no keys.
    assert shown(vera_client).context["sources"]["columns"] == ["Project", "Team"]
    assert bob_client.get(URL).status_code == 403
    assert charlie_client.get(URL).status_code == 404


def test_queries_do_not_grow_with_departments(alice_client: Client, acme: Organization, usage: None) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client)
        return len(captured)

    shown(alice_client)
    few = count()
    with organization_scope(acme.pk):
        for number in range(10):
            department = Department.objects.create(organization=acme, name=f"D{number}")
            team = Team.objects.create(organization=acme, department=department, name=f"T{number}", slug=f"t{number}")
            Project.objects.create(organization=acme, team=team, name=f"P{number}", slug=f"p{number}")
    write(acme.pk, [make_event(f"t{n}", now() - AT_A_TIME, project=f"p{n}") for n in range(10)])
    assert count() == few


PLACES = st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 500), st.booleans()), max_size=12)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PLACES, st.integers(0, 10**15), st.sampled_from(list(RULES.values())))
def test_a_division_loses_and_adds_nothing(found: list[tuple[int, int, bool]], pool: int, rule: Any) -> None:
    places = [
        Place(f"d{n}", f"D{n}", "", people if exists else 0, direct, exists)
        for n, (direct, people, exists) in enumerate(found)
    ]
    division = divide(places, Figures(requests=1, known_cost_nanos=pool), rule)
    assert division.total_nanos == sum(direct for direct, _, _ in found) + pool
    if division.parts is None:
        assert not any(map(rule.weight, places))
    else:
        assert sum(division.parts) == pool
        assert sum(division.borne(at) or 0 for at in range(len(places))) == division.total_nanos

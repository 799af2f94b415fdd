"""Where the month stands, for the organization, a team and a member: the allowance, limits, and what it comes to."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Organization, Project, Team, TeamMembership, User
from core.money import NANOS_PER_USD
from core.periods import day_start, local_day
from core.tenancy import organization_scope
from metering.events import Usage
from metering.models import Limit, LimitKind, LimitPeriod, LimitUnit
from tests.cast import Key, membership_of
from tests.metering.limits.calls import limit
from tests.metering.query.usage import make_event, write

URL = "/o/acme/overview"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User, search: Team) -> None:
    """A moment ago: bob 45,230 tokens (team Search), alice 10,000."""
    at = timezone.now() - dt.timedelta(seconds=30)
    write(
        acme.pk,
        [
            make_event("b", at, usage=Usage(input=45_000, output=230), user=bob.email),
            make_event("a", at, usage=Usage(input=9_000, output=1_000), user=alice.email),
        ],
    )


def budget(organization: Organization, dollars: float, source: str, **fields: Any) -> Limit:
    return limit(
        organization,
        round(dollars * NANOS_PER_USD),
        unit=LimitUnit.COST,
        kind=LimitKind.BUDGET,
        source=source,
        label=f"Budget {source}",
        **fields,
    )


def shown(client: Client, query: str = "") -> Any:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == 200, response.content[:500]
    return response


def words(response: Any) -> str:
    return " ".join(response.content.decode().split())


def leads_search(bob: User, acme: Organization, search: Team) -> None:
    with organization_scope(acme.pk):
        TeamMembership.objects.filter(team=search, membership=membership_of(bob, acme)).update(is_admin=True)


# ── The allowance ──


def test_the_organizations_allowance_is_the_apis(
    alice_client: Client, acme: Organization, acme_key: Key, usage: None
) -> None:
    limit(acme, 100_000)
    response = shown(alice_client)
    allowance = response.context["position"]["allowance"]
    told = acme_key.client.get("/v1/usage").json()["allowance"]
    assert (allowance["used"], allowance["limit"]) == (told["used"], told["limit"]) == (55_230, 100_000)
    assert round(float(allowance["share"]) * 100, 1) == told["percent"]
    assert "55,230" in words(response)
    assert "/ 100,000 (55.2%)" in words(response)
    assert response.context["shell"]["allowance"]["percent"] == Fraction(55_230, 100_000)


def test_without_an_allowance_it_says_unlimited(alice_client: Client, usage: None) -> None:
    response = shown(alice_client)
    assert response.context["position"]["allowance"] is None
    assert "/ unlimited" in words(response)
    assert response.context["shell"]["allowance"] is None


def test_an_unlimited_allowance_is_none(alice_client: Client, acme: Organization, usage: None) -> None:
    limit(acme, None)
    assert "/ unlimited" in words(shown(alice_client))


def test_of_a_narrowed_view_nothing_is_said(alice_client: Client, acme: Organization, usage: None) -> None:
    limit(acme, 100_000)
    response = shown(alice_client, "model=gpt-4o")
    assert response.context["position"]["allowance"] is None
    assert "unlimited" not in words(response)


def test_a_member_is_measured_by_their_own_cap(bob_client: Client, bob: User, acme: Organization, usage: None) -> None:
    limit(acme, 1_000_000)
    limit(acme, 100_000, source="own", label="Bob's tokens", member_id=membership_of(bob, acme).pk)
    response = shown(bob_client)
    assert "/ 100,000 (45.2%)" in words(response)
    assert response.context["shell"]["allowance"]["used"] == 45_230
    assert [row["label"] for row in response.context["limits"]["rows"]] == ["Bob's tokens"]


def test_without_a_cap_a_members_usage_is_a_part_of_everybodys(
    bob_client: Client, acme: Organization, usage: None
) -> None:
    limit(acme, 1_000_000, label="The plan's allowance")
    response = shown(bob_client)
    assert "/ 1,000,000 (4.5%)" in words(response)
    for said in (words(response), words(bob_client.get("/o/acme/quick"))):
        assert "Your part: 4.5% of 1,000,000 tokens." in said
        assert "The plan&#x27;s allowance is shared by everybody" in said
        # 4.5% of it are used by this person, not of the allowance in all.
        assert "4.5% used" not in said
    # How much of it the others used is not theirs to know.
    assert "55,230" not in words(response)
    assert response.context["shell"]["allowance"] is None
    assert response.context["limits"] is None


def test_a_teams_cap_is_the_teams(bob_client: Client, bob: User, search: Team, acme: Organization, usage: None) -> None:
    leads_search(bob, acme, search)
    limit(acme, 1_000_000)
    limit(acme, 50_000, source="team", label="Search's tokens", team_id=search.pk)
    response = shown(bob_client, "team=search")
    assert "/ 50,000 (90.5%)" in words(response)
    assert [row["label"] for row in response.context["limits"]["rows"]] == ["Search's tokens"]
    assert "Search&#x27;s tokens is at 90.5%." in words(response)
    assert "Search" not in [row["label"] for row in (shown(bob_client).context["limits"] or {"rows": []})["rows"]]


def test_a_period_of_its_own_is_measured_by_itself(alice_client: Client, acme: Organization, usage: None) -> None:
    today = local_day(timezone.now(), acme.zone)
    begins, ends = today - dt.timedelta(days=3), today + dt.timedelta(days=27)
    limit(acme, 200_000, period=LimitPeriod.FIXED, starts_on=begins, ends_on=ends)
    long_ago = day_start(begins, acme.zone) - dt.timedelta(hours=1)
    write(acme.pk, [make_event("before", long_ago, usage=Usage(input=5_000, output=0))])
    response = shown(alice_client)
    allowance = response.context["position"]["allowance"]
    assert (allowance["used"], allowance["since"]) == (55_230, begins)
    assert f"Tokens since {begins.day} {begins:%b}" in words(response)


@pytest.mark.parametrize(("is_hard", "said"), [(True, "calls are refused"), (False, "further tokens are charged")])
def test_what_happens_beyond_is_said(
    alice_client: Client, acme: Organization, usage: None, is_hard: bool, said: str
) -> None:
    limit(acme, 50_000, is_hard=is_hard)
    response = shown(alice_client)
    assert f"It is used up; {said}." in words(response)
    assert response.context["position"]["allowance"]["status"] == "critical"


# ── Limits ──


def test_limits_with_their_scope_the_fullest_first(
    alice_client: Client, bob: User, search: Team, acme: Organization, usage: None
) -> None:
    cost = (54_000 * 2_501 + 1_230 * 10_007) / NANOS_PER_USD
    limit(acme, 100_000)
    budget(acme, cost * 2, "organization")
    budget(acme, cost, "team", team_id=search.pk)
    limit(acme, 400_000, source="model", label="gpt-4o of bob", model="gpt-4o", member_id=membership_of(bob, acme).pk)
    limit(acme, None, source="unlimited", label="No bound", team_id=search.pk)
    table = shown(alice_client).context["limits"]
    assert [(row["label"], row["scope"]) for row in table["rows"]] == [
        ("Budget team", "Search"),
        ("The monthly allowance", "Acme"),
        ("Budget organization", "Acme"),
        ("gpt-4o of bob", "Bob, gpt-4o"),
    ]
    row = table["rows"][3]
    context = alice_client.get(row["url"]).context
    assert context["summary"][0]["value"] == 45_230


def test_credits_are_shown_to_who_sees_money(
    fiona_client: Client, vera_client: Client, acme: Organization, usage: None
) -> None:
    limit(
        acme,
        NANOS_PER_USD,
        unit=LimitUnit.COST,
        kind=LimitKind.CREDITS,
        source="wallet",
        label="Credits",
        period=LimitPeriod.FIXED,
        starts_on=dt.date(2026, 1, 1),
    )
    assert [row["label"] for row in shown(fiona_client).context["limits"]["rows"]] == ["Credits"]
    assert shown(vera_client).context["limits"] is None


def test_an_even_days_part_of_a_limit_is_marked_in_the_chart(
    alice_client: Client, acme: Organization, usage: None
) -> None:
    limit(acme, 1_000_000)
    budget(acme, 3, "organization")
    today = local_day(timezone.now(), acme.zone)
    days = ((today.replace(day=1) + dt.timedelta(days=32)).replace(day=1) - today.replace(day=1)).days
    (mark,) = shown(alice_client).context["chart"]["json"]["marks"]
    assert mark["y"] == 1_000_000 // days
    (mark,) = shown(alice_client, "measure=cost").context["chart"]["json"]["marks"]
    assert mark["role"] == "budget"
    for query in ("measure=requests", "interval=week", "model=gpt-4o", "measure=input_cost"):
        assert shown(alice_client, query).context["chart"]["json"]["marks"] == []


# ── What it comes to ──


def test_the_projected_bill_goes_on_as_the_weeks_before(alice_client: Client, acme: Organization) -> None:
    today = local_day(timezone.now(), acme.zone)
    noon = [day_start(today - dt.timedelta(days=n), acme.zone) + dt.timedelta(hours=11) for n in range(1, 400)]
    write(acme.pk, [make_event(f"d{n}", at, usage=Usage(input=1_000, output=0)) for n, at in enumerate(noon)])
    projected = shown(alice_client).context["position"]["projected"]
    days = ((today.replace(day=1) + dt.timedelta(days=32)).replace(day=1) - today.replace(day=1)).days
    a_day = 1_000 * 2_501
    assert (days - 1) * a_day <= projected["cost_nanos"] <= days * a_day
    assert projected["low_nanos"] == projected["cost_nanos"] == projected["high_nanos"]
    assert projected["label"] == "Projected bill"
    assert "off by less than 0.1%" in projected["sentence"]


def test_with_little_history_it_says_so(alice_client: Client, bob_client: Client, usage: None) -> None:
    response = shown(alice_client)
    assert response.context["position"]["projected"]["cost_nanos"] is None
    assert "Too little history" in words(response)
    assert shown(bob_client).context["position"]["projected"]["label"] == "Projected cost"


def test_filters_that_no_roll_up_answers_are_not_projected(alice_client: Client, usage: None) -> None:
    projected = shown(alice_client, "model=gpt-4o&feature=none").context["position"]["projected"]
    assert projected["cost_nanos"] is None
    assert "one value of one filter" in projected["sentence"]


# ── Frames and zones ──


def test_the_frame_costs_nothing_twice(alice_client: Client, acme: Organization, usage: None) -> None:
    limit(acme, 100_000)
    path = "/o/acme/settings/members/"
    alice_client.get(path)
    with CaptureQueriesContext(connection) as captured:
        page = alice_client.get(path)
    assert page.context["shell"]["allowance"]["used"] == 55_230
    assert not [query for query in captured if "metering_" in query["sql"]]


def test_queries_do_not_grow_with_limits(alice_client: Client, acme: Organization, search: Team, usage: None) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client)
        return len(captured)

    limit(acme, 100_000)
    budget(acme, 5, "first", team_id=search.pk)
    shown(alice_client)
    few = count()
    for number in range(12):
        budget(acme, 5, f"more{number}", team_id=search.pk)
    assert count() == few


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Asia/Kathmandu", dt.date(2026, 11, 10)),
        # 25 and 23 hours long.
        ("Europe/Berlin", dt.date(2026, 10, 25)),
        ("Europe/Berlin", dt.date(2026, 3, 29)),
        ("Australia/Lord_Howe", dt.date(2026, 4, 5)),
    ],
)
def test_days_are_the_zones_own(
    alice_client: Client,
    acme: Organization,
    acme_key: Key,
    website: Project,
    zone: str,
    day: dt.date,
) -> None:
    """Calls in the first and the last minute of a day, and just outside of it: overview, teams and API agree."""
    acme.timezone = zone
    with organization_scope(acme.pk):
        acme.save()
    place = ZoneInfo(zone)
    begins, ends = day_start(day, place), day_start(day + dt.timedelta(days=1), place)
    minute = dt.timedelta(minutes=1)
    moments = {"before": begins - minute, "first": begins, "last": ends - minute, "after": ends}
    write(
        acme.pk,
        [
            make_event(name, at, usage=Usage(input=2**n, output=0), project="website")
            for n, (name, at) in enumerate(moments.items())
        ],
    )
    query = f"range=custom&from={day}T00:00&to={day + dt.timedelta(days=1)}T00:00"
    for url in (URL, "/o/acme/teams/"):
        response = alice_client.get(f"{url}?{query}")
        assert response.status_code == 200
        assert response.context["summary"][0]["value"] == 2 + 4
        table = response.context["chart"]["table"]
        hours = (ends - begins) // dt.timedelta(hours=1)
        assert len(table["rows"]) >= hours
        assert table["rows"][0]["cells"][-3 if url == URL else -1] == "2"
        assert table["totals"][0 if url == URL else -1] == "6"
    told = acme_key.client.get(f"/v1/usage/query?from={day}&to={day}&interval=day").json()
    assert [row["total_tokens"] for row in told["data"]] == [6]

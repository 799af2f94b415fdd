"""One budget's page: its figure is the usage's to the last digit, and the way to that usage."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, Project, Team, User
from billing.budgets.crossings import watch_budgets
from billing.budgets.reach import Reach
from billing.budgets.records import archive_budget, change_budget, create_budget
from billing.models import Budget
from core.figures import money_exact
from core.periods import local_day, month_start
from core.tenancy import organization_scope
from metering.events import Usage
from tests.billing.plans import BY
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
LIST = "/o/acme/budgets/"
USD = 10**9
# One token of these tests' model.
TOKEN = 2_501


def budget(organization: Organization, scope: str = "organization", ref: int = 0, **fields: Any) -> Budget:
    return create_budget(organization, {"scope": scope, "ref": ref, "amount": 10 * USD, **fields}, Reach.whole(), by=BY)


def address(row: Budget) -> str:
    return f"{LIST}{row.pk}/"


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return " ".join(answer.content.decode().split())


@pytest.fixture
def usage(acme: Organization, website: Project) -> None:
    """Of today, three calls: two of the project, one of another model and feature."""
    at = now()
    write(
        acme.pk,
        [
            make_event("a", at, usage=Usage(input=1_000_001), project="website", feature="chat"),
            make_event("b", at, usage=Usage(input=7), project="website", feature="search"),
            make_event("c", at, "gpt-4o-mini", usage=Usage(input=999), feature="chat"),
        ],
    )


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 1_001_007),
        ({"model": "gpt-4o"}, 1_000_008),
        ({"feature": "chat"}, 1_001_000),
        ({"unit": "tokens", "amount": 2_000_000}, 1_001_007),
    ],
)
def test_the_way_leads_to_the_same_figure(
    acme: Organization, alice_client: Client, usage: None, fields: dict[str, Any], tokens: int
) -> None:
    row = budget(acme, **fields)
    answer = alice_client.get(address(row))
    actual, proof = answer.context["actual"], answer.context["proof"]
    expected = tokens if fields.get("unit") == "tokens" else tokens * TOKEN
    assert (actual.used, proof["sum"], proof["difference"]) == (expected, expected, 0)
    page = " ".join(answer.content.decode().split())
    exact = f"{tokens:,}" if fields.get("unit") == "tokens" else money_exact(expected)
    assert page.count(exact) >= 2, "as it is, and as the usage sums up"
    explored = text(alice_client, answer.context["row"]["usage_url"])
    assert exact in explored, "to the last digit"


def test_a_projects_usage_has_its_filter(
    acme: Organization, alice_client: Client, usage: None, website: Project
) -> None:
    row = budget(acme, "project", website.pk, feature="chat")
    page = alice_client.get(address(row))
    asked = parse_qs(urlsplit(page.context["row"]["usage_url"]).query)
    assert (asked["project"], asked["feature"], asked["measure"]) == (["website"], ["chat"], ["cost"])
    assert money_exact(1_000_001 * TOKEN) in text(alice_client, page.context["row"]["usage_url"])
    assert page.context["row"]["usage_url"].replace("&", "&amp;") in alice_client.get(LIST).content.decode()


def test_the_chart_adds_up_to_the_actual_and_stops_today(acme: Organization, alice_client: Client, usage: None) -> None:
    row = budget(acme)
    context = alice_client.get(address(row)).context
    spec, table = context["chart"]["json"], context["chart"]["table"]
    today = local_day(now(), acme.zone)
    partial = next(one for one in spec["series"] if one["role"] == "partial")
    assert partial["data"][today.day - 1] == float(Decimal(1_001_007 * TOKEN) / USD)
    assert partial["texts"][today.day :] == [None] * (len(spec["labels"]) - today.day)
    pace = next(one for one in spec["series"] if one["role"] == "previous")
    assert pace["data"][-1] == 10
    assert spec["marks"][0]["y"] == 10
    assert table["rows"][today.day - 1]["cells"][:2] == [money_exact(1_001_007 * TOKEN)] * 2


def test_crossings_who_set_it_and_what_was_changed(acme: Organization, alice_client: Client, usage: None) -> None:
    row = budget(acme, amount=3 * USD, name="Everything")
    watch_budgets(acme, now())
    change_budget(row, {"amount": 4 * USD}, Reach.whole(), by=BY)
    page = text(alice_client, address(row))
    assert "Everything" in page
    assert 'Warning <span class="tl-muted fw-normal">75%</span>' in page
    assert "$2.50 of $3.00" in page
    assert "command test" in page
    assert "$4.00" in page
    assert f"{address(row)}change/" in page


def test_another_month(acme: Organization, alice_client: Client) -> None:
    first = month_start(local_day(now(), acme.zone))
    before = first - dt.timedelta(days=1)
    write(acme.pk, [make_event("a", dt.datetime.combine(before, dt.time(12), dt.UTC), usage=Usage(input=10))])
    row = budget(acme)
    assert f"{before:%B %Y}" in text(alice_client, address(row))
    earlier = alice_client.get(f"{address(row)}?month={before:%Y-%m}")
    assert earlier.context["actual"].used == 10 * TOKEN
    assert money_exact(10 * TOKEN) in text(alice_client, earlier.context["row"]["usage_url"])
    for nonsense in ("soon", f"{before.year - 9}-01", "2999-01"):
        assert alice_client.get(f"{address(row)}?month={nonsense}").status_code == 404


def test_own_dates_are_not_months(acme: Organization, alice_client: Client, usage: None) -> None:
    today = local_day(now(), acme.zone)
    dates = {"starts_on": today - dt.timedelta(days=200), "ends_on": today + dt.timedelta(days=100)}
    row = budget(acme, period="custom", **dates)
    answer = alice_client.get(address(row))
    assert answer.context["actual"].used == 1_001_007 * TOKEN
    assert answer.context["proof"]["difference"] == 0
    assert money_exact(1_001_007 * TOKEN) in text(alice_client, answer.context["row"]["usage_url"])
    assert answer.context["before"] is None


def test_who_sees_it(
    acme: Organization,
    search: Team,
    website: Project,
    bob: User,
    bob_client: Client,
    vera_client: Client,
    charlie_client: Client,
) -> None:
    whole, own = budget(acme), budget(acme, "member", membership_of(bob, acme).pk)
    assert [client.get(address(whole)).status_code for client in (vera_client, bob_client, charlie_client)] == [
        200,
        404,
        404,
    ]
    answer = bob_client.get(address(own))
    assert answer.status_code == 200
    assert f"{address(own)}change/" not in answer.content.decode()
    assert answer.context["entries"] == [], "the history is for those who set it"
    assert bob_client.get(answer.context["row"]["usage_url"]).status_code == 200
    archive_budget(own, Reach.whole(), by=BY)
    assert bob_client.get(address(own)).status_code == 404


def test_the_history_is_in_words(acme: Organization, alice_client: Client) -> None:
    values = {"scope": "organization", "ref": 0, "amount": 10**10}
    one = create_budget(acme, values, Reach.whole(), by=BY)
    change_budget(one, {"is_hard": True}, Reach.whole(), by=BY)
    page = " ".join(alice_client.get(f"/o/acme/budgets/{one.pk}/").content.decode().split())
    for words in ("refuses calls beyond it: no", "for: the organization", "counts the usage of one: Organization",
                  "in: Cost", "period: Calendar month"):  # fmt: skip
        assert f">{words}<" in page, words
    assert "is hard" not in page


def test_one_that_there_is_not(acme: Organization, alice_client: Client, globex: Organization) -> None:
    with organization_scope(globex.pk):
        other = budget(globex)
    assert alice_client.get(address(other)).status_code == 404

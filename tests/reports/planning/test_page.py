"""The planning page: sums that agree with the usage page, proposals that become budgets once, for who may set them."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.core.signing import TimestampSigner
from django.test import Client

from accounts.models import Organization, Project, Team, TeamMembership, User
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from billing.models import Budget
from core.money import usd_text
from core.tenancy import organization_scope
from tests.billing.plans import BY
from tests.cast import logged_in, make_member, membership_of
from tests.reports.forecasting.daily import kept_cost, use

pytestmark = pytest.mark.django_db
PAGE, FILE, APPLY = "/o/acme/planning/", "/o/acme/planning/plan.csv", "/o/acme/planning/budgets"
USD = 10**9


@pytest.fixture
def usage(acme: Organization, website: Project, search: Team) -> None:
    """Of the team Search and of no team, at some dollars a day."""
    use(acme, 70, "team", project="website")
    use(acme, 70, "none")


def context(client: Client, query: str = "") -> Any:
    answer = client.get(f"{PAGE}?{query}")
    assert answer.status_code == 200, answer.content[:500]
    return answer.context


def budgets(organization: Organization) -> list[tuple[str, int, int]]:
    with organization_scope(organization.pk):
        return list(Budget.objects.order_by("pk").values_list("scope", "ref", "amount"))


def test_the_rows_are_all_there_is(alice_client: Client, acme_api: Client, acme: Organization, usage: None) -> None:
    shown = context(alice_client)
    plan = shown["plan"]
    assert {row.label for row in plan.rows} == {"Search", "No team"}
    month = plan.month
    last_day = month.ends_on - dt.timedelta(days=1)
    api = acme_api.get("/v1/usage", {"from": str(month.starts_on), "to": str(last_day)}).json()
    assert usd_text(plan.actual) == api["total_cost_usd"]
    assert sum(row.actual for row in plan.rows) == plan.actual == plan.whole.actual == shown["sums"]["actual"]
    whole = kept_cost(acme)
    assert whole.outlook is not None
    assert plan.whole.forecast == plan.whole.planned == whole.outlook.totals[plan.days - 1]
    assert all(row.proposed >= row.planned.likely * 6 // 5 for row in plan.rows if row.proposed)
    assert next(row for row in plan.rows if row.label == "No team").may_set is False


def test_changes_are_in_the_address_and_in_every_row(alice_client: Client, usage: None) -> None:
    plain, grown = context(alice_client)["plan"], context(alice_client, "growth=100&end=likely")["plan"]
    for before, after in zip(plain.rows, grown.rows, strict=True):
        assert after.planned.likely == before.planned.likely * 2
        assert after.forecast == before.forecast
    assert [(effect.label, effect.nanos) for effect in grown.effects] == [("growth", plain.actual)]
    (notice,) = context(alice_client, "model=gpt-4o&to=nothing-like-it")["notices"]
    assert notice["fact"] == "The switch is not counted."
    shown = context(alice_client, "model=unknown&to=openai/gpt-4o-mini&price=provider:nobody&change=50")
    assert [one["text"].partition(" was made to ")[2] for one in shown["notices"]] == ["a model unknown.", "nobody."]
    assert shown["switched"] is None
    assert all(row.planned == row.forecast for row in shown["plan"].rows)
    assert alice_client.get(f"{PAGE}?growth=lots").status_code == 422
    answer = alice_client.get(f"{PAGE}?growth=5&model=&to=&share=100", headers={"HX-Request": "true"})
    assert answer["HX-Push-Url"] == f"{PAGE}?growth=5"


def test_the_file_has_the_rows_exactly(alice_client: Client, usage: None) -> None:
    plan = context(alice_client, "growth=7")["plan"]
    lines = list(csv.DictReader(io.StringIO(alice_client.get(f"{FILE}?growth=7").content.decode())))
    assert [line["for"] for line in lines] == [*(row.label for row in plan.rows), "Acme"]
    for line, row in zip(lines, (*plan.rows, plan.whole), strict=True):
        assert line["last_month_usd"] == usd_text(row.actual)
        assert line["planned_likely_usd"] == usd_text(row.planned.likely)
        assert line["forecast_high_usd"] == usd_text(row.forecast.high)


def test_proposals_become_budgets_once(alice_client: Client, acme: Organization, search: Team, usage: None) -> None:
    query = f"for=team:{search.pk}&for=organization:0&headroom=20"
    shown = alice_client.get(f"{APPLY}?{query}").context["rows"]
    assert [row.label for row, _ in shown] == ["Search", "Acme"]
    posted = {"budget": [value for _, value in shown]}
    for _ in range(2):
        assert alice_client.post(APPLY, posted).status_code == 302
    assert budgets(acme) == [("team", search.pk, shown[0][0].proposed), ("organization", 0, shown[1][0].proposed)]
    # Another scenario changes the same budget; what is so already is left alone.
    alice_client.post(APPLY, {"budget": [signed(acme, f"team:{search.pk}=77"), posted["budget"][1]]})
    assert budgets(acme) == [("team", search.pk, 77 * USD), ("organization", 0, shown[1][0].proposed)]
    rows = {row.label: row for row in context(alice_client)["plan"].rows}
    assert rows["Search"].current.amount == 77 * USD


@pytest.mark.parametrize(
    "sent",
    [
        [], ["team:1"], ["project:1=5"], ["team:1=-5"], ["team:999999=5"], ["organization:0=0"], ["organization:5=10"],
        ["team:\u0661=5"], ["team:0=5"],
    ],
)  # fmt: skip
def test_nonsense_sets_nothing(alice_client: Client, acme: Organization, usage: None, sent: list[str]) -> None:
    answer = alice_client.post(
        APPLY, {"budget": [signed(acme, text) for text in ["organization:0=5", *sent]] if sent else []}
    )
    assert answer.status_code == 302
    assert answer["location"] == PAGE
    assert budgets(acme) == []


def test_only_what_this_plan_showed_is_set(alice_client: Client, acme: Organization, globex: Organization) -> None:
    for text in ("organization:0=999999999", signed(globex, "organization:0=5"), signed(acme, "organization:0=5")[:-1]):
        assert alice_client.post(APPLY, {"budget": [text]}).status_code == 302
    assert budgets(acme) == []


def signed(organization: Organization, text: str) -> str:
    return TimestampSigner(salt=f"reports.planning.{organization.pk}").sign(text)


def test_budgets_of_other_kinds_are_not_taken_for_the_teams(
    alice_client: Client, acme: Organization, search: Team, usage: None
) -> None:
    for fields in ({"model": "gpt-4o"}, {"unit": "tokens"}, {}):
        create_budget(acme, {"scope": "team", "ref": search.pk, "amount": 90 * USD, **fields}, Reach.whole(), by=BY)
    rows = {row.label: row for row in context(alice_client)["plan"].rows}
    assert (rows["Search"].current.model, rows["Search"].current.unit) == ("", "cost")


def test_who_administers_a_team_plans_for_it_alone(
    bob: User, bob_client: Client, vera_client: Client, acme: Organization, search: Team, usage: None
) -> None:
    assert bob_client.get(PAGE).status_code == 403
    with organization_scope(acme.pk):
        TeamMembership.objects.filter(membership=membership_of(bob, acme)).update(is_admin=True)
        other = Team.objects.create(organization=acme, name="Other", slug="other")
    plan = context(bob_client)["plan"]
    assert [row.label for row in plan.rows] == ["Search"]
    assert plan.whole is None
    assert plan.actual == plan.rows[0].actual
    assert bob_client.post(APPLY, {"budget": [signed(acme, f"team:{other.pk}=5")]}).status_code == 403
    assert bob_client.post(APPLY, {"budget": [signed(acme, "organization:0=5")]}).status_code == 403
    assert bob_client.post(APPLY, {"budget": [signed(acme, f"team:{search.pk}=5")]}).status_code == 302
    assert budgets(acme) == [("team", search.pk, 5 * USD)]
    # A viewer reads, and sets nothing.
    assert not context(vera_client)["may_set"]
    assert vera_client.get(APPLY).status_code == 403
    outsider = logged_in(make_member(acme, "nobody", "member"))
    assert outsider.get(PAGE).status_code == 403


def test_without_usage_there_is_nothing_to_plan(alice_client: Client) -> None:
    assert "Nothing to plan yet" in alice_client.get(PAGE).content.decode()

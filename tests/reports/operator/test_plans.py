"""The operator's plans: a new version is looked at before it is saved, and never changes what has been."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization
from billing.contracts import Contract
from billing.models import PlanVersion
from billing.plans import DEFAULT_PLAN, first_day_to_change, versions_on
from billing.subscriptions import cancel
from core.periods import next_month
from core.tenancy import organization_scope, unscoped
from tests.billing.plans import BY, subscribed

pytestmark = pytest.mark.django_db
LIST = "/operator/plans/"
CHANGE = f"{LIST}developer/change/"
MONTHS_AGO = now() - dt.timedelta(days=70)


def coming() -> dt.date:
    """A first of a month that has begun nowhere."""
    day = next_month(now().date())
    return day if day >= first_day_to_change(now()) else next_month(day)


def terms(**values: Any) -> dict[str, Any]:
    told = {
        "name": "Developer", "position": "3", "base_fee_nanos": "39", "allowance_tokens": "6000000",
        "overage": "charge", "requests_per_minute": "600", "tokens_per_minute": "600000", "trial_days": "14",
        "is_offered": "on",
        "effective_on": str(coming()), "seen": "2", **values,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def versions(code: str = "developer") -> list[PlanVersion]:
    with unscoped("test"):
        return list(PlanVersion.objects.filter(plan__code=code).order_by("number"))


@pytest.mark.parametrize("person", ["alice", "charlie"])
def test_nobody_else_learns_that_it_exists(person: str, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    for address in (LIST, f"{LIST}new/", f"{LIST}developer/", CHANGE):
        assert client.get(address).status_code == 404
    assert client.post(CHANGE, terms(step="save")).status_code == 404
    assert len(versions()) == 1


def test_the_list_counts_who_is_on_each(olga_client: Client, acme: Organization, globex: Organization) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    subscribed(globex, "developer", MONTHS_AGO)
    page = olga_client.get(LIST)
    counts = {row["version"].plan.code: row["count"] for row in page.context["rows"]}
    assert counts["developer"] == 2
    assert counts["startup"] == 0
    assert "$29.00" in page.content.decode()


def test_looked_at_then_saved(olga_client: Client, acme: Organization, globex: Organization) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    subscribed(globex, "startup", MONTHS_AGO)
    form = olga_client.get(CHANGE)
    assert form.context["form"]["base_fee_nanos"].value() == "29"
    looked_at = olga_client.post(CHANGE, terms())
    page = " ".join(looked_at.content.decode().split())
    assert len(versions()) == 1, "looking saves nothing"
    assert "Fee a period" in page
    assert "$29.00" in page
    assert "$39.00" in page
    assert [(one.organization.name, one.begins_on) for one in looked_at.context["touched"]] == [("Acme", coming())]
    answer = olga_client.post(CHANGE, terms(step="save"), follow=True)
    assert "in the audit log of 1 organization." in answer.content.decode()
    assert [(one.base_fee_nanos, one.made_by_label) for one in versions()][1] == (39 * 10**9, "olga@operator.test")
    contract = Contract.load(acme)
    assert contract is not None
    before, after = contract.version_on(coming() - dt.timedelta(days=1)), contract.version_on(coming())
    assert before is not None
    assert after is not None
    assert (before.base_fee_nanos, after.base_fee_nanos) == (29 * 10**9, 39 * 10**9)
    with organization_scope(acme.pk):
        entry = AuditEntry.objects.get(action="plan.change")
    assert entry.changes["base_fee_nanos"] == [29 * 10**9, 39 * 10**9]
    assert entry.actor_label == "olga@operator.test"
    with organization_scope(globex.pk):
        assert not AuditEntry.objects.filter(action="plan.change").exists()


def test_who_is_to_leave_before_it_begins_is_not_concerned(olga_client: Client, acme: Organization) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    cancel(acme, by=BY)
    assert olga_client.post(CHANGE, terms()).context["touched"] == []


def test_periods_that_begin_later_get_it_later(olga_client: Client, acme: Organization) -> None:
    subscribed(acme, "developer", MONTHS_AGO, anchor_day=15)
    touched = olga_client.post(CHANGE, terms()).context["touched"]
    assert [one.begins_on for one in touched] == [coming() + dt.timedelta(days=14)]


def test_a_later_version_that_is_there_ends_it(olga_client: Client, acme: Organization) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    later = next_month(coming())
    olga_client.post(CHANGE, terms(step="save", effective_on=str(later), base_fee_nanos="49"))
    looked_at = olga_client.post(CHANGE, terms(seen="3"))
    assert looked_at.context["preview"].after.effective_on == later
    assert f"until {later:%-d %B %Y}" in looked_at.content.decode()


def test_what_was_looked_at_is_what_is_saved(olga_client: Client) -> None:
    olga_client.post(CHANGE, terms(step="save"))
    answer = olga_client.post(CHANGE, terms(step="save", base_fee_nanos="44"))
    assert answer.status_code == 422
    assert "was changed meanwhile" in answer.content.decode()
    assert len(versions()) == 2


def test_back_to_the_form_keeps_what_was_typed(olga_client: Client) -> None:
    page = olga_client.post(CHANGE, terms(step="edit"))
    assert page.context["form"]["base_fee_nanos"].value() == "39"
    assert len(versions()) == 1


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"effective_on": "2026-01-01"}, "effective_on", "begun nowhere"),
        ({"base_fee_nanos": "-1"}, "base_fee_nanos", "greater than or equal to 0"),
        ({"base_fee_nanos": "1.0000000001"}, "base_fee_nanos", "no more than 9 decimal places"),
        ({"allowance_tokens": "-5"}, "allowance_tokens", "greater than or equal to 0"),
        ({"overage": "credits"}, "allowance_tokens", "includes no tokens"),
        ({"requests_per_minute": "9999999999"}, "requests_per_minute", "less than or equal to"),
        ({"features": "flying"}, "features", "Select a valid choice"),
        ({"name": ""}, "name", "required"),
    ],
)
def test_what_is_no_version(olga_client: Client, values: dict[str, Any], field: str, words: str) -> None:
    answer = olga_client.post(CHANGE, terms(**values, step="save"))
    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors[field])
    assert len(versions()) == 1


def test_the_same_terms_are_no_change(olga_client: Client) -> None:
    answer = olga_client.post(CHANGE, terms(base_fee_nanos="29", allowance_tokens="5000000"))
    assert answer.status_code == 422
    assert "is what Developer is" in answer.content.decode()


def test_a_new_plan(olga_client: Client) -> None:
    told = terms(name="Gold", code="gold", effective_on=None, seen=None, features=["team_usage"], allowance_tokens="")
    assert olga_client.post(f"{LIST}new/", told).status_code == 302
    found = versions_on(now().date())["gold"]
    assert (found.allowance_tokens, found.features, found.is_offered) == (None, ["team_usage"], True)
    again = olga_client.post(f"{LIST}new/", told)
    assert "already" in " ".join(again.context["form"].errors["code"])
    for code in ("Gold", "go ld", "new"):
        assert olga_client.post(f"{LIST}new/", told | {"code": code}).context["form"].errors["code"]
    assert olga_client.get(f"{LIST}silver/").status_code == 404


def test_taken_from_sale_with_what_comes(olga_client: Client, acme: Organization) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    olga_client.post(CHANGE, terms(step="save"))
    first = first_day_to_change(now())
    retire = f"{LIST}developer/retire/"
    assert "1 organization on it keeps it" in olga_client.get(retire).content.decode()
    assert olga_client.post(retire, {"effective_on": str(first)}).status_code == 302
    assert not versions_on(first)["developer"].is_offered
    assert not versions_on(coming())["developer"].is_offered
    assert versions_on(coming())["developer"].base_fee_nanos == 39 * 10**9
    assert versions_on(now().date())["developer"].is_offered
    again = olga_client.post(retire, {"effective_on": str(first)})
    assert "not on sale then" in again.content.decode()


def test_the_plan_everybody_begins_on_stays(olga_client: Client) -> None:
    assert olga_client.get(f"{LIST}{DEFAULT_PLAN}/retire/").status_code == 404
    told = terms(name="Free", position="1", base_fee_nanos="0", overage="refuse", trial_days="0", is_offered=None)
    answer = olga_client.post(f"{LIST}free/change/", told)
    assert "stays on sale" in " ".join(answer.context["form"].errors["is_offered"])

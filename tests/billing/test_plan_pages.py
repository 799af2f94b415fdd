"""The page of the plan: what it says of the period, and the way up, down, out and back."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client

from accounts.models import Organization
from billing.contracts import Contract
from billing.credits import wallets
from billing.plans import change_plan_terms
from billing.subscriptions import change_plan
from core.errors import ApiError
from core.figures import money
from core.periods import local_day
from metering.events import Usage
from tests.billing.plans import BY, subscribed
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
ADDRESS = "/o/acme/billing/"
NOW = dt.datetime.now(dt.UTC)
MONTHS_AGO = NOW - dt.timedelta(days=70)


def text(client: Client, address: str = ADDRESS) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def plan_of(organization: Organization) -> str:
    contract = Contract.load(organization)
    assert contract is not None
    version = contract.version_on(contract.today())
    assert version is not None
    return version.plan.code


def test_the_period_so_far(acme: Organization, fiona_client: Client, acme_api: Client) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    write(acme.pk, [make_event("a", NOW, usage=Usage(input=5_400_000))])
    page = text(fiona_client)
    over = 400_000 * 2_501
    assert acme_api.get("/v1/usage").json()["allowance"]["overage_tokens"] == 400_000
    assert "400,000 tokens above the allowance" in page
    assert "of 5,000,000, 108.0% used" in page
    assert money(29 * 10**9 + over).split(".")[0] in page
    assert "Choose" not in page, "finance sees it; the owner changes it"


def test_up_at_once(acme: Organization, alice_client: Client) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    assert "Startup begins today" in text(alice_client, f"{ADDRESS}plans/startup/")
    answer = alice_client.post(f"{ADDRESS}plans/startup/", follow=True)
    assert "Startup it is" in answer.content.decode()
    assert plan_of(acme) == "startup"


def test_down_with_the_period_and_back(acme: Organization, alice_client: Client) -> None:
    subscribed(acme, "startup", MONTHS_AGO)
    asked = text(alice_client, f"{ADDRESS}plans/developer/")
    assert "Startup holds until it is over" in asked
    assert "not on sale" not in asked
    alice_client.post(f"{ADDRESS}plans/developer/")
    page = text(alice_client)
    assert "Developer begins on" in page
    assert "Resume Startup" in page
    alice_client.post(f"{ADDRESS}resume/")
    assert "Developer begins on" not in text(alice_client)
    alice_client.post(f"{ADDRESS}cancel/")
    assert "Free begins on" in text(alice_client)
    assert plan_of(acme) == "startup"


def test_leaving_what_is_not_on_sale_warns(acme: Organization, alice_client: Client) -> None:
    subscribed(acme, "enterprise", MONTHS_AGO)
    for address in ("plans/startup/", "cancel/"):
        assert "Enterprise is not on sale: once you have left it" in text(alice_client, f"{ADDRESS}{address}")


def test_what_the_domain_refuses_is_said(acme: Organization, alice_client: Client) -> None:
    subscribed(acme, "free", NOW)
    for address, words in (("cancel/", "no paid plan"), ("resume/", "No change"), ("plans/free/", "is what you have")):
        assert words in alice_client.post(f"{ADDRESS}{address}", follow=True).content.decode()
    assert alice_client.get(f"{ADDRESS}plans/enterprise/").status_code == 404
    assert alice_client.get(f"{ADDRESS}plans/gold/").status_code == 404


def test_without_a_plan_one_is_begun(acme: Organization, alice_client: Client) -> None:
    assert "nothing is bounded" in text(alice_client)
    alice_client.post(f"{ADDRESS}plans/prepaid/")
    assert plan_of(acme) == "prepaid"
    assert "each call is paid with credits" in text(alice_client)


def test_a_trial_says_when_it_ends(acme: Organization, alice_client: Client) -> None:
    subscribed(acme, "developer", NOW, with_trial=True)
    assert "The trial ends on" in text(alice_client)


@pytest.mark.parametrize("has_plan", [True, False])
def test_the_first_plan_with_a_fee_is_tried(
    acme: Organization, alice_client: Client, acme_api: Client, has_plan: bool
) -> None:
    if has_plan:
        subscribed(acme, "free", MONTHS_AGO)
    today = local_day(NOW, acme.zone)
    ends_on = today + dt.timedelta(days=14)
    assert "14 days free" in text(alice_client)
    assert f"14 days free, then $29.00 a month from {ends_on:%-d %B %Y}" in text(
        alice_client, f"{ADDRESS}plans/developer/"
    )
    alice_client.post(f"{ADDRESS}plans/developer/")
    assert f"The trial ends on {ends_on:%-d %B %Y}. Then Developer begins, $29.00 a month." in text(alice_client)
    told = acme_api.get("/v1/subscription").json()
    assert (told["status"], told["plan"]["code"], told["trial_ends_on"]) == ("trialing", "developer", f"{ends_on}")
    assert told["scheduled"] == {"plan": "developer", "effective_on": f"{ends_on}"}
    contract = Contract.load(acme)
    assert contract is not None
    assert [fee.stay.segment.starts_on for fee in contract.fees(contract.period(ends_on))] == [ends_on]


def test_a_trial_is_never_given_twice(acme: Organization, alice_client: Client) -> None:
    subscribed(acme, "free", MONTHS_AGO)
    alice_client.post(f"{ADDRESS}plans/developer/")
    alice_client.post(f"{ADDRESS}cancel/")
    assert "days free" not in text(alice_client)
    assert "days free" not in text(alice_client, f"{ADDRESS}plans/startup/")
    with pytest.raises(ApiError, match="no trial"):
        change_plan(acme, "startup", by=BY, with_trial=True)


def test_credits(acme: Organization, fiona_client: Client) -> None:
    assert "No credits yet" in text(fiona_client)
    wallets.purchase(acme, 12_340_000_000, "pay_1", by=BY, note="Card 4242")
    page = text(fiona_client)
    assert "$12.34 to spend" in page
    assert "Card 4242" in page


def test_unlimited(acme: Organization, fiona_client: Client) -> None:
    subscribed(acme, "enterprise", NOW)
    page = text(fiona_client)
    assert "Unlimited" in page
    assert "with team usage" in page


def test_what_the_operator_changes_is_told_before(acme: Organization, alice_client: Client) -> None:
    contract = subscribed(acme, "developer", MONTHS_AGO)
    day = contract.period(contract.period(contract.today()).ends_on).ends_on
    changes = {"base_fee_nanos": 39 * 10**9, "allowance_tokens": None, "position": 9}
    change_plan_terms("developer", changes, effective_on=day, by_label="olga")
    page = text(alice_client)
    assert f"Developer changes on {day:%-d %B %Y}." in page
    assert "Fee a period $39.00 instead of $29.00; tokens a period unlimited instead of 5,000,000." in page
    change_plan_terms("developer", {**changes, "base_fee_nanos": 29 * 10**9, "allowance_tokens": 5_000_000},
                      effective_on=day, by_label="olga")  # fmt: skip
    assert "Developer changes" not in text(alice_client), "its place in the list is nothing to them"

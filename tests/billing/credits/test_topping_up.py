"""Credits bought by themselves: one purchase that reaches the threshold, few a day, only where they pay calls."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization
from billing.credits import purchases, wallets
from billing.credits.amounts import LEAST, MOST
from billing.credits.topping_up import MOST_A_DAY, amount_to_buy
from billing.models import TopUp, TopUpStatus, Wallet
from core.errors import ApiError
from core.tenancy import organization_scope
from tests.billing.plans import BY, subscribed

pytestmark = pytest.mark.django_db
USD = 10**9
CENT = 10**7
PAGE = "/o/acme/billing/credits/"


@pytest.fixture
def prepaid(acme: Organization) -> Organization:
    subscribed(acme, "prepaid", dt.datetime.now(dt.UTC) - dt.timedelta(days=3))
    return acme


def rule(organization: Organization, below: int | None, amount: int | None) -> None:
    wallets.set_rules(organization, low_below_nanos=None, top_up_below_nanos=below, top_up_nanos=amount, by=BY)


def bought(organization: Organization) -> list[tuple[int, str]]:
    with organization_scope(organization.pk):
        return list(TopUp.objects.order_by("pk").values_list("amount_nanos", "status"))


def pay(organization: Organization) -> None:
    with organization_scope(organization.pk):
        due = TopUp.objects.get(status=TopUpStatus.DUE)
    purchases.complete(due, by=BY, payment_id=f"pi_{due.pk}")


# ── How much ──


@given(left=st.integers(-MOST, MOST), below=st.integers(1, MOST), cents=st.integers(LEAST // CENT, MOST // CENT))
def test_the_least_that_reaches_the_threshold(left: int, below: int, cents: int) -> None:
    each = cents * CENT
    amount = amount_to_buy(left, below, each)
    if left >= below:
        assert amount == 0
        return
    assert amount % each == 0
    assert LEAST <= amount <= MOST
    assert left + amount >= below or amount + each > MOST
    assert left + amount - each < below, "not once more than needed"


def test_one_purchase_reaches_the_threshold(prepaid: Organization) -> None:
    wallets.purchase(prepaid, 85 * USD, "pay_1", by=BY)
    rule(prepaid, 120 * USD, USD)
    assert bought(prepaid) == [(35 * USD, "due")]
    pay(prepaid)
    wallets.purchase(prepaid, 10 * USD, "pay_2", by=BY)
    assert bought(prepaid) == [(35 * USD, "paid")]


def test_so_often_a_day(prepaid: Organization) -> None:
    at = dt.datetime.now(dt.UTC)
    rule(prepaid, 20 * USD, 10 * USD)
    for number in range(MOST_A_DAY):
        pay(prepaid)
        wallets.adjust(prepaid, -15 * USD, f"used-{number}", by=BY, note="Used")
    assert [status for _, status in bought(prepaid)] == ["paid"] * MOST_A_DAY
    wallets.watch(prepaid, at + dt.timedelta(hours=23))
    assert len(bought(prepaid)) == MOST_A_DAY
    wallets.watch(prepaid, at + dt.timedelta(hours=25))
    assert bought(prepaid)[MOST_A_DAY:] == [(20 * USD, "due")]


def test_the_page_says_when_it_goes_on(prepaid: Organization, fiona_client: Client) -> None:
    rule(prepaid, 20 * USD, 10 * USD)
    assert "bought automatically in 24 hours" not in fiona_client.get(PAGE).content.decode()
    for number in range(MOST_A_DAY):
        pay(prepaid)
        wallets.adjust(prepaid, -15 * USD, f"used-{number}", by=BY, note="Used")
    assert "bought automatically in 24 hours" in fiona_client.get(PAGE).content.decode()


# ── Amounts ──


@pytest.mark.parametrize(
    ("below", "amount"),
    [(USD, 300_000_000), (USD, MOST + CENT), (USD, 999_999_999 * USD), (USD, 5 * USD + 1), (MOST + 1, USD)],
)
def test_amounts_that_nobody_buys(prepaid: Organization, below: int, amount: int) -> None:
    with pytest.raises(ApiError) as refused:
        rule(prepaid, below, amount)
    assert (refused.value.status, refused.value.param) == (422, "auto_top_up")
    assert bought(prepaid) == []


@pytest.mark.parametrize("amount", ["0.3", "999999999", "5.001"])
def test_the_doors_refuse_them(prepaid: Organization, fiona_client: Client, acme_api: Client, amount: str) -> None:
    told: dict[str, Any] = {"auto_top_up": {"below_usd": "10", "amount_usd": amount}}
    assert acme_api.patch("/v1/credits", told, content_type="application/json").status_code == 422
    given = {"low_below_usd": "", "is_automatic": "on", "below": "10", "amount": amount, "confirmed": "yes"}
    assert fiona_client.post(f"{PAGE}rules/", given).status_code == 422
    assert bought(prepaid) == []


# ── What is bought at once is said before ──


def test_said_before_it_is_bought(prepaid: Organization, fiona_client: Client) -> None:
    given = {"low_below_usd": "", "is_automatic": "on", "below": "120", "amount": "50"}
    asked = fiona_client.post(f"{PAGE}rules/", given)
    assert asked.status_code == 200
    assert "$150.00" in asked.content.decode()
    assert bought(prepaid) == []
    assert fiona_client.post(f"{PAGE}rules/", {**given, "confirmed": "yes"}).status_code == 302
    assert bought(prepaid) == [(150 * USD, "due")]


# ── Where they pay nothing ──


def test_nothing_is_bought_where_it_pays_nothing(acme: Organization, fiona_client: Client) -> None:
    subscribed(acme, "startup", dt.datetime.now(dt.UTC) - dt.timedelta(days=3))
    with pytest.raises(ApiError) as refused:
        rule(acme, 120 * USD, USD)
    assert (refused.value.status, refused.value.code) == (409, "credits_pay_nothing")
    form = fiona_client.get(f"{PAGE}rules/").content.decode()
    assert "is_automatic" not in form
    assert "nothing is bought automatically" in form
    assert fiona_client.post(f"{PAGE}rules/", {"low_below_usd": "5"}).status_code == 302


def test_a_rule_of_an_earlier_plan_rests(acme: Organization, fiona_client: Client) -> None:
    with organization_scope(acme.pk):
        Wallet.objects.create(organization=acme, top_up_below_nanos=20 * USD, top_up_nanos=10 * USD)
    wallets.watch(acme, dt.datetime.now(dt.UTC))
    assert bought(acme) == []
    assert "rests: on this plan" in fiona_client.get(PAGE).content.decode()
    rule(acme, 20 * USD, 10 * USD)
    given = {"low_below_usd": "5", "below": "20", "amount": "10"}
    assert "is_automatic" in fiona_client.get(f"{PAGE}rules/").content.decode()
    assert fiona_client.post(f"{PAGE}rules/", given).status_code == 302
    with organization_scope(acme.pk):
        assert Wallet.objects.get().top_up_nanos is None

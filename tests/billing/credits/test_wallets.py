"""Credits on the real database: bought, given, used, corrected, expired, refunded; and what is told of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization
from billing.credits import ledger, purchases, settlement, wallets
from billing.models import CreditEntry, TopUp, TopUpStatus
from billing.signals import top_up_due
from billing.subscriptions import change_plan
from billing.tasks import settle_credits, watch_credits
from core.errors import ApiError
from core.facts import Fact
from core.tenancy import organization_scope
from metering.events import Usage
from metering.models import Limit
from tests.billing.plans import BY, on, subscribed
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
USD = 10**9
# What a prompt's token costs in these tests.
IN_NANOS = 2_501
NOW = on("2026-11-11")


@pytest.fixture
def prepaid(acme: Organization) -> Organization:
    subscribed(acme, "prepaid", on("2026-11-02"))
    return acme


def used(organization: Organization, day: str, tokens: int, **fields: Any) -> None:
    name = fields.pop("name", f"{day}-{tokens}")
    write(organization.pk, [make_event(name, on(day), usage=Usage(input=tokens), **fields)])


def entries(organization: Organization) -> list[tuple[str, int]]:
    with organization_scope(organization.pk):
        return [(one.kind, one.amount_nanos) for one in CreditEntry.objects.order_by("number")]


def left(organization: Organization) -> list[int]:
    with organization_scope(organization.pk):
        return [lot.left_nanos for lot in ledger.lots()]


def limit_of(organization: Organization) -> Limit | None:
    with organization_scope(organization.pk):
        found: Limit | None = Limit.objects.filter(source="credits").first()
        return found


def balance(organization: Organization) -> int:
    """The sum; which is also what the last entry says."""
    with organization_scope(organization.pk):
        total = ledger.balance_nanos()
        last = CreditEntry.objects.order_by("-number").first()
        assert total == (last.balance_nanos if last else 0) == sum(lot.left_nanos for lot in ledger.lots())
        return total


# ── Granting ──


def test_bought_and_given(acme: Organization) -> None:
    wallets.purchase(acme, 100 * USD, "pay_1", by=BY, at=NOW)
    wallets.grant(acme, 20 * USD, "welcome", by=BY, expires_at=on("2026-12-31"), at=NOW)
    assert entries(acme) == [("purchase", 100 * USD), ("promotion", 20 * USD)]
    assert balance(acme) == 120 * USD


def test_a_source_counts_once(acme: Organization) -> None:
    first = wallets.purchase(acme, 100 * USD, "pay_1", by=BY)
    assert wallets.purchase(acme, 100 * USD, "pay_1", by=BY) == first
    with pytest.raises(ApiError) as refused:
        wallets.purchase(acme, 50 * USD, "pay_1", by=BY)
    assert refused.value.code == "source_conflict"
    assert balance(acme) == 100 * USD


def test_sources_are_each_organizations_own(acme: Organization, globex: Organization) -> None:
    wallets.purchase(acme, USD, "pay_1", by=BY)
    wallets.purchase(globex, 2 * USD, "pay_1", by=BY)
    assert (balance(acme), balance(globex)) == (USD, 2 * USD)


@pytest.mark.parametrize("nanos", [0, -1])
def test_less_than_nothing_is_no_grant(acme: Organization, nanos: int) -> None:
    for act in (wallets.purchase, wallets.grant, wallets.refund):
        with pytest.raises(ApiError) as refused:
            act(acme, nanos, "x", by=BY)
        assert refused.value.status == 422
    with pytest.raises(ApiError, match="in the future"):
        wallets.grant(acme, USD, "x", by=BY, expires_at=NOW, at=NOW)


def test_adjustments_have_a_reason(acme: Organization) -> None:
    wallets.adjust(acme, 3 * USD, "ticket-1", by=BY, note="Outage of 3 November", at=NOW)
    wallets.adjust(acme, -USD, "ticket-2", by=BY, note="Counted twice", at=NOW)
    assert balance(acme) == 2 * USD
    with pytest.raises(ApiError, match="reason"):
        wallets.adjust(acme, USD, "ticket-3", by=BY, note=" ")
    with pytest.raises(ApiError, match="less than"):
        wallets.adjust(acme, -3 * USD, "ticket-4", by=BY, note="Too much", at=NOW)


def test_only_what_was_bought_is_paid_back(acme: Organization) -> None:
    wallets.purchase(acme, 10 * USD, "pay_1", by=BY, at=NOW)
    wallets.grant(acme, 20 * USD, "welcome", by=BY, at=NOW)
    wallets.refund(acme, 4 * USD, "re_1", by=BY, at=NOW)
    wallets.refund(acme, 4 * USD, "re_1", by=BY, at=NOW)
    assert left(acme) == [6 * USD, 20 * USD]
    with pytest.raises(ApiError) as refused:
        wallets.refund(acme, 7 * USD, "re_2", by=BY, at=NOW)
    assert refused.value.code == "insufficient_credits"


# ── Using ──


def test_usage_takes_what_it_cost(prepaid: Organization) -> None:
    wallets.purchase(prepaid, 100 * USD, "pay_1", by=BY, at=NOW)
    used(prepaid, "2026-11-01", 1_000_000)
    used(prepaid, "2026-11-05", 1_000_000)
    wallets.settle(prepaid, NOW)
    wallets.settle(prepaid, NOW)
    assert entries(prepaid)[1:] == [("consumption", -1_000_000 * IN_NANOS)], "from the first day of the plan on, once"
    used(prepaid, "2026-11-10", 10)
    wallets.settle(prepaid, NOW)
    assert entries(prepaid)[2:] == [("consumption", -10 * IN_NANOS)]
    assert balance(prepaid) == 100 * USD - 1_000_010 * IN_NANOS


def test_the_order_in_which_credits_are_used(prepaid: Organization) -> None:
    wallets.purchase(prepaid, 5 * USD, "pay_1", by=BY, at=on("2026-11-03"))
    wallets.grant(prepaid, USD, "welcome", by=BY, at=on("2026-11-03"))
    wallets.grant(prepaid, USD, "late", by=BY, expires_at=on("2026-12-20"), at=on("2026-11-03"))
    wallets.grant(prepaid, USD, "soon", by=BY, expires_at=on("2026-12-10"), at=on("2026-11-03"))
    used(prepaid, "2026-11-05", 1_400_000)
    wallets.settle(prepaid, NOW)
    spent = 1_400_000 * IN_NANOS
    assert left(prepaid) == [5 * USD - (spent - 3 * USD)], "soon, late and welcome are gone"


def test_a_correction_gives_back(prepaid: Organization) -> None:
    wallets.purchase(prepaid, 10 * USD, "pay_1", by=BY, at=NOW)
    used(prepaid, "2026-11-05", 2_000_000, name="a")
    wallets.settle(prepaid, NOW)
    used(prepaid, "2026-11-05", 500_000, name="a2", supersedes="a")
    wallets.settle(prepaid, NOW)
    assert entries(prepaid)[2:] == [("consumption", 1_500_000 * IN_NANOS)]
    assert balance(prepaid) == 10 * USD - 500_000 * IN_NANOS


def test_what_credits_do_not_pay_stays_owed(prepaid: Organization) -> None:
    wallets.purchase(prepaid, USD, "pay_1", by=BY, at=NOW)
    used(prepaid, "2026-11-05", 1_000_000)
    wallets.settle(prepaid, NOW)
    assert balance(prepaid) == 0
    wallets.purchase(prepaid, 5 * USD, "pay_2", by=BY, at=NOW)
    assert balance(prepaid) == 6 * USD - 1_000_000 * IN_NANOS


def test_no_usage_of_other_plans(acme: Organization) -> None:
    subscribed(acme, "startup", on("2026-11-02"))
    wallets.purchase(acme, 10 * USD, "pay_1", by=BY, at=NOW)
    used(acme, "2026-11-05", 1_000_000)
    wallets.settle(acme, NOW)
    assert balance(acme) == 10 * USD
    assert limit_of(acme) is None


def test_leaving_prepaid_settles_what_was_used_until_then(prepaid: Organization) -> None:
    wallets.purchase(prepaid, 10 * USD, "pay_1", by=BY, at=NOW)
    change_plan(prepaid, "startup", by=BY, at=NOW)
    used(prepaid, "2026-11-29", 1_000_000)
    used(prepaid, "2026-12-02", 1_000_000)
    wallets.settle(prepaid, on("2026-12-05"))
    assert balance(prepaid) == 10 * USD - 1_000_000 * IN_NANOS
    assert limit_of(prepaid) is None


# ── Expiring ──


def test_what_is_left_expires(acme: Organization) -> None:
    wallets.grant(acme, 2 * USD, "welcome", by=BY, expires_at=on("2026-11-20"), at=NOW)
    wallets.purchase(acme, USD, "pay_1", by=BY, at=NOW)
    wallets.watch(acme, on("2026-11-19"))
    assert balance(acme) == 3 * USD
    wallets.watch(acme, on("2026-11-21"))
    wallets.watch(acme, on("2026-11-21"))
    assert entries(acme)[2:] == [("expiry", -2 * USD)]
    assert left(acme) == [USD]


def test_usage_until_then_is_paid_first(prepaid: Organization) -> None:
    """Settled late: what was used on the 15th is drawn from the grant that expired on the 20th, the rest is not."""
    wallets.grant(prepaid, 2 * USD, "welcome", by=BY, expires_at=on("2026-11-20"), at=on("2026-11-03"))
    wallets.purchase(prepaid, 5 * USD, "pay_1", by=BY, at=on("2026-11-03"))
    used(prepaid, "2026-11-15", 500_000)
    used(prepaid, "2026-11-22", 400_000)
    wallets.settle(prepaid, on("2026-11-25"))
    assert entries(prepaid)[2:] == [
        ("consumption", -500_000 * IN_NANOS),
        ("expiry", -(2 * USD - 500_000 * IN_NANOS)),
        ("consumption", -400_000 * IN_NANOS),
    ]
    assert left(prepaid) == [5 * USD - 400_000 * IN_NANOS]


def test_what_is_given_back_to_an_expired_grant_expires_with_it(prepaid: Organization) -> None:
    wallets.grant(prepaid, 2 * USD, "welcome", by=BY, expires_at=on("2026-11-20"), at=on("2026-11-03"))
    used(prepaid, "2026-11-05", 500_000, name="a")
    wallets.settle(prepaid, on("2026-11-21"))
    used(prepaid, "2026-11-05", 100_000, name="a2", supersedes="a")
    wallets.settle(prepaid, on("2026-11-22"))
    assert entries(prepaid)[3:] == [("consumption", 400_000 * IN_NANOS), ("expiry", -400_000 * IN_NANOS)]
    assert balance(prepaid) == 0


# ── What the gateway is told ──


def test_the_limit_is_exact_settled_or_not(prepaid: Organization, acme_api: Client) -> None:
    now = dt.datetime.now(dt.UTC)
    wallets.purchase(prepaid, 10 * USD, "pay_1", by=BY, at=now)
    write(prepaid.pk, [make_event("a", now - dt.timedelta(minutes=1), usage=Usage(input=1_000_000))])
    remaining = (10 * USD - 1_000_000 * IN_NANOS) * 10_000 // USD

    def told() -> list[int]:
        return [
            acme_api.get("/v1/usage").json()["credits_remaining"],
            acme_api.get("/v1/credits").json()["credits_remaining"],
        ]

    assert told() == [remaining, remaining]
    wallets.settle(prepaid, now)
    assert told() == [remaining, remaining]
    wallets.purchase(prepaid, USD, "pay_2", by=BY, at=now)
    assert told() == [remaining + 10_000] * 2


def test_without_credits_nothing_is_let_in(acme: Organization) -> None:
    subscribed(acme, "prepaid", NOW)
    limit = limit_of(acme)
    assert limit is not None
    assert (limit.amount, str(limit.starts_on), limit.ends_on, limit.is_hard) == (0, "2026-11-11", None, True)


# ── What is told ──


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []

    def hear(signal: Any, sender: Any, **facts: Any) -> None:
        found.append(facts)

    top_up_due.connect(hear, weak=False)
    yield found
    top_up_due.disconnect(hear)


def rules(organization: Organization, low: int | None, below: int | None = None, amount: int | None = None) -> None:
    wallets.set_rules(organization, low_below_nanos=low, top_up_below_nanos=below, top_up_nanos=amount, by=BY)


@pytest.mark.usefixtures("tasks_at_once")
def test_low_is_told_once_until_there_is_more(prepaid: Organization, told_facts: list[Fact]) -> None:
    wallets.purchase(prepaid, 10 * USD, "pay_1", by=BY)
    rules(prepaid, 5 * USD)
    used(prepaid, "2026-11-05", 3_000_000)
    watch_credits()
    watch_credits()
    [low] = [fact.data for fact in told_facts if fact.kind == "credits.low"]
    assert (low["available_usd"], low["threshold_usd"], low["auto_top_up"]) == ("2.497", "5", None)
    wallets.purchase(prepaid, 10 * USD, "pay_2", by=BY)
    used(prepaid, "2026-11-06", 4_000_000)
    settle_credits()
    watch_credits()
    assert [fact.kind for fact in told_facts].count("credits.low") == 2


@pytest.mark.usefixtures("tasks_at_once")
def test_topping_up(
    prepaid: Organization, heard: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        rules(prepaid, None, 5 * USD, 50 * USD)
        watch_credits()
    with organization_scope(prepaid.pk):
        due = TopUp.objects.get()
    assert heard == [{"organization_id": prepaid.pk, "top_up_id": due.pk}]
    purchases.complete(due, by=BY)
    purchases.complete(due, by=BY)
    assert balance(prepaid) == 50 * USD
    with organization_scope(prepaid.pk):
        assert TopUp.objects.get().status == TopUpStatus.PAID


@pytest.mark.usefixtures("tasks_at_once")
def test_a_card_that_declined_is_not_asked_again_and_again(prepaid: Organization) -> None:
    rules(prepaid, None, 5 * USD, 50 * USD)
    with organization_scope(prepaid.pk):
        first = TopUp.objects.get()
    purchases.fail(first)
    watch_credits()
    with organization_scope(prepaid.pk):
        assert TopUp.objects.count() == 1
    wallets.purchase(prepaid, USD, "pay_1", by=BY)
    with organization_scope(prepaid.pk):
        assert TopUp.objects.filter(status=TopUpStatus.DUE).count() == 1


def test_rules_that_make_no_sense(acme: Organization) -> None:
    for low, below, amount in ((0, None, None), (None, USD, None), (None, None, USD), (None, 0, USD), (None, USD, -1)):
        with pytest.raises(ApiError) as refused:
            rules(acme, low, below, amount)
        assert refused.value.status == 422


def test_standing_without_a_plan(acme: Organization) -> None:
    wallets.purchase(acme, USD, "pay_1", by=BY)
    assert settlement.standing(acme, NOW) == settlement.Standing(USD, 0)

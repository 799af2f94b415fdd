"""Credits being bought: ordered, paid once, withdrawn; at once by several."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connection

from accounts.models import AuditEntry, Organization
from billing.credits import ledger, purchases, wallets
from billing.models import CreditEntry, TopUp, TopUpStatus
from core.errors import ApiError
from core.tenancy import organization_scope
from tests.billing.plans import BY, on, subscribed

USD = 10**9


def ordered(organization: Organization, nanos: int = 50 * USD, **more: object) -> TopUp:
    return purchases.order(organization, nanos, by=BY, charges_card=False, **more)


def status_of(top_up: TopUp) -> str:
    with organization_scope(top_up.organization_id):
        return str(TopUp.objects.get(pk=top_up.pk).status)


def ledger_of(organization: Organization) -> list[tuple[str, int, str]]:
    with organization_scope(organization.pk):
        entries = CreditEntry.objects.order_by("number")
        return list(entries.values_list("kind", "amount_nanos", "source"))


@pytest.mark.django_db
def test_ordered_and_paid(acme: Organization) -> None:
    top_up = ordered(acme)
    purchases.complete(top_up, by=BY, note="Transfer 4711")
    purchases.complete(top_up, by=BY, note="Transfer 4711")
    assert ledger_of(acme) == [("purchase", 50 * USD, f"top-up:{top_up.pk}")]
    assert status_of(top_up) == TopUpStatus.PAID
    with organization_scope(acme.pk):
        assert CreditEntry.objects.get().note == "Transfer 4711"
        assert set(AuditEntry.objects.values_list("action", flat=True)) == {"credits.order", "credits.purchase"}


@pytest.mark.django_db
def test_another_payment_of_the_same_is_nobodys(acme: Organization) -> None:
    top_up = ordered(acme)
    purchases.complete(top_up, by=BY, payment_id="pi_1")
    with pytest.raises(ApiError) as refused:
        purchases.complete(top_up, by=BY, payment_id="pi_2")
    assert (refused.value.status, refused.value.code) == (409, "already_paid")
    assert len(ledger_of(acme)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("nanos", [0, USD - 1, 100_000 * USD + 10**7, 5 * USD + 1])
def test_amounts_that_nobody_buys(acme: Organization, nanos: int) -> None:
    with pytest.raises(ApiError) as refused:
        ordered(acme, nanos)
    assert refused.value.status == 422


@pytest.mark.django_db
def test_withdrawn(acme: Organization) -> None:
    top_up = ordered(acme)
    assert purchases.withdraw(top_up, by=BY)
    assert not purchases.withdraw(top_up, by=BY)
    assert status_of(top_up) == TopUpStatus.WITHDRAWN
    ordered(acme)
    purchases.complete(top_up, by=BY, payment_id="pi_late")
    assert ledger_of(acme) == [("purchase", 50 * USD, f"top-up:{top_up.pk}")], "money that came all the same counts"


@pytest.mark.django_db
def test_one_that_was_withdrawn_does_not_come_back_by_itself(acme: Organization) -> None:
    subscribed(acme, "prepaid", on("2026-11-02"))
    wallets.set_rules(acme, low_below_nanos=None, top_up_below_nanos=5 * USD, top_up_nanos=20 * USD, by=BY)
    with organization_scope(acme.pk):
        first = TopUp.objects.get()
        purchases.withdraw(first, by=BY)
        wallets.watch(acme, on("2026-11-12"))
        assert TopUp.objects.count() == 1
    assert purchases.withdraw(ordered(acme), by=BY)
    wallets.purchase(acme, USD, "pay_1", by=BY)
    with organization_scope(acme.pk):
        due = TopUp.objects.get(status=TopUpStatus.DUE)
    assert (due.amount_nanos, due.ordered_by_label, due.charges_card) == (20 * USD, "", True)


@pytest.mark.django_db
def test_money_that_went_back_takes_what_is_not_used(acme: Organization) -> None:
    top_up = ordered(acme)
    purchases.complete(top_up, by=BY, payment_id="pi_1")
    wallets.grant(acme, 7 * USD, "gift", by=BY)
    wallets.adjust(acme, -10 * USD, "used", by=BY, note="Used elsewhere")
    for _ in range(2):
        purchases.return_payment(top_up, 20 * USD, "re_1", by=BY, at=on("2026-11-12"))
    purchases.return_payment(top_up, 30 * USD, "re_2", by=BY, at=on("2026-11-12"))
    assert purchases.return_payment(top_up, 5 * USD, "re_3", by=BY, at=on("2026-11-12")) is None
    # The adjustment took the gift of 7 and 3 of the 50 that were bought.
    assert [amount for kind, amount, _ in ledger_of(acme) if kind == "refund"] == [-20 * USD, -27 * USD]
    with organization_scope(acme.pk):
        assert ledger.balance_nanos() == 0
        last = CreditEntry.objects.order_by("-number")[0]
        assert last.note == "$30 went back to the card, $3 of it used before"


@pytest.mark.django_db(transaction=True)
def test_two_ways_of_buying_at_once(acme: Organization) -> None:
    """People order while the rule and the worker do their part: one is due at a time, and each is bought once."""
    subscribed(acme, "prepaid", on("2026-11-02"))
    wallets.set_rules(acme, low_below_nanos=None, top_up_below_nanos=100 * USD, top_up_nanos=20 * USD, by=BY)

    def one(number: int) -> None:
        try:
            with suppress(ApiError):
                ordered(acme, 50 * USD) if number % 2 else wallets.watch(acme, on("2026-11-12"))
            with organization_scope(acme.pk):
                due = TopUp.objects.filter(status=TopUpStatus.DUE).first()
            if due is not None:
                purchases.complete(due, by=BY, payment_id=f"pi_{due.pk}")
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(one, range(16)))
    with organization_scope(acme.pk):
        bought = list(TopUp.objects.filter(status=TopUpStatus.PAID))
        assert ledger_of(acme) == [("purchase", each.amount_nanos, f"top-up:{each.pk}") for each in bought]
        assert bought
        assert ledger.balance_nanos() == sum(each.amount_nanos for each in bought)


@pytest.mark.django_db(transaction=True)
def test_two_payments_of_one_at_once(acme: Organization) -> None:
    top_up = ordered(acme)

    def one(number: int) -> bool:
        try:
            purchases.complete(top_up, by=BY, payment_id=f"pi_{number}")
        except ApiError as error:
            return error.code != "already_paid"
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(one, range(4))) == 1
    assert ledger_of(acme) == [("purchase", 50 * USD, f"top-up:{top_up.pk}")]

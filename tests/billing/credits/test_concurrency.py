"""Many at once on the same credits, in real transactions: every source once, never below 0, the sum is the balance."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.models import Organization
from billing.credits import ledger, purchases, wallets
from billing.models import CreditEntry, TopUp
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.events import Usage
from tests.billing.plans import BY, on, subscribed
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db(transaction=True)
USD = 10**9


def at_once(act: Callable[[int], bool], times: int = 12) -> int:
    """How many of them were done; the others were refused with 409."""

    def one(number: int) -> bool:
        try:
            return act(number)
        except ApiError as error:
            if error.status != 409:
                raise
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        return sum(threads.map(one, range(times)))


def balance(organization: Organization) -> int:
    with organization_scope(organization.pk):
        running = 0
        for entry in CreditEntry.objects.order_by("number"):
            running += entry.amount_nanos
            assert entry.balance_nanos == running >= 0
        assert sum(lot.left_nanos for lot in ledger.lots()) == running
        return running


def test_a_payment_that_is_told_many_times(acme: Organization) -> None:
    assert at_once(lambda _: bool(wallets.purchase(acme, 10 * USD, "pay_1", by=BY))) == 12
    assert balance(acme) == 10 * USD


def test_many_payments(acme: Organization) -> None:
    at_once(lambda n: bool(wallets.purchase(acme, USD, f"pay_{n}", by=BY)))
    assert balance(acme) == 12 * USD


def test_refunds_take_no_more_than_there_is(acme: Organization) -> None:
    wallets.purchase(acme, 10 * USD, "pay_1", by=BY)
    assert at_once(lambda n: bool(wallets.refund(acme, 3 * USD, f"re_{n}", by=BY))) == 3
    assert balance(acme) == USD


def test_settling_at_once_takes_usage_once(acme: Organization) -> None:
    subscribed(acme, "prepaid", on("2026-11-02"))
    wallets.purchase(acme, 10 * USD, "pay_1", by=BY)
    write(acme.pk, [make_event("a", on("2026-11-05"), usage=Usage(input=1_000_000))])

    def settle(_: int) -> bool:
        wallets.settle(acme, on("2026-11-11"))
        return True

    at_once(settle)
    assert balance(acme) == 10 * USD - 1_000_000 * 2_501


def test_credits_are_topped_up_once(acme: Organization) -> None:
    subscribed(acme, "prepaid", on("2026-11-02"))
    wallets.set_rules(acme, low_below_nanos=None, top_up_below_nanos=USD, top_up_nanos=5 * USD, by=BY)
    with organization_scope(acme.pk):
        due = TopUp.objects.get()

    def watch(_: int) -> bool:
        wallets.watch(acme, on("2026-11-11"))
        return True

    at_once(watch)
    with organization_scope(acme.pk):
        assert TopUp.objects.count() == 1
    assert at_once(lambda _: bool(purchases.complete(due, by=BY))) == 12
    assert balance(acme) == 5 * USD

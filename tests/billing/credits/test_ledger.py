"""What the database itself holds the ledger of credits to, whoever writes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from accounts.models import Organization
from billing.credits import wallets
from billing.models import CreditDraw, CreditEntry, CreditKind
from core.tenancy import organization_scope
from tests.billing.plans import BY, on

pytestmark = pytest.mark.django_db
NOW = on("2026-11-11")


def _insert(organization: Organization, **fields: Any) -> CreditEntry:
    values = {
        "number": 2, "kind": CreditKind.PURCHASE, "amount_nanos": 5, "balance_nanos": 15, "source": "x",
        "occurred_at": NOW, "recorded_by_label": "",
    }  # fmt: skip
    entry: CreditEntry = CreditEntry.objects.create(organization=organization, **{**values, **fields})
    return entry


@pytest.mark.parametrize(
    "fields",
    [
        {"balance_nanos": 16},
        {"number": 3},
        {"number": 1},
        {"amount_nanos": -11, "balance_nanos": -1},
        {"amount_nanos": 0, "balance_nanos": 10},
        {"source": "pay_1"},
    ],
)
def test_entries_that_do_not_follow_are_refused(acme: Organization, fields: dict[str, Any]) -> None:
    wallets.purchase(acme, 10, "pay_1", by=BY)
    with organization_scope(acme.pk):
        with pytest.raises(DatabaseError), transaction.atomic():
            _insert(acme, **fields)
        _insert(acme)


def test_an_entry_is_the_sum_of_its_draws(acme: Organization) -> None:
    grant = wallets.purchase(acme, 10, "pay_1", by=BY)
    with organization_scope(acme.pk):
        entry = _insert(acme, kind=CreditKind.EXPIRY, amount_nanos=-4, balance_nanos=6)
        with pytest.raises(DatabaseError, match="sum of what it draws"), transaction.atomic():
            _check_now()
        with pytest.raises(DatabaseError, match="no such credits"), transaction.atomic():
            CreditDraw.objects.create(organization=acme, entry=entry, grant=grant, amount_nanos=-11)
        CreditDraw.objects.create(organization=acme, entry=entry, grant=grant, amount_nanos=-4)
        _check_now()


def _check_now() -> None:
    """What a transaction checks as it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def test_entries_are_never_changed_or_removed(acme: Organization) -> None:
    wallets.purchase(acme, 10, "pay_1", by=BY)
    with organization_scope(acme.pk), connection.cursor() as cursor:
        for statement in (
            "UPDATE billing_creditentry SET amount_nanos = 1000",
            "DELETE FROM billing_creditentry",
            "UPDATE billing_creditdraw SET amount_nanos = 0",
            "DELETE FROM billing_creditdraw",
        ):
            cursor.execute(statement)
            assert cursor.rowcount == 0

"""`prove` covers invoices: nothing differs, and what was tampered with is named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from accounts.models import Organization
from billing.invoices.closing import close_due_periods
from billing.models import ClosedPeriod
from core.tenancy import organization_scope
from metering.proofs.subject import CheckResult
from metering.prove import prove_month

from .selling import BY, call, sell, use
from .test_closing import YEAR, on

pytestmark = pytest.mark.django_db


def invoices_check(organization: Organization, month: int) -> CheckResult:
    proof = prove_month(organization.pk, dt.date(YEAR, month, 1))
    assert proof is not None
    return next(check for check in proof.checks if check.name == "invoices")


@pytest.fixture
def closed(acme: Organization) -> Iterator[Organization]:
    sell(acme, since=on(1, 1))
    use(acme, [call("a", on(1, 3), 4_000_000), call("b", on(1, 20), 3_000_000)])
    with organization_scope(acme.pk):
        close_due_periods(acme, by=BY, at=on(2, 4))
        yield acme


def test_an_invoice_is_proved_from_its_events(closed: Organization) -> None:
    check = invoices_check(closed, 1)
    assert (check.compared, check.difference_count, check.differences) == (2, 0, ())


def test_late_events_leave_it_proved(closed: Organization) -> None:
    use(closed, [call("late", on(1, 10), 1_000_000)], received_at=on(2, 10))
    assert invoices_check(closed, 1).is_proved
    close_due_periods(closed, by=BY, at=on(3, 5))
    check = invoices_check(closed, 1)
    assert (check.compared, check.difference_count) == (3, 0), "the period, its revision, its invoice"


def test_a_period_that_says_something_else_is_named(closed: Organization) -> None:
    period = ClosedPeriod.objects.get()
    forged = ClosedPeriod(
        **{
            field.attname: getattr(period, field.attname)
            for field in period._meta.concrete_fields
            if field.name != "id"
        }
    )
    forged.revision, forged.over_nanos = 1, period.over_nanos + 1
    forged.save(force_insert=True)
    (difference,) = invoices_check(closed, 1).differences
    assert (difference.field, difference.expected) == ("cost in nano-dollars", str(period.over_nanos))

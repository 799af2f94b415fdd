"""A period is closed once, states what its events were, and charges what came late with the next one."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator

import pytest
from django.db import connection, connections

from accounts.models import Organization
from billing.invoices.closing import close_due_periods, document_of
from billing.invoices.drafting import drafts
from billing.invoices.lines import NoSellerError
from billing.models import ClosedPeriod, Invoice, InvoiceLine, LineKind, Seller
from core.tenancy import organization_scope
from metering.events import Usage
from tests.metering.query.usage import make_event

from .selling import BY, call, day, sell, use

pytestmark = pytest.mark.django_db
# Prices of these tests are as old as the machine's clock says, so periods close long after it.
YEAR = 2031
MODELS = ("gpt-4o", "gpt-4o-mini")


def on(month: int, number: int, hour: int = 12) -> dt.datetime:
    return day(month, number, hour, YEAR)


def close(organization: Organization, at: dt.datetime) -> list[ClosedPeriod]:
    return close_due_periods(organization, by=BY, at=at)


def lines_of(invoice: Invoice | None) -> list[InvoiceLine]:
    assert invoice is not None
    return list(InvoiceLine.objects.filter(invoice=invoice).order_by("position"))


@pytest.fixture
def acme_pays(acme: Organization) -> Iterator[Organization]:
    """On the Developer plan (5 million tokens) from 1 January."""
    sell(acme, since=on(1, 1))
    with organization_scope(acme.pk):
        yield acme


def test_a_period_with_overage(acme_pays: Organization) -> None:
    use(acme_pays, [call("a", on(1, 3), 4_000_000), call("b", on(1, 20), 3_000_000)])
    assert close(acme_pays, on(2, 2)) == [], "late events are waited for"
    (closed,) = close(acme_pays, on(2, 4))
    invoice = closed.invoice
    assert invoice is not None
    assert (closed.used_tokens, closed.over_tokens, closed.over_events) == (7_000_000, 2_000_000, 1)
    fee, included, usage = lines_of(invoice)
    assert (fee.kind, included.kind, included.quantity) == (LineKind.FEE, LineKind.INCLUDED, 5_000_000)
    # 2,000,000 tokens at $2.500000001 a million, and the crossing call's own rounding.
    assert (usage.quantity, usage.femtos_per_unit, usage.nanos) == (2_000_000, 2_500_000_001, 5_000_000_002)
    assert usage.amount == 500
    assert (usage.events, usage.events_nanos) == (1, 5_000_000_002)
    assert invoice.net == fee.amount + 500
    assert invoice.tax * 100 in range(invoice.net * 19 - 50, invoice.net * 19 + 51)
    assert invoice.number == f"INV-{YEAR}-0001"


def test_it_is_closed_once(acme_pays: Organization) -> None:
    use(acme_pays, [call("a", on(1, 3), 6_000_000)])
    first = close(acme_pays, on(2, 4))
    assert close(acme_pays, on(2, 5)) == []
    assert [one.invoice for one in first] == list(Invoice.objects.all())


def test_late_usage_is_charged_with_the_next_one(acme_pays: Organization) -> None:
    use(acme_pays, [call("a", on(1, 3), 6_000_000)])
    (january,) = close(acme_pays, on(2, 4))
    use(acme_pays, [call("late", on(1, 10), 1_000_000)], received_at=on(2, 10))
    (february,) = close(acme_pays, on(3, 5))
    late = [line for line in lines_of(february.invoice) if line.kind == LineKind.LATE]
    assert january.invoice is not None
    assert [(line.quantity, line.nanos, line.about) for line in late] == [
        (1_000_000, 2_500_000_001, dt.date(YEAR, 1, 1))
    ]
    assert january.invoice.number in late[0].description
    revised = ClosedPeriod.objects.get(starts_on=january.starts_on, revision=1)
    assert (revised.over_tokens, revised.invoice) == (2_000_000, february.invoice)
    (march,) = close(acme_pays, on(4, 5))
    assert [line.kind for line in lines_of(march.invoice)] == [LineKind.FEE]


def test_a_correction_afterwards_is_given_back(acme_pays: Organization) -> None:
    use(acme_pays, [call("a", on(1, 3), 6_000_000)])
    close(acme_pays, on(2, 4))
    use(acme_pays, [call("b", on(1, 3), 5_500_000, supersedes="a")], received_at=on(2, 10))
    (february,) = close(acme_pays, on(3, 5))
    (late,) = [line for line in lines_of(february.invoice) if line.kind == LineKind.LATE]
    assert late.quantity == -500_000
    assert late.amount == -125


def test_nothing_to_bill_is_no_invoice(acme: Organization) -> None:
    sell(acme, "free", since=on(1, 1))
    use(acme, [call("a", on(1, 3), 90_000)])
    with organization_scope(acme.pk):
        (closed,) = close(acme, on(2, 4))
        assert closed.invoice is None
        assert closed.used_tokens == 90_000
        assert not Invoice.objects.exists()


def test_months_that_nobody_closed_are_closed_in_order(acme_pays: Organization) -> None:
    closed = close(acme_pays, on(4, 10))
    assert [one.starts_on.month for one in closed] == [1, 2, 3]
    numbers = [one.invoice.number for one in closed if one.invoice]
    assert numbers == [f"INV-{YEAR}-000{n}" for n in (1, 2, 3)]


def test_an_invoice_states_itself(acme_pays: Organization) -> None:
    (closed,) = close(acme_pays, on(2, 4))
    invoice = closed.invoice
    assert invoice is not None
    document = document_of(Invoice.objects.get(pk=invoice.pk))
    assert (document.number, document.gross, document.buyer.name) == (invoice.number, invoice.gross, "Acme")
    assert document.seller.name == "Lumen Cloud GmbH"
    Seller.objects.update(name="Another GmbH")
    assert document_of(Invoice.objects.get(pk=invoice.pk)).seller.name == "Lumen Cloud GmbH"


def test_the_database_lets_nobody_change_one(acme_pays: Organization) -> None:
    close(acme_pays, on(2, 4))
    for table in ("billing_invoice", "billing_invoiceline", "billing_closedperiod"):
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET organization_id = organization_id")
            assert cursor.rowcount == 0
            cursor.execute(f"DELETE FROM {table}")
            assert cursor.rowcount == 0


def test_what_was_changed_all_the_same_is_noticed(acme_pays: Organization) -> None:
    (closed,) = close(acme_pays, on(2, 4))
    assert closed.invoice is not None
    closed.invoice.document["seller"]["name"] = "Forged GmbH"
    with pytest.raises(ValueError, match="does not state"):
        document_of(closed.invoice)


def test_without_a_seller_nothing_is_closed(acme_pays: Organization) -> None:
    Seller.objects.all().delete()
    with pytest.raises(NoSellerError):
        close(acme_pays, on(2, 4))
    assert not ClosedPeriod.objects.exists()


def test_the_running_period_can_be_seen(acme_pays: Organization) -> None:
    use(acme_pays, [call("a", on(1, 3), 6_000_000)])
    (draft,) = drafts(acme_pays, on(1, 20))
    (closed,) = close(acme_pays, on(2, 4))
    assert closed.invoice is not None
    assert draft.document.number == "Draft"
    assert draft.document.net == closed.invoice.net
    over = drafts(acme_pays, on(2, 20))
    assert [(one.period.starts_on.month, one.is_over) for one in over] == [(2, False)]


def test_the_draft_just_before_closing_is_the_invoice(acme_pays: Organization) -> None:
    """Late usage, and kinds of tokens that come to parts of a cent each, of which one crosses the allowance."""
    use(acme_pays, [call("a", on(1, 3), 6_000_000)])
    close(acme_pays, on(2, 4))
    use(acme_pays, [call("late", on(1, 10), 1_100_000), call("b", on(2, 3), 4_999_000)], received_at=on(2, 10))
    kinds = Usage(input=1_234, cache_read=3_001, output=777)
    split = [make_event(f"c{n}", on(2, 3, 13), model, kinds, provider="openai") for n, model in enumerate(MODELS)]
    later = [make_event(f"d{n}", on(2, 20), model, kinds, provider="openai") for n, model in enumerate(MODELS)]
    use(acme_pays, split + later, received_at=on(2, 20))
    february, march = drafts(acme_pays, on(3, 4, 11))
    (period,) = close(acme_pays, on(3, 4))
    assert period.invoice is not None
    stated = document_of(Invoice.objects.get(pk=period.invoice.pk))
    parts = [(line.section, line.description, line.detail, line.quantity, line.amount) for line in stated.lines]
    assert [
        (line.section, line.description, line.detail, line.quantity, line.amount) for line in february.document.lines
    ] == parts
    assert len(parts) > 5
    assert february.document.gross == period.invoice.gross
    assert (february.usage.over.tokens, february.usage.over.cost_nanos) == (period.over_tokens, period.over_nanos)
    late = [line for line in february.document.lines if line.section == "Late usage"]
    assert [(line.quantity, line.amount) for line in late] == [(1_100_000, 275)]
    assert not [line for line in march.document.lines if line.section == "Late usage"], "it is charged once"


@pytest.mark.django_db(transaction=True)
def test_two_that_close_at_once_make_one_invoice(acme: Organization, globex: Organization) -> None:
    for organization in (acme, globex):
        sell(organization, since=on(1, 1)) if organization is acme else _subscribe(organization)
        use(organization, [call("a", on(1, 3), 6_000_000)])
    failures: list[BaseException] = []
    barrier = threading.Barrier(6)

    def closes(organization: Organization) -> None:
        try:
            barrier.wait(20)
            close(organization, on(3, 10))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=closes, args=(one,)) for one in (acme, globex) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    numbers = []
    for organization in (acme, globex):
        with organization_scope(organization.pk):
            assert ClosedPeriod.objects.count() == 2
            numbers += Invoice.objects.values_list("number", flat=True)
    assert sorted(numbers) == [f"INV-{YEAR}-000{n}" for n in (1, 2, 3, 4)], "no number is left out, none taken twice"


def _subscribe(organization: Organization) -> None:
    from billing.subscriptions import start_subscription

    start_subscription(organization, "developer", by=BY, at=on(1, 1))

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
import stripe

from accounts.models import Organization, User
from alerts import facts
from alerts.letters import letter_of
from alerts.models import Dispatch, ToldFact
from billing.credits.ledger import balance_nanos
from billing.documents.document import BilledDocument
from billing.dunning.course import course_of
from billing.invoices.closing import document_of
from billing.invoices.crediting import take_back
from billing.invoices.payments import Standing, record_payment, standing_of
from billing.models import DunningFact, Invoice, InvoicePayment, StripeInvoice, TopUp, TopUpStatus
from billing.providers.stripe import recording, refunding, sending
from billing.providers.stripe.schedule import collect_due, organizations_to_collect_from
from billing.providers.stripe.tasks import collect_payments, follow_invoice, watch
from billing.tax.amounts import Tax, TaxCategory
from core.facts import Fact
from core.tenancy import organization_scope
from tests.billing.documents import papers
from tests.billing.invoices.selling import BY, day

from .conftest import DECLINES_LATER, ISSUED

pytestmark = pytest.mark.django_db
EnterCard = Callable[..., str]
RATES = tuple(Tax(TaxCategory.STANDARD, Decimal(percent)) for percent in ("7", "8.875", "19"))


def standing(invoice: Invoice, at: dt.datetime = ISSUED) -> Standing:
    return standing_of(Invoice.objects.get(pk=invoice.pk), at.date())


def at_stripe(api: stripe.StripeClient) -> stripe.Invoice:
    return api.v1.invoices.retrieve(StripeInvoice.objects.get().stripe_id)


def test_an_invoice_is_paid_with_the_card(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    enter_card()
    collect_due(acme, ISSUED)
    there = at_stripe(api)
    assert (there.number, there.total, there.status) == (invoice.number, invoice.gross, "paid")
    assert [line.amount for line in there.lines.data] == [line.amount for line in document_of(invoice).lines]
    assert sum(tax.amount for tax in there.total_taxes or []) == invoice.tax > 0
    payment = InvoicePayment.objects.get()
    assert (payment.amount, payment.method) == (invoice.gross, "Visa card ending 4242")
    assert payment.source.startswith("pi_")
    assert standing(invoice) is Standing.PAID
    collect_due(acme, ISSUED)
    assert (InvoicePayment.objects.count(), len(api.v1.charges.list().data)) == (1, 1)
    assert organizations_to_collect_from() == []


def test_without_a_card_it_waits_for_a_transfer_until_it_is_late(
    acme: Organization, connected: str, invoice: Invoice, api: stripe.StripeClient
) -> None:
    collect_due(acme, ISSUED)
    assert at_stripe(api).status == "open"
    assert StripeInvoice.objects.get().pay_url.startswith(connected)
    assert not DunningFact.objects.exists()
    collect_due(acme, day(2, 25))
    assert [(fact.kind, fact.code) for fact in DunningFact.objects.all()] == [("refused", "no_card")]


def test_a_card_that_comes_later_pays_at_once(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice
) -> None:
    collect_due(acme, ISSUED)
    enter_card(DECLINES_LATER)
    collect_due(acme, ISSUED, with_new_card=True)
    assert standing(invoice) is Standing.OPEN
    enter_card()
    collect_due(acme, ISSUED)
    assert standing(invoice) is Standing.OPEN
    collect_due(acme, ISSUED, with_new_card=True)
    assert standing(invoice) is Standing.PAID


def test_what_was_interrupted_goes_on_from_there(
    acme: Organization,
    connected: str,
    enter_card: EnterCard,
    invoice: Invoice,
    api: stripe.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter_card()
    steps = ["create", "add_lines", "finalize_invoice", "pay"]
    original = {name: getattr(stripe.InvoiceService, name) for name in steps}

    def dies_behind(name: str) -> Callable[..., object]:
        def act(*args: object, **kwargs: object) -> object:
            original[name](*args, **kwargs)
            raise stripe.APIConnectionError("the line went dead")

        return act

    for name in steps:
        with monkeypatch.context() as patched:
            patched.setattr(stripe.InvoiceService, name, dies_behind(name))
            with pytest.raises(stripe.APIConnectionError):
                collect_due(acme, ISSUED)
    collect_due(acme, ISSUED)
    assert standing(invoice) is Standing.PAID
    assert len(api.v1.invoices.list().data) == len(api.v1.charges.list().data) == 1


@pytest.mark.parametrize("document", [papers.invoice(), papers.with_rates(RATES)])
def test_tax_by_lines_sums_to_the_documents(document: BilledDocument) -> None:
    lines = sending.lines_of(document)
    taxes = sum(tax["amount"] for line in lines for tax in line.get("tax_amounts") or ())
    assert (sum(line["amount"] for line in lines), taxes) == (document.net, document.total.tax)


def test_a_draft_that_comes_to_another_sum_is_thrown_away(
    acme: Organization, connected: str, invoice: Invoice, api: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sending, "lines_of", lambda document: [{"amount": 1, "description": "wrong"}])
        with pytest.raises(sending.DifferentTotalError):
            collect_due(acme, ISSUED)
    assert api.v1.invoices.list().data == []
    collect_due(acme, ISSUED)
    assert at_stripe(api).total == invoice.gross


def test_what_comes_by_transfer_is_told_to_stripe(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    collect_due(acme, ISSUED)
    transfer = {"received_on": ISSUED.date(), "method": "bank transfer", "by": BY}
    record_payment(invoice, 1000, source="t-1", **transfer)  # type: ignore[arg-type]
    enter_card()
    collect_due(acme, ISSUED)
    # The card paid what the transfer had left.
    assert [one.amount for one in InvoicePayment.objects.order_by("pk")] == [1000, invoice.gross - 1000]
    assert at_stripe(api).status == "paid"


def test_paid_by_transfer_whole_nothing_is_charged(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    collect_due(acme, ISSUED)
    record_payment(invoice, invoice.gross, received_on=ISSUED.date(), method="bank transfer", source="t-1", by=BY)
    follow_invoice(acme.pk, invoice.pk)
    enter_card()
    collect_due(acme, ISSUED, with_new_card=True)
    assert at_stripe(api).status == "paid"
    assert api.v1.charges.list().data == []


# ── Taking back ──


def test_a_credit_note_refunds_the_card(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    enter_card()
    collect_due(acme, ISSUED)
    note = take_back(invoice, reason="Wrong plan", by=BY, at=ISSUED)
    for _ in range(2):
        refunding.refund(note, ISSUED)
    assert [one.amount for one in api.v1.refunds.list().data] == [invoice.gross]
    assert [one.amount for one in InvoicePayment.objects.order_by("pk")] == [invoice.gross, -invoice.gross]
    assert standing(invoice) is Standing.VOID


def test_an_open_one_is_void_there(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    enter_card(DECLINES_LATER)
    collect_due(acme, ISSUED)
    assert course_of(invoice) is not None
    note = take_back(invoice, reason="", by=BY, at=ISSUED)
    follow_invoice(acme.pk, note.pk)
    assert at_stripe(api).status == "void"
    assert course_of(invoice) is None


def test_money_that_nobody_owes_goes_back(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    enter_card()
    link = sending.at_stripe(invoice)
    record_payment(invoice, invoice.gross, received_on=ISSUED.date(), method="bank transfer", source="t-1", by=BY)
    # At the same moment somebody pays on Stripe's page.
    api.v1.invoices.pay(str(link.stripe_id))
    follow_invoice(acme.pk, invoice.pk)
    collect_due(acme, ISSUED)

    recording.read(invoice, link, ISSUED)
    assert InvoicePayment.objects.count() == 1
    assert [one.amount for one in api.v1.refunds.list().data] == [invoice.gross]


# ── Credits ──


def due_top_up(organization: Organization, nanos: int = 25_005_000_000) -> TopUp:
    top_up: TopUp = TopUp.objects.create(organization=organization, amount_nanos=nanos, due_at=ISSUED)
    return top_up


@pytest.mark.usefixtures("invoice")
def test_credits_are_bought_with_the_card(
    acme: Organization, connected: str, enter_card: EnterCard, api: stripe.StripeClient
) -> None:
    top_up = due_top_up(acme)
    collect_due(acme, ISSUED)
    assert TopUp.objects.get(pk=top_up.pk).status == TopUpStatus.DUE
    enter_card()
    for _ in range(2):
        collect_due(acme, ISSUED)
    assert TopUp.objects.get(pk=top_up.pk).status == TopUpStatus.PAID
    assert 2501 in [charge.amount for charge in api.v1.charges.list().data]

    assert balance_nanos() == top_up.amount_nanos


@pytest.mark.usefixtures("invoice")
def test_a_refused_top_up_is_told(
    acme: Organization,
    connected: str,
    enter_card: EnterCard,
    fiona: User,
    told_facts: list[Fact],
) -> None:
    enter_card(DECLINES_LATER)
    top_up = due_top_up(acme)
    collect_due(acme, ISSUED)
    assert TopUp.objects.get(pk=top_up.pk).status == TopUpStatus.FAILED
    [refused] = [fact for fact in told_facts if fact.key == f"top-up:{top_up.pk}"]
    assert (refused.kind, refused.data["number"], refused.data["amount"]) == ("payment.failed", None, "25.01")
    facts.spread(acme.pk, ToldFact.objects.get(key=refused.key).pk)
    mail = Dispatch.objects.get(fact__key=refused.key, channel="email", member__user=fiona)
    assert letter_of(mail.fact, acme).subject == "Credits of Acme could not be bought"
    assert balance_nanos() == 0


def test_without_a_key_nothing_happens(acme: Organization, invoice: Invoice) -> None:

    collect_payments(acme.pk)
    follow_invoice(acme.pk, invoice.pk)
    watch()
    with organization_scope(acme.pk):
        assert not StripeInvoice.objects.exists()

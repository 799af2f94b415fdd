from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import pytest
import stripe
from django.db import connections

from accounts.models import Organization
from alerts.notices.sending import send_waiting
from alerts.tasks import spread_facts
from billing.contracts import Contract
from billing.dunning import facts
from billing.dunning.course import course_of
from billing.enforcement import enforce
from billing.invoices.crediting import take_back
from billing.invoices.payments import record_payment
from billing.models import DunningFact, Invoice
from billing.providers.stripe.schedule import collect_due
from billing.providers.stripe.tasks import follow_invoice
from core.errors import ApiError
from core.facts import Fact
from core.tenancy import organization_scope
from metering.models import Limit
from tests.billing.invoices.selling import BY
from tests.metering.limits.calls import Desk, call, with_desk

from .conftest import DECLINES_LATER, ISSUED

EnterCard = Callable[..., str]


def after(days: int, hours: int = 1) -> dt.datetime:
    return ISSUED + dt.timedelta(days=days, hours=hours)


def kinds() -> list[tuple[str, int]]:
    return list(DunningFact.objects.order_by("pk").values_list("kind", "attempt"))


def is_suspended() -> bool:
    return Limit.objects.filter(source="payment", amount=0, is_hard=True).exists()


@pytest.mark.django_db
def test_retries_grace_suspension_and_recovery(
    acme: Organization,
    connected: str,
    enter_card: EnterCard,
    invoice: Invoice,
    api: stripe.StripeClient,
    told_facts: list[Fact],
) -> None:
    enter_card(DECLINES_LATER)
    refusals = []
    for day in range(20):
        # As beat does it, several times a day.
        for hours in (0, 1, 2):
            collect_due(acme, after(day, hours))
        refusals.append(len(api.v1.charges.list({"limit": 100}).data))
        assert is_suspended() == (day >= 14), day
    assert refusals == [1, 2, 2, 3, 3, 4, 4, *[5] * 13]
    assert kinds() == [("refused", n) for n in range(1, 6)] + [("suspended", 5)]
    course = course_of(invoice)
    assert course is not None
    assert course.next_retry_at is None
    assert course.is_suspended
    enter_card()
    collect_due(acme, after(20), with_new_card=True)
    assert kinds()[-1] == ("recovered", 5)
    assert not is_suspended()
    assert course_of(invoice) is None
    assert [fact.kind for fact in told_facts if not fact.kind.startswith("invoice.")] == [
        *["payment.failed"] * 5,
        "calls.suspended",
        "payment.recovered",
    ]
    assert told_facts[-1].data["was_suspended"]


@pytest.mark.django_db
def test_letters_go_to_who_pays(
    acme: Organization,
    connected: str,
    enter_card: EnterCard,
    invoice: Invoice,
    alice: object,
    fiona: object,
    bob: object,
    mailoutbox: list[object],
) -> None:
    enter_card(DECLINES_LATER)
    collect_due(acme, after(0))
    collect_due(acme, after(14))
    enter_card()
    collect_due(acme, after(15), with_new_card=True)
    spread_facts()
    send_waiting()
    told = [(mail.to, mail.subject) for mail in mailoutbox]  # type: ignore[attr-defined]
    subjects = [f"{invoice.number} of Acme could not be paid"] * 2
    subjects += ["Calls of Acme are suspended", f"{invoice.number} of Acme is settled"]
    # Others tell of the invoice itself.
    assert sorted(subject for to, subject in told if to == ["fiona@acme.test"] and subject in subjects) == sorted(
        subjects
    )
    assert {to[0] for to, _ in told} == {"alice@acme.test", "fiona@acme.test"}
    first = next(mail for mail in mailoutbox if mail.subject == subjects[0])  # type: ignore[attr-defined]
    text, html = first.body, first.alternatives[0][0]  # type: ignore[attr-defined]
    for written in (text, html):
        assert "Your card was declined." in written
        assert f"{connected}/i/" in written
        assert "5 Feb 2026" in written
        assert "18 Feb 2026" in written


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["transfer", "credit note"])
def test_whatever_settles_it_ends_it(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, way: str
) -> None:
    enter_card(DECLINES_LATER)
    collect_due(acme, after(0))
    collect_due(acme, after(14))
    assert is_suspended()
    if way == "transfer":
        record_payment(invoice, 100, received_on=ISSUED.date(), method="transfer", source="t-1", by=BY)
        follow_invoice(acme.pk, invoice.pk)
        assert is_suspended()
        rest = invoice.gross - 100
        record_payment(invoice, rest, received_on=ISSUED.date(), method="transfer", source="t-2", by=BY)
        follow_invoice(acme.pk, invoice.pk)
    else:
        follow_invoice(acme.pk, take_back(invoice, reason="", by=BY, at=after(15)).pk)
    assert not is_suspended()


@pytest.mark.django_db
def test_the_row_is_what_the_facts_say(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice
) -> None:
    enter_card(DECLINES_LATER)
    collect_due(acme, after(0))
    facts.suspend(invoice, pay_url="https://x.test", at=after(13))
    assert not is_suspended()
    facts.suspend(invoice, pay_url="https://x.test", at=after(14))
    contract = Contract.load(acme)
    assert contract is not None
    Limit.objects.filter(source="payment").delete()
    enforce(contract)
    assert is_suspended()
    assert Limit.objects.get(source="payment").label == f"Calls are suspended: {invoice.number} is not paid"


@pytest.mark.django_db
def test_facts_stay(acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice) -> None:
    enter_card(DECLINES_LATER)
    collect_due(acme, after(0))
    # The application's role sees no row that it may change.
    assert DunningFact.objects.update(message="never happened") == 0
    assert DunningFact.objects.get().message == "Your card was declined."


@pytest.mark.django_db(transaction=True)
def test_one_refusal_told_by_two_at_once_is_one(acme: Organization, invoice: Invoice) -> None:
    barrier = threading.Barrier(2)

    def tells() -> None:
        try:
            barrier.wait(20)
            facts.refused(invoice, 1, code="x", message="No.", pay_url="https://x.test", at=ISSUED)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tells) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with organization_scope(acme.pk):
        assert kinds() == [("refused", 1)]


@pytest.mark.django_db(transaction=True)
def test_suspended_calls_are_refused_until_it_is_paid(acme: Organization) -> None:
    with organization_scope(acme.pk):
        Limit.objects.create(
            organization=acme, source="payment", kind="payment", label="Calls are suspended: INV-1 is not paid",
            unit="tokens", amount=0, period="fixed", starts_on=dt.date(2020, 1, 1),
        )  # fmt: skip
        Limit.objects.create(organization=acme, source="plan", kind="allowance", label="The allowance",
                             unit="tokens", amount=0)  # fmt: skip

    async def act(desk: Desk) -> None:
        refusal = await desk.try_hold(call("a"))
        assert isinstance(refusal, ApiError)
        assert (refusal.status, refusal.code, refusal.retry_after) == (402, "payment_overdue", None)
        assert refusal.message == "Calls are suspended: INV-1 is not paid. They go on as soon as that is paid."
        assert refusal.headers["x-should-retry"] == "false"

    with_desk(acme, act)

"""The Credits page, buying, what is low; and the operator's acts on an organization's credits."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization
from billing.credits import ledger, purchases, wallets
from billing.credits.order import Draw
from billing.models import CreditEntry, CreditKind, TopUp, TopUpStatus, Wallet
from core.tenancy import organization_scope
from tests.billing.invoices.selling import sell
from tests.billing.plans import BY, subscribed

pytestmark = pytest.mark.django_db
USD = 10**9
PAGE = "/o/acme/billing/credits/"
OPERATOR = "/operator/organizations/acme/"


def text(client: Client, path: str = PAGE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def top_up() -> TopUp:
    return TopUp.objects.get()


def audited() -> list[str]:
    return list(
        AuditEntry.objects.filter(action__startswith="credits.").order_by("pk").values_list("action", flat=True)
    )


# ── Reading ──


def test_nothing_yet(fiona_client: Client) -> None:
    assert "No credits yet" in text(fiona_client)


def test_the_ledger_and_what_took_from_what(acme: Organization, fiona_client: Client) -> None:
    wallets.purchase(acme, 60 * USD, "pay_1", by=BY, note="Transfer 17")
    wallets.grant(acme, 10 * USD, "gift", by=BY, note="Welcome")
    wallets.adjust(acme, -12 * USD, "fix", by=BY, note="Counted twice")
    shown = text(fiona_client)
    assert "$58 .00 580,000 credits" in shown
    assert "No. 2, promotion −$10.00 No. 1, purchase −$2.00 −$12.00 $58.00" in shown
    assert "Transfer 17" in shown
    assert "Welcome" in shown
    only = text(fiona_client, f"{PAGE}?kind=adjustment")
    assert "Counted twice" in only
    assert "Welcome" not in only
    assert "No entry of this kind" in text(fiona_client, f"{PAGE}?kind=expiry")


def test_as_csv(acme: Organization, fiona_client: Client) -> None:
    wallets.purchase(acme, 60 * USD, "pay_1", by=BY, note="=Transfer")
    wallets.adjust(acme, -2 * USD - 1, "fix", by=BY, note="Counted twice")
    answer = fiona_client.get(f"{PAGE}list.csv")
    head, newest, oldest = answer.content.decode().splitlines()
    assert head.startswith("number,occurred_at,kind,amount_usd,balance_usd")
    assert ",adjustment,-2.000000001,57.999999999,," in newest
    assert "1: -2.000000001" in newest
    assert "'=Transfer" in oldest
    assert len(fiona_client.get(f"{PAGE}list.csv?kind=purchase").content.splitlines()) == 2


def test_pages_of_fifty(acme: Organization, fiona_client: Client) -> None:
    with organization_scope(acme.pk):
        wallet = ledger.lock(acme.pk)
        for number in range(51):
            ledger.append(
                wallet, CreditKind.PURCHASE, USD, f"p{number}", at=now(), by_label="x", note=f"Note-{number}."
            )
    assert "Note-0." in text(fiona_client, f"{PAGE}?page=2")
    assert "Note-50." in text(fiona_client)


def test_an_entry_of_an_invoice_leads_to_it(acme: Organization, fiona_client: Client) -> None:
    with organization_scope(acme.pk):
        wallet = ledger.lock(acme.pk)
        grant = ledger.append(wallet, CreditKind.PROMOTION, USD, "gift", at=now(), by_label="x")
        ledger.append(
            wallet, CreditKind.INVOICE, -USD, "invoice:INV-2026-0001", at=now(), by_label="x",
            draws=[Draw(grant.pk, -USD)],
        )  # fmt: skip
    assert b"/o/acme/billing/invoices/INV-2026-0001/" in fiona_client.get(PAGE).content


# ── Buying ──


@pytest.mark.parametrize(("person", "status"), [("bob", 403), ("vera", 403), ("charlie", 404)])
def test_who_may_not_buy(person: str, status: int, acme: Organization, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    due = purchases.order(acme, 50 * USD, by=BY, charges_card=False)
    for path in ("buy/", "rules/", f"{due.pk}/paid/", f"{due.pk}/withdraw/"):
        assert client.post(f"{PAGE}{path}", {"amount": "50"}).status_code == status
    assert client.get(f"{PAGE}{due.pk}/state").status_code == status
    with organization_scope(acme.pk):
        assert top_up().status == TopUpStatus.DUE


def test_by_hand_where_no_cards_are_taken(acme: Organization, fiona_client: Client) -> None:
    assert fiona_client.post(f"{PAGE}buy/", {"amount": "0.5"}).status_code == 422
    assert fiona_client.post(f"{PAGE}buy/", {"amount": "50"}).status_code == 302
    assert "Credits for $50.00 are being bought" in text(fiona_client)
    assert b"are being bought: pay for or withdraw" in fiona_client.post(f"{PAGE}buy/", {"amount": "9"}).content
    with organization_scope(acme.pk):
        paid = f"{PAGE}{top_up().pk}/paid/"
    assert fiona_client.post(paid, {"reference": ""}).status_code == 422
    assert fiona_client.post(paid, {"reference": "Transfer 4711"}).status_code == 302
    assert fiona_client.post(paid, {"reference": "Transfer 4711"}).status_code == 404
    with organization_scope(acme.pk):
        assert [(one.amount_nanos, one.note) for one in CreditEntry.objects.all()] == [(50 * USD, "Transfer 4711")]
        assert audited() == ["credits.order", "credits.purchase"]


def test_withdrawn(acme: Organization, fiona_client: Client) -> None:
    fiona_client.post(f"{PAGE}buy/", {"amount": "50"})
    with organization_scope(acme.pk):
        path = f"{PAGE}{top_up().pk}/withdraw/"
    assert "Nothing is charged for it" in text(fiona_client, path)
    assert fiona_client.post(path).status_code == 302
    with organization_scope(acme.pk):
        assert top_up().status == TopUpStatus.WITHDRAWN
        assert audited() == ["credits.order", "credits.withdraw"]


# ── What is low ──


def test_rules(acme: Organization, fiona_client: Client) -> None:
    subscribed(acme, "prepaid")
    wallets.purchase(acme, 60 * USD, "pay_1", by=BY)
    given = {"low_below_usd": "20", "is_automatic": "on", "below": "10", "amount": "100"}
    assert fiona_client.post(f"{PAGE}rules/", {**given, "below": ""}).status_code == 422
    assert fiona_client.post(f"{PAGE}rules/", {**given, "amount": "-1"}).status_code == 422
    assert fiona_client.post(f"{PAGE}rules/", given).status_code == 302
    with organization_scope(acme.pk):
        wallet = Wallet.objects.get()
        assert (wallet.low_below_nanos, wallet.top_up_below_nanos, wallet.top_up_nanos) == (
            20 * USD,
            10 * USD,
            100 * USD,
        )
        said = AuditEntry.objects.get(action="credits.set_rules").changes
    assert said["top_up_nanos"] == ["never", "$100"]
    assert 'value="100.00"' in fiona_client.get(f"{PAGE}rules/").content.decode()
    assert fiona_client.post(f"{PAGE}rules/", {"low_below_usd": "", "below": "10", "amount": "100"}).status_code == 302
    with organization_scope(acme.pk):
        wallet = Wallet.objects.get()
        assert (wallet.low_below_nanos, wallet.top_up_below_nanos, wallet.top_up_nanos) == (None, None, None)


# ── The operator ──


def acted(client: Client, act: str, **given: Any) -> int:
    """The form, what it comes to, and the act; how the last of them was answered."""
    path = f"{OPERATOR}credits/{act}/"
    found = re.search(r'name="token" value="([^"]+)"', client.get(path).content.decode())
    assert found is not None
    told = {"token": found[1], **given}
    looked = client.post(path, told)
    if looked.status_code != 200:
        return looked.status_code
    assert b'name="confirmed"' in looked.content
    statuses = {client.post(path, {**told, "confirmed": "yes"}).status_code for _ in range(2)}
    (status,) = statuses
    return status


def test_the_operator_gives_corrects_and_writes_down_refunds(acme: Organization, olga_client: Client) -> None:
    assert acted(olga_client, "grant", amount="40", note="Case study", last_day="2099-12-31") == 302
    wallets.purchase(acme, 60 * USD, "pay_1", by=BY)
    assert acted(olga_client, "adjust", amount="-5.50", note="Counted twice") == 302
    assert acted(olga_client, "refund", amount="20", note="As agreed") == 302
    with organization_scope(acme.pk):
        entries = list(CreditEntry.objects.order_by("number"))
        assert [(one.kind, one.amount_nanos) for one in entries] == [
            ("promotion", 40 * USD), ("purchase", 60 * USD), ("adjustment", -5_500_000_000), ("refund", -20 * USD),
        ]  # fmt: skip
        given = entries[0]
        assert (given.note, given.recorded_by_label) == ("Case study", "olga@operator.test")
        assert str(given.expires_at) == "2099-12-31 23:00:00+00:00", "when the day is over in Berlin"
        assert audited() == ["credits.promotion", "credits.purchase", "credits.adjustment", "credits.refund"]
    shown = text(olga_client, OPERATOR)
    assert "$74.50 to spend, $34.50 promotional until 1 Jan 2100" in shown


def test_a_refund_says_what_is_to_be_sent_by_hand(acme: Organization, olga_client: Client) -> None:
    path = f"{OPERATOR}credits/refund/"
    wallets.purchase(acme, 60 * USD, "pay_1", by=BY)
    assert "the money is to be sent back by hand" in text(olga_client, path)
    assert "at Stripe" not in text(olga_client, path)
    by_card = purchases.order(acme, 50 * USD, by=BY, charges_card=True)
    purchases.complete(by_card, by=BY, payment_id="pi_1")
    assert "Paid by card: $50.00 of pi_1. Refund those at Stripe instead" in text(olga_client, path)
    given = {"amount": "5", "note": "As agreed", "token": "0" * 32}
    asked = olga_client.post(path, given).content.decode()
    assert "No money is sent: send it back by hand. Paid by card: $50.00 of pi_1." in asked


def test_nothing_happens_before_it_is_confirmed(acme: Organization, olga_client: Client) -> None:
    olga_client.post(f"{OPERATOR}credits/grant/", {"amount": "40", "note": "x", "token": "0" * 32})
    with organization_scope(acme.pk):
        assert not CreditEntry.objects.exists()


@pytest.mark.parametrize(
    ("act", "given"),
    [
        ("grant", {"amount": "0", "note": "x"}),
        ("grant", {"amount": "5", "note": ""}),
        ("grant", {"amount": "5", "note": "x", "last_day": "2020-01-01"}),
        ("adjust", {"amount": "0", "note": "x"}),
        ("adjust", {"amount": "-1", "note": "more than there is"}),
        ("refund", {"amount": "1", "note": "more than was bought"}),
    ],
)
def test_what_the_operator_cannot_do(acme: Organization, olga_client: Client, act: str, given: dict[str, str]) -> None:
    assert acted(olga_client, act, **given) == 422
    with organization_scope(acme.pk):
        assert not CreditEntry.objects.exists()


@pytest.mark.parametrize("person", ["alice", "fiona", "charlie"])
def test_nobody_else_gives_credits(person: str, acme: Organization, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    told = {"amount": "40", "note": "x", "token": "0" * 32, "confirmed": "yes"}
    for act in ("grant", "adjust", "refund"):
        assert client.post(f"{OPERATOR}credits/{act}/", told).status_code == 404
    with organization_scope(acme.pk):
        assert not CreditEntry.objects.exists()


def test_the_draft_has_its_own_section(acme: Organization, fiona_client: Client) -> None:
    sell(acme, since=now())
    wallets.grant(acme, 5 * USD, "gift", by=BY)
    shown = text(fiona_client, "/o/acme/billing/invoices/so-far/")
    assert "Credits Promotional credits 1 taken off before tax −$" in shown

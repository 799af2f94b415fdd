"""Documents to try: an invoice with every kind of line, and what becomes of it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec

from billing.documents.document import BilledDocument, Kind, Line, Party, Payment, Proof, TaxLine
from billing.tax.amounts import Tax, TaxCategory, TaxedAmount, total_of

SELLER = Party("Lumen Cloud GmbH", "DE", "Hafenstraße 12", "20457", "Hamburg", "billing@lumen.test", "DE136695976")
BUYER = Party(
    "Northbound Labs GmbH",
    "DE",
    "Torstraße 85\nHinterhaus",
    "10119",
    "Berlin",
    "finance@northbound.test",
    "DE129273398",
)
STANDARD = Tax(TaxCategory.STANDARD, Decimal(19))
MODELS = (
    ("claude-sonnet-4-5", (("input", 10_638_881, "3"), ("cache read", 15_156_979, "0.3"), ("output", 4_304_272, "15"))),
    ("gpt-4o", (("input", 13_126_995, "2.5"), ("cache read", 8_230_538, "1.25"), ("output", 5_320_597, "10"))),
    ("text-embedding-3-small", (("input", 3_778_987, "0.02"),)),
)
PROOF = Proof(707_640, "2195.172233735", "9f41c0" + "0" * 54 + "e27a")


def lines(tax: Tax) -> list[Line]:
    plan = "Plan"
    made = [
        Line(plan, "Scale plan, November 2026 in advance", 150_000, tax, unit_price=Decimal(1500)),
        Line(plan, "Tokens included, 1 to 28 October", 0, tax, quantity=1_000_000_000, price_words="included"),
    ]
    for model, buckets in MODELS:
        for bucket, tokens, price in buckets:
            amount = int((Decimal(tokens) * Decimal(price) / 10_000).to_integral_value())
            section = "Usage above the allowance, 28 to 31 October, per 1M tokens"
            made.append(Line(section, model, amount, tax, bucket, tokens, 1_000_000, Decimal(price), proof=PROOF))
    rest = "Features, adjustments and credits"
    made += [
        Line(rest, "Web searches", 4_210, tax, quantity=4_210, unit_price=Decimal("0.01")),
        Line(
            rest, "Late usage of September 2026 (INV-2026-0071)", 318, tax, quantity=1_204_118, price_words="as rated"
        ),
        Line(rest, "Promotional credits (500,000 credits)", -5_000, tax),
    ]
    return made


def invoice(tax: Tax = STANDARD, note: str = "", **change: Any) -> BilledDocument:
    made = lines(tax)
    (amount,) = total_of([(line.amount, tax) for line in made], is_inclusive=False).by_rate
    given: dict[str, Any] = {
        "kind": Kind.INVOICE,
        "number": "INV-2026-0087",
        "issued_on": dt.date(2026, 11, 1),
        "period_start": dt.date(2026, 10, 1),
        "period_end": dt.date(2026, 10, 31),
        "due_on": dt.date(2026, 11, 15),
        "currency": "USD",
        "seller": SELLER,
        "buyer": BUYER,
        "lines": tuple(made),
        "taxes": (TaxLine(amount, _label(tax), note),),
        "buyer_reference": "PO-4471",
        "proof": PROOF,
        "proof_url": "https://llm.example.net/prove/INV-2026-0087",
    }
    return BilledDocument(**(given | change))


def free() -> BilledDocument:
    """Promotional credits take all of it off."""
    made = lines(STANDARD)
    off = -sum(line.amount for line in made)
    made.append(Line("Credits", "Promotional credits", off, STANDARD, price_words="taken off before tax"))
    return invoice(lines=tuple(made), taxes=(TaxLine(amounts(STANDARD, 0), "VAT 19%"),))


def _label(tax: Tax) -> str:
    return {TaxCategory.STANDARD: f"VAT {tax.percent}%", TaxCategory.REVERSE_CHARGE: "Reverse charge"}.get(
        tax.category, "No tax"
    )


def paid(document: BilledDocument) -> BilledDocument:
    payment = Payment(dt.date(2026, 11, 4), document.gross, "card ending 4242")
    return msgspec.structs.replace(document, payments=(payment,))


def credit_note(of: BilledDocument) -> BilledDocument:
    return msgspec.structs.replace(
        of,
        kind=Kind.CREDIT_NOTE,
        number="CN-2026-0003",
        corrects=of.number,
        corrects_of=of.issued_on,
        issued_on=dt.date(2026, 11, 20),
        due_on=None,
    )


def with_rates(rates: tuple[Tax, ...]) -> BilledDocument:
    """The lines dealt out to several rates."""
    dealt = [msgspec.structs.replace(line, tax=rates[n % len(rates)]) for n, line in enumerate(lines(rates[0]))]
    total = total_of([(line.amount, line.tax) for line in dealt], is_inclusive=False)
    taxes = tuple(TaxLine(amount, _label(amount.rate)) for amount in total.by_rate)
    return invoice(lines=tuple(dealt), taxes=taxes)


def amounts(rate: Tax, net: int) -> TaxedAmount:
    return TaxedAmount.on_net(net, rate)

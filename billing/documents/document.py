"""An invoice or credit note as it is stated: everything on the paper, and nothing that could change behind it.

It is stored with the invoice and never looked up again; PDF and electronic invoice are made from it alone. Amounts are
integers of the currency's minor unit (two decimals), of a credit note positive as on the paper.
"""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal

import msgspec

from billing.tax.amounts import Tax, TaxedAmount, TaxedTotal


class Kind(enum.StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"

    @property
    def words(self) -> str:
        return "Invoice" if self is Kind.INVOICE else "Credit note"


class Party(msgspec.Struct, frozen=True):
    """`street` may have several lines. `tax_number` is a VAT number with its country, or the number a country gives."""

    name: str
    country: str
    street: str = ""
    postal_code: str = ""
    city: str = ""
    email: str = ""
    tax_number: str = ""


class Proof(msgspec.Struct, frozen=True):
    """What usage an amount was made from: how many events, what they are worth exactly, and the hash over them."""

    events: int
    worth_usd: str
    digest: str


class Line(msgspec.Struct, frozen=True):
    """`quantity` × `unit_price` ÷ `per` is `amount` before its rounding; without a price the amount was rated elsewhere
    (late usage, an adjustment) and `price_words` says so. `detail` stands beside the description: a token bucket.

    `tax` is the rate it is taxed at, one of the document's.
    """

    section: str
    description: str
    amount: int
    tax: Tax
    detail: str = ""
    quantity: int = 1
    per: int = 1
    unit_price: Decimal | None = None
    price_words: str = ""
    proof: Proof | None = None


class TaxLine(msgspec.Struct, frozen=True):
    """One rate of tax: what it is due on, how it is called, and why where none is due."""

    amount: TaxedAmount
    label: str
    note: str = ""


class Payment(msgspec.Struct, frozen=True):
    on: dt.date
    amount: int
    words: str


class BilledDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Raises ValueError when its lines, taxes and payments do not add up to what it states."""

    kind: Kind
    number: str
    issued_on: dt.date
    period_start: dt.date
    period_end: dt.date
    due_on: dt.date | None
    currency: str
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    taxes: tuple[TaxLine, ...]
    payments: tuple[Payment, ...] = ()
    buyer_reference: str = ""
    # Of a credit note: the invoice it takes back, and its day.
    corrects: str = ""
    corrects_of: dt.date | None = None
    notes: tuple[str, ...] = ()
    # Of all usage on it together, and the address at which anybody with the right can have it proved again.
    proof: Proof | None = None
    proof_url: str = ""

    def __post_init__(self) -> None:
        due_on: dict[Tax, int] = {}
        for line in self.lines:
            due_on[line.tax] = due_on.get(line.tax, 0) + line.amount
        if due_on != {tax.amount.rate: tax.amount.net for tax in self.taxes}:
            raise ValueError(f"the lines of {self.number} are not what its taxes are due on")
        if self.kind is Kind.CREDIT_NOTE and not self.corrects:
            raise ValueError(f"{self.number} does not say which invoice it takes back")

    @property
    def total(self) -> TaxedTotal:
        return TaxedTotal(tuple(tax.amount for tax in self.taxes))

    @property
    def net(self) -> int:
        return self.total.net

    @property
    def gross(self) -> int:
        return self.total.gross

    @property
    def paid(self) -> int:
        return sum(payment.amount for payment in self.payments)

    @property
    def due(self) -> int:
        return self.gross - self.paid

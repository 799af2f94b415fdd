"""The electronic invoice: Factur-X (CII) in the profile of EN 16931, the norm behind Europe's e-invoicing.

Code lists: UNTDID 1001 (380 invoice, 381 credit note), 5305 (tax categories), Recommendation 20 (units), VATEX.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from drafthorse.models.accounting import ApplicableTradeTax
from drafthorse.models.document import Document
from drafthorse.models.note import IncludedNote
from drafthorse.models.party import TaxRegistration, TradeParty
from drafthorse.models.payment import PaymentMeans, PaymentTerms
from drafthorse.models.tradelines import LineItem

from billing.documents.document import BilledDocument, Kind, Line, Party, TaxLine
from billing.tax.amounts import Tax, TaxCategory

PROFILE = "urn:cen.eu:en16931:2017"
_TYPES = {Kind.INVOICE: "380", Kind.CREDIT_NOTE: "381"}
_EXEMPTIONS = {TaxCategory.REVERSE_CHARGE: "VATEX-EU-AE", TaxCategory.OUTSIDE_SCOPE: "VATEX-EU-O"}
# "One": tokens, searches and months are counted, not measured.
_UNIT = "C62"
_NOT_DEFINED = "ZZZ"
_E_MAIL = "EM"


def electronic(document: BilledDocument) -> bytes:
    """The XML. Raises lxml's DocumentInvalid if it were not valid by the schema."""
    made = Document()
    made.context.guideline_parameter.id = PROFILE
    made.header.id = document.number
    made.header.type_code = _TYPES[document.kind]
    made.header.issue_date_time = document.issued_on
    for words in (*document.notes, *(tax.note for tax in document.taxes if tax.note)):
        note = IncludedNote()
        note.content = words
        made.header.notes.add(note)
    is_outside = any(tax.amount.rate.category is TaxCategory.OUTSIDE_SCOPE for tax in document.taxes)
    _describe(made.trade.agreement.seller, document.seller)
    _describe(made.trade.agreement.buyer, document.buyer)
    _identify(made.trade.agreement.seller, made.trade.agreement.buyer, document, is_outside=is_outside)
    made.trade.agreement.buyer_reference = document.buyer_reference
    made.trade.delivery.event.occurrence = document.period_end
    for number, line in enumerate(document.lines, start=1):
        made.trade.items.add(_line(number, line))
    _settle(made, document)
    return bytes(made.serialize(schema="FACTUR-X_EN16931"))


def _describe(party: TradeParty, given: Party) -> None:
    party.name = given.name
    address = party.address
    street = [line.strip() for line in given.street.splitlines() if line.strip()]
    for field, line in zip(("line_one", "line_two", "line_three"), street, strict=False):
        setattr(address, field, line)
    address.postcode, address.city_name, address.country_id = given.postal_code, given.city, given.country
    if given.email:
        party.electronic_address.uri_ID = (_E_MAIL, given.email)


def _identify(seller: TradeParty, buyer: TradeParty, document: BilledDocument, *, is_outside: bool) -> None:
    """Where nothing is in scope of value added tax the norm lets nobody state a VAT number (BR-O-02 to BR-O-04)."""
    if number := document.seller.tax_number:
        seller.tax_registrations.add(TaxRegistration(id=("FC" if is_outside else "VA", number)))
        if is_outside:
            seller.id = number
    if (number := document.buyer.tax_number) and not is_outside:
        buyer.tax_registrations.add(TaxRegistration(id=("VA", number)))


def _line(number: int, line: Line) -> LineItem:
    item = LineItem()
    item.document.line_id = str(number)
    item.product.name = f"{line.description}, {line.detail}" if line.detail else line.description
    if line.section:
        item.product.description = line.section
    is_priced = line.unit_price is not None and line.unit_price >= 0
    # A price may not be negative (BR-27): what is taken off is a quantity of minus one.
    sign = -1 if line.amount < 0 else 1
    price = line.unit_price if is_priced else Decimal(abs(line.amount)).scaleb(-2)
    quantity = line.quantity if is_priced else sign
    item.agreement.net.amount = price
    item.agreement.net.basis_quantity = (Decimal(line.per if is_priced else 1), _UNIT)
    item.delivery.billed_quantity = (Decimal(quantity), _UNIT)
    _rate(item.settlement.trade_tax, line.tax)
    item.settlement.monetary_summation.total_amount = _money(line.amount)
    return item


def _rate(made: ApplicableTradeTax, tax: Tax) -> None:
    made.type_code = "VAT"
    made.category_code = tax.category.value
    if tax.category is not TaxCategory.OUTSIDE_SCOPE:
        made.rate_applicable_percent = tax.percent


def _settle(made: Document, document: BilledDocument) -> None:
    settlement = made.trade.settlement
    settlement.currency_code = document.currency
    settlement.period.start, settlement.period.end = document.period_start, document.period_end
    means = PaymentMeans()
    means.type_code = _NOT_DEFINED
    settlement.payment_means.add(means)
    for tax in document.taxes:
        settlement.trade_tax.add(_tax(tax))
    terms = PaymentTerms()
    terms.description = "Nothing is due." if document.due == 0 else f"Due {_day(document.due_on)}."
    if document.due_on is not None:
        terms.due = document.due_on
    settlement.terms.add(terms)
    if document.corrects:
        reference = settlement.invoice_referenced_document
        reference.issuer_assigned_id = document.corrects
        if document.corrects_of is not None:
            reference.issue_date_time = document.corrects_of
    sums = settlement.monetary_summation
    sums.line_total = _money(document.net)
    sums.charge_total = sums.allowance_total = _money(0)
    sums.tax_basis_total = (_money(document.net), document.currency)
    sums.tax_total = (_money(document.total.tax), document.currency)
    sums.grand_total = (_money(document.gross), document.currency)
    sums.prepaid_total = _money(document.paid)
    sums.due_amount = _money(document.due)


def _tax(tax: TaxLine) -> ApplicableTradeTax:
    made = ApplicableTradeTax()
    made.calculated_amount, made.basis_amount = _money(tax.amount.tax), _money(tax.amount.net)
    _rate(made, tax.amount.rate)
    category = tax.amount.rate.category
    if category is not TaxCategory.STANDARD:
        made.exemption_reason = tax.note or tax.label
        if code := _EXEMPTIONS.get(category):
            made.exemption_reason_code = code
    return made


def _money(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)


def _day(day: dt.date | None) -> str:
    return "on receipt" if day is None else day.isoformat()

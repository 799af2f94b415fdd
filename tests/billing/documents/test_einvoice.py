from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from lxml import etree

from billing.documents.document import BilledDocument, Kind
from billing.documents.einvoice import electronic
from billing.tax.amounts import Tax, TaxCategory
from billing.tax.treatment import OUTSIDE, REVERSE_CHARGE

from . import papers
from .judge import broken_rules

RAM = {"ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"}
ZERO = Decimal(0)
AUSTRIAN = msgspec.structs.replace(papers.BUYER, country="AT", tax_number="ATU13585627")
AMERICAN = msgspec.structs.replace(papers.BUYER, country="US", tax_number="12-3456789")
DOCUMENTS: dict[str, BilledDocument] = {
    "standard": papers.invoice(),
    "paid": papers.paid(papers.invoice()),
    "credit note": papers.credit_note(papers.invoice()),
    "reverse charge": papers.invoice(Tax(TaxCategory.REVERSE_CHARGE, ZERO), REVERSE_CHARGE, buyer=AUSTRIAN),
    "outside the scope": papers.invoice(Tax(TaxCategory.OUTSIDE_SCOPE, ZERO), OUTSIDE, buyer=AMERICAN),
    "exempt": papers.invoice(Tax(TaxCategory.EXEMPT, ZERO), "Certificate 17"),
    "two rates": papers.with_rates((papers.STANDARD, Tax(TaxCategory.STANDARD, Decimal(7)))),
    "nothing to pay": papers.free(),
    "no reference": papers.invoice(buyer_reference="", due_on=None),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_rule_of_the_norm_is_kept(name: str) -> None:
    assert broken_rules(electronic(DOCUMENTS[name])) == []


def test_the_judge_judges() -> None:
    xml = electronic(papers.invoice()).replace(b">380<", b">999<")
    assert broken_rules(xml)


def amounts(xml: bytes, tag: str) -> list[Decimal]:
    return [Decimal(found.text) for found in etree.fromstring(xml).iterfind(f".//ram:{tag}", RAM)]


def test_it_states_the_documents_figures() -> None:
    document = papers.paid(papers.invoice())
    xml = electronic(document)
    lines = amounts(xml, "LineTotalAmount")
    assert lines == [Decimal(line.amount).scaleb(-2) for line in document.lines] + [Decimal(document.net).scaleb(-2)]
    assert amounts(xml, "GrandTotalAmount") == [Decimal(document.gross).scaleb(-2)]
    assert amounts(xml, "TotalPrepaidAmount") == [Decimal(document.gross).scaleb(-2)]
    assert amounts(xml, "DuePayableAmount") == [ZERO]


def test_a_credit_note_names_its_invoice() -> None:
    xml = etree.fromstring(electronic(papers.credit_note(papers.invoice())))
    assert xml.findtext(".//ram:InvoiceReferencedDocument/ram:IssuerAssignedID", namespaces=RAM) == "INV-2026-0087"


@pytest.mark.parametrize("change", [{"lines": ()}, {"taxes": ()}, {"kind": Kind.CREDIT_NOTE}])
def test_what_does_not_add_up_cannot_be_stated(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, AttributeError)):
        papers.invoice(**change)

from __future__ import annotations

import io
from decimal import Decimal

import facturx
import msgspec
import pypdf
import pytest

from billing.documents.document import BilledDocument, Line
from billing.documents.einvoice import electronic
from billing.documents.paper import portable
from billing.tax.amounts import Tax, TaxCategory
from billing.tax.treatment import REVERSE_CHARGE

from . import papers
from .judge import broken_rules


def read(pdf: bytes) -> tuple[list[str], pypdf.PdfReader]:
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    return [" ".join(page.extract_text().split()) for page in reader.pages], reader


def test_the_paper_says_what_the_document_does() -> None:
    pages, _ = read(portable(papers.paid(papers.invoice())))
    text = " ".join(pages)
    for words in ("Invoice INV-2026-0087", "1–31 October 2026", "PO-4471", "10,638,881", "−50.00", "Page 1 of"):
        assert words in text
    document = papers.invoice()
    assert f"${Decimal(document.gross).scaleb(-2):,.2f}" in text
    assert "Paid on 4 November 2026 by card ending 4242. Nothing is due." in text


def test_the_electronic_twin_is_inside() -> None:
    document = papers.invoice()
    pdf = portable(document)
    name, xml = facturx.get_facturx_xml_from_pdf(pdf, check_xsd=True)
    assert name == "factur-x.xml"
    assert xml == electronic(document)
    assert broken_rules(xml) == []


def test_it_is_made_for_archives() -> None:
    _, reader = read(portable(papers.invoice()))
    root = reader.trailer["/Root"]
    meta = root["/Metadata"].get_data().decode()
    assert "pdfaid:part>3<" in meta.replace(" ", "")
    assert "<fx:ConformanceLevel>EN 16931<" in meta
    assert root["/MarkInfo"]["/Marked"]
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    for page in reader.pages:
        fonts = page["/Resources"]["/Font"]
        for font in fonts.values():
            (descendant,) = font.get_object()["/DescendantFonts"]
            assert any(key.startswith("/FontFile") for key in descendant.get_object()["/FontDescriptor"])


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (papers.credit_note(papers.invoice()), ["Credit note CN-2026-0003", "Takes back", "Total credited"]),
        (
            papers.invoice(Tax(TaxCategory.REVERSE_CHARGE, Decimal(0)), REVERSE_CHARGE),
            ["Reverse charge", "article 196"],
        ),
    ],
)
def test_other_papers(document: BilledDocument, words: list[str]) -> None:
    text = " ".join(read(portable(document))[0])
    for part in words:
        assert part in text


def test_a_long_one_repeats_its_heads_and_stays_short() -> None:
    document = papers.invoice()
    more = [
        msgspec.structs.replace(line, description=f"{line.description}-{number}")
        for number in range(4)
        for line in document.lines
        if line.detail
    ]
    lines: tuple[Line, ...] = (*document.lines, *more)
    total = papers.TaxLine(papers.amounts(papers.STANDARD, sum(line.amount for line in lines)), "VAT 19%")
    pages, _ = read(portable(papers.invoice(lines=lines, taxes=(total,))))
    assert len(pages) <= 3
    assert all("Quantity" in page or "Exact worth" in page for page in pages)


def test_names_are_no_markup() -> None:
    buyer = msgspec.structs.replace(papers.BUYER, name='<img src="https://evil.test/x">&')
    pages, _ = read(portable(papers.invoice(buyer=buyer)))
    assert '<img src="https://evil.test/x">&' in pages[0]

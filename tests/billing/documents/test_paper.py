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
        (papers.free(), ["Promotional credits", "taken off before tax", "Nothing is due."]),
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
    assert len(pages) == 3
    assert all("Quantity" in page for page in pages)
    assert "gpt-4o-3 26,678,130 see Usage by model 96.32" in pages[0]
    assert "gpt-4o-3" in pages[2]


@pytest.mark.parametrize("is_note", [False, True])
def test_the_appendix_sums_to_the_lines(is_note: bool) -> None:
    made = papers.invoice()
    rest = [
        Line("Tools", "gpt-4o", 250, papers.STANDARD, "web searches", 25, 1, Decimal("0.1"), proof=papers.PROOF),
        Line("Late usage", "Late usage of August 2026", -7, papers.STANDARD, quantity=-9, price_words="as rated",
             proof=msgspec.structs.replace(papers.PROOF, events=3, digest="ab" * 32)),
    ]  # fmt: skip
    lines = (*made.lines, *rest)
    total = papers.TaxLine(papers.amounts(papers.STANDARD, sum(line.amount for line in lines)), "VAT 19%")
    made = papers.invoice(lines=lines, taxes=(total,))
    pages, _ = read(portable(papers.credit_note(made) if is_note else made))
    appendix = pages[-1]
    usage = {line.description for line in lines if line.proof}
    for name in usage:
        of_model = [line for line in lines if line.proof and line.description == name]
        amount = f"{Decimal(sum(line.amount for line in of_model)).scaleb(-2):,.2f}".replace("-", "−")
        assert name in appendix
        assert (f"Together {amount}" if len(of_model) > 1 else amount) in appendix
        for line in of_model:
            assert f"{line.quantity:,}" in appendix
    everything = Decimal(sum(line.amount for line in lines if line.proof)).scaleb(-2)
    kind = "credit note" if is_note else "invoice"
    assert f"All usage, as in the lines of this {kind} {everything:,.2f}" in appendix
    assert "web searches 25 0.1000 1 2.50" in appendix
    assert "3 events, $2,195.172233735 exactly, hash abababab…abab" in appendix


def test_names_are_no_markup() -> None:
    buyer = msgspec.structs.replace(papers.BUYER, name='<img src="https://evil.test/x">&')
    pages, _ = read(portable(papers.invoice(buyer=buyer)))
    assert '<img src="https://evil.test/x">&' in pages[0]

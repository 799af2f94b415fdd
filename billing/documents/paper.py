"""The PDF: the document for people, with its electronic twin inside (Factur-X)."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import groupby
from typing import Any

import facturx

from accounts.countries import COUNTRIES
from billing.documents.document import BilledDocument, Kind, Line, Party, Payment, Proof
from billing.documents.einvoice import electronic
from core.pdf import render_pdf

# With more of them, models are summed on the first page; the appendix has them one by one either way.
MOST_USAGE_LINES = 18
_COUNTRY_NAMES = dict(COUNTRIES)
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
_CURRENCIES = {"USD": "US dollar", "EUR": "Euro", "GBP": "Pound sterling"}


def portable(document: BilledDocument) -> bytes:
    """PDF/A-3 with the XML of EN 16931 attached as an alternative of the whole document."""
    made = facturx.generate_from_binary(
        render_pdf("pdf/billed_document.html", _context(document)),
        electronic(document),
        flavor="factur-x",
        level="en16931",
        check_xsd=False,
        lang="en",
        afrelationship="alternative",
        pdf_metadata={
            "author": document.seller.name,
            "keywords": f"{document.kind.words}, Factur-X",
            "title": f"{document.kind.words} {document.number}",
            "subject": f"{document.kind.words} {document.number} of {document.seller.name}",
        },
    )
    return bytes(made)


def _context(document: BilledDocument) -> dict[str, Any]:
    """Every figure as the text that is printed; the template only places them."""
    kind = document.kind.words
    is_long = sum(line.proof is not None for line in document.lines) > MOST_USAGE_LINES
    return {
        "kind": kind,
        "number": document.number,
        "seller": _party(document.seller),
        "buyer": _party(document.buyer),
        "foot": f"{document.seller.name} · {kind} {document.number}",
        "facts": _facts(document),
        "sections": [
            {"title": title, "groups": _groups(list(lines), is_summed=is_long)}
            for title, lines in groupby(document.lines, key=lambda line: line.section)
        ],
        "taxes": [
            {
                "label": f"{tax.label} of {_amount(tax.amount.net)}" if tax.amount.tax else tax.label,
                "amount": _amount(tax.amount.tax),
            }
            for tax in document.taxes
        ],
        "net": _amount(document.net),
        "payments": [{"label": _paid(p), "amount": _amount(-p.amount)} for p in document.payments],
        "total_label": "Total credited" if document.kind is Kind.CREDIT_NOTE else "Total",
        "total": _money(document.gross, document.currency),
        "due": _money(document.due, document.currency) if document.payments else None,
        "standing": _standing(document),
        "notes": [*dict.fromkeys(tax.note for tax in document.taxes if tax.note), *document.notes],
        "proof": _proven(document.proof) if document.proof else None,
        "proof_url": document.proof_url,
        "models": _models(document),
        "models_amount": _amount(sum(line.amount for line in document.lines if line.proof)),
    }  # fmt: skip


def _party(party: Party) -> dict[str, Any]:
    place = " ".join(part for part in (party.postal_code, party.city) if part)
    country = _COUNTRY_NAMES.get(party.country, party.country)
    address = [*party.street.splitlines(), ", ".join(part for part in (place, country) if part)]
    return {"name": party.name, "address": [line for line in address if line.strip()], "tax_number": party.tax_number}


def _facts(document: BilledDocument) -> list[tuple[str, str]]:
    facts = [("Issued", _day(document.issued_on)), ("Period", _period(document.period_start, document.period_end))]
    if document.due_on is not None:
        facts.append(("Due", _day(document.due_on)))
    if document.corrects:
        facts.append(("Takes back", document.corrects))
    if document.buyer_reference:
        facts.append(("Your reference", document.buyer_reference))
    name = _CURRENCIES.get(document.currency)
    return [*facts, ("Currency", f"{name} ({document.currency})" if name else document.currency)]


def _groups(lines: list[Line], *, is_summed: bool) -> list[dict[str, Any]]:
    """Lines of one description stand together, banded where they have details; a page never ends within them."""
    groups = []
    for place, (_, found) in enumerate(groupby(lines, key=lambda line: line.description if line.detail else line)):
        members = list(found)
        if is_summed and all(line.proof and line.detail for line in members):
            groups.append({"rows": [_summed(members)], "is_banded": False})
        else:
            groups.append(
                {
                    "rows": [_row(line, is_first=not position) for position, line in enumerate(members)],
                    "is_banded": bool(members[0].detail) and place % 2 == 0,
                }
            )
    return groups


def _row(line: Line, *, is_first: bool) -> dict[str, str]:
    return {
        "description": line.description if is_first or not line.detail else "",
        "detail": line.detail,
        "quantity": f"{line.quantity:,}",
        "unit_price": _price(line.unit_price) if line.unit_price is not None else "",
        "price_words": line.price_words,
        "amount": _amount(line.amount),
    }


def _summed(lines: list[Line]) -> dict[str, str]:
    return {
        "description": lines[0].description,
        "detail": "",
        "quantity": f"{sum(line.quantity for line in lines):,}",
        "unit_price": "",
        "price_words": "see Usage by model",
        "amount": _amount(sum(line.amount for line in lines)),
    }


def _models(document: BilledDocument) -> list[dict[str, Any]]:
    """What stands in the appendix: lines of one set of events together, with their sums and what proves them."""
    found: dict[tuple[str, str], list[Line]] = {}
    for line in document.lines:
        if line.proof is not None:
            found.setdefault((line.description, line.proof.digest), []).append(line)
    return [
        {
            "name": name,
            "rows": [
                {
                    "detail": line.detail or line.section,
                    "quantity": f"{line.quantity:,}",
                    "unit_price": _price(line.unit_price) if line.unit_price is not None else "",
                    "per": "1M" if line.per > 1 else "1",
                    "price_words": line.price_words,
                    "amount": _amount(line.amount),
                }
                for line in lines
            ],
            "amount": _amount(sum(line.amount for line in lines)),
            **_proven(lines[0].proof),
        }
        for (name, _), lines in found.items()
        if lines[0].proof is not None
    ]


def _proven(proof: Proof) -> dict[str, str]:
    digest = proof.digest
    return {
        "events": f"{proof.events:,}",
        "worth": f"{Decimal(proof.worth_usd):,f}",
        "digest": f"{digest[:8]}…{digest[-4:]}",
    }


def _standing(document: BilledDocument) -> str:
    if document.kind is Kind.CREDIT_NOTE:
        return ""
    if document.due <= 0 and document.payments:
        last = document.payments[-1]
        return f"{_paid(last)}. Nothing is due."
    return "" if document.due else "Nothing is due."


def _paid(payment: Payment) -> str:
    did = "Paid" if payment.amount > 0 else "Returned"
    return f"{did} on {_day(payment.on)} by {payment.words}"


def _amount(minor: int) -> str:
    return f"{Decimal(minor).scaleb(-2):,.2f}".replace("-", "−")


def _money(minor: int, currency: str) -> str:
    sign = _SIGNS.get(currency)
    text = f"{sign}{_amount(abs(minor))}" if sign else f"{_amount(abs(minor))} {currency}"
    return f"−{text}" if minor < 0 else text


def _price(price: Decimal) -> str:
    """Four decimals, and as many more as the price has."""
    decimals = max(4, -int(price.normalize().as_tuple().exponent))
    return f"{price:,.{decimals}f}".replace("-", "−")


def _day(day: dt.date) -> str:
    return f"{day.day} {day:%B %Y}"


def _period(first: dt.date, last: dt.date) -> str:
    if first == last:
        return _day(last)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{_day(last)}"
    return f"{first.day} {first:%B} – {_day(last)}" if first.year == last.year else f"{_day(first)} – {_day(last)}"

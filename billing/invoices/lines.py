"""Charges as people are billed: each rounded once to minor units, taxed by who sells to whom, and put on paper."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from accounts.models import Organization
from billing.documents.document import BilledDocument, Kind, Line, Party, Proof, TaxLine
from billing.invoices.charges import Charge
from billing.models import BillingProfile, EnteredTaxRate, LineKind, Seller, TaxStanding
from billing.parties.numbers import is_of
from billing.periods import Period
from billing.tax import treatment as taxing
from billing.tax.amounts import Tax, TaxedAmount
from billing.tax.treatment import Treatment, treatment
from core.money import FEMTOS_PER_USD, minor_units_from_nanos, usd_text
from metering.query.billed import Manifest

CURRENCY = "USD"
_SECTIONS = {
    LineKind.FEE: "Plan",
    LineKind.INCLUDED: "Plan",
    LineKind.USAGE: "Usage above the allowance, per 1M tokens",
    LineKind.TOOL: "Tools and units",
    LineKind.LATE: "Late usage",
    LineKind.CARRIED: "Carried over",
    LineKind.CREDITS: "Credits",
}
_ORDER = {kind: place for place, kind in enumerate(_SECTIONS)}
_MILLION = 1_000_000


class NoSellerError(RuntimeError):
    """Nobody has said who bills for this installation."""


class Parties(msgspec.Struct, frozen=True):
    """Who sells to whom, read once, and how that is taxed on the period's last day."""

    seller: Party
    buyer: Party
    treatment: Treatment
    is_inclusive: bool
    payment_days: int
    reference: str


def parties_of(organization: Organization, on: dt.date) -> Parties:
    """Needs the organization's scope. Raises NoSellerError."""
    seller = Seller.objects.filter(pk=1).first()
    if seller is None:
        raise NoSellerError("Nobody has said who bills: the operator enters the seller first.")
    profile = BillingProfile.objects.filter(organization=organization).first() or BillingProfile(
        organization=organization
    )
    entered = tuple(
        taxing.EnteredRate(rate.country, rate.region, rate.name, rate.percent, rate.since, rate.until)
        for rate in EnteredTaxRate.objects.all()
    )
    buyer = taxing.Buyer(
        organization.country,
        organization.billing_postal_code,
        profile.region,
        is_confirmed_business=bool(profile.tax_number)
        and profile.tax_standing == TaxStanding.CONFIRMED
        and is_of(profile.tax_number, organization.country),
        exemption=profile.exemption,
    )
    sells = taxing.Seller(seller.country, seller.is_registered, seller.uses_one_stop_shop)
    return Parties(
        Party(
            seller.name, seller.country, seller.street, seller.postal_code, seller.city, seller.email, seller.tax_number
        ),
        Party(
            organization.billing_name or organization.name,
            organization.country,
            organization.billing_address,
            organization.billing_postal_code,
            organization.billing_city,
            organization.billing_email,
            profile.tax_number,
        ),
        treatment(sells, buyer, on, entered),
        seller.prices_include_tax,
        seller.payment_days,
        profile.reference,
    )


def billed_document(
    charges: Sequence[Charge],
    parties: Parties,
    period: Period,
    *,
    number: str,
    issued_on: dt.date,
    over: Manifest,
    proof_url: str = "",
    notes: tuple[str, ...] = (),
) -> BilledDocument:
    """The paper of a period's charges; its lines stand in the order of `in_order(charges)`."""
    ordered = in_order(charges)
    tax = parties.treatment.tax
    amounts = [minor_units_from_nanos(charge.nanos) for charge in ordered]
    total = (TaxedAmount.in_gross if parties.is_inclusive else TaxedAmount.on_net)(sum(amounts), tax)
    if parties.is_inclusive:
        amounts = _without_tax(amounts, total, tax)
    return BilledDocument(
        kind=Kind.INVOICE,
        number=number,
        issued_on=issued_on,
        period_start=period.starts_on,
        period_end=period.ends_on - dt.timedelta(days=1),
        due_on=issued_on + dt.timedelta(days=parties.payment_days),
        currency=CURRENCY,
        seller=parties.seller,
        buyer=parties.buyer,
        lines=tuple(_line(charge, amount, tax) for charge, amount in zip(ordered, amounts, strict=True)),
        taxes=(TaxLine(total, parties.treatment.label, parties.treatment.note),) if ordered else (),
        buyer_reference=parties.reference,
        notes=notes,
        proof=Proof(over.events, usd_text(over.cost_nanos) or "0", over.digest) if over.events else None,
        proof_url=proof_url if over.events else "",
    )


def in_order(charges: Sequence[Charge]) -> list[Charge]:
    """By section; within one as they came."""
    return sorted(charges, key=lambda charge: _ORDER[charge.kind])


def _without_tax(amounts: Sequence[int], total: TaxedAmount, tax: Tax) -> list[int]:
    """Each line's own net; what their rounding leaves of the document's net goes to the largest line."""
    nets = [TaxedAmount.in_gross(amount, tax).net for amount in amounts]
    if nets:
        nets[max(range(len(nets)), key=lambda place: abs(nets[place]))] += total.net - sum(nets)
    return nets


def _line(charge: Charge, amount: int, tax: Tax) -> Line:
    per = _MILLION if charge.kind == LineKind.USAGE else 1
    manifest = charge.manifest
    return Line(
        section=_SECTIONS[charge.kind],
        description=charge.description,
        amount=amount,
        tax=tax,
        detail=charge.bucket,
        quantity=charge.quantity,
        per=per,
        unit_price=_price(charge, per),
        price_words=charge.words,
        proof=Proof(manifest.events, usd_text(manifest.cost_nanos) or "0", manifest.digest) if manifest else None,
    )


def _price(charge: Charge, per: int) -> Decimal | None:
    if charge.femtos_per_unit is not None:
        return Decimal(charge.femtos_per_unit * per) / FEMTOS_PER_USD
    return None if charge.words else Decimal(minor_units_from_nanos(charge.nanos)).scaleb(-2)

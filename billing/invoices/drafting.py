"""The running period as an invoice that nobody has stated yet: fees for its days, usage and late usage so far."""

from __future__ import annotations

import datetime as dt

import msgspec
from django.utils.timezone import now

from accounts.models import Organization
from billing.contracts import Contract
from billing.credits import discounts
from billing.documents.document import BilledDocument
from billing.invoices.carrying import carried, left, remainder
from billing.invoices.charges import Charge, Usage, discounted
from billing.invoices.closing import open_periods
from billing.invoices.lines import billed_document, parties_of
from billing.models import LineKind
from billing.overage import overage_of
from billing.periods import Period
from core.tenancy import organization_scope
from metering.query.billed import Manifest
from metering.query.metrics import Figures

DRAFT = "Draft"
_KINDS = (
    ("input", "known_input_cost_nanos", "prompt_tokens"),
    ("output", "known_output_cost_nanos", "completion_tokens"),
)


class Draft(msgspec.Struct, frozen=True):
    """`is_over`: the period has ended and is about to be closed."""

    period: Period
    document: BilledDocument
    usage: Usage
    is_over: bool


def drafts(organization: Organization, at: dt.datetime | None = None) -> list[Draft]:
    """Periods that are not closed, oldest first; none for an organization without a plan.

    From roll-ups, so it is quick and up to the moment: by model, input and output; the invoice itself tells buckets and
    rates apart. Promotional credits are taken off as they would be now, and stay where they are. Raises NoSellerError.
    """
    at = at or now()
    with organization_scope(organization.pk):
        contract = Contract.load(organization)
        if contract is None:
            return []
        today = contract.today(at)
        room, open_, found = discounts.expected_nanos(contract, at), remainder(), []
        for period in open_periods(contract, today):
            charges, usage = _charges(contract, period, at)
            charges = discounted(carried(charges, open_), room)
            open_ = left(open_, charges, DRAFT)
            room += sum(charge.nanos for charge in charges if charge.kind == LineKind.CREDITS)
            parties = parties_of(organization, period.ends_on - dt.timedelta(days=1))
            document = billed_document(charges, parties, period, number=DRAFT, issued_on=today, over=Manifest())
            found.append(Draft(period, document, usage, is_over=period.ends_on <= today))
        return found


def _charges(contract: Contract, period: Period, at: dt.datetime) -> tuple[list[Charge], Usage]:
    found = overage_of(contract, period, at)
    charges = [Charge(LineKind.FEE, f"{fee.stay.version.name} plan", fee.nanos) for fee in contract.fees(period)]
    over = Manifest()
    if found is not None:
        charges.append(
            Charge(LineKind.INCLUDED, "Tokens included", 0, min(found.beyond.used, found.included), words="included")
        )
        for model in found.beyond.by_model:
            charges += _of_model(model.model.label or "none", model.figures)
        over = Manifest(found.beyond.figures.requests, found.tokens, found.cost_nanos)
    usage = Usage(
        found.beyond.used if found else 0,
        found.charged_from if found else None,
        found.included if found else None,
        over,
    )
    return charges, usage


def _of_model(name: str, figures: Figures) -> list[Charge]:
    charges = [
        Charge(LineKind.USAGE, name, getattr(figures, cost), getattr(figures, tokens), words="as rated", bucket=kind)
        for kind, cost, tokens in _KINDS
        if getattr(figures, tokens)
    ]
    units = figures.known_cost_nanos - figures.known_input_cost_nanos - figures.known_output_cost_nanos
    if units:
        charges.append(Charge(LineKind.TOOL, name, units, words="as rated", bucket="tools and units"))
    return charges

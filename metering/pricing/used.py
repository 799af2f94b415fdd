"""Which models an organization uses, and what each costs it now: those without a price first."""

from __future__ import annotations

import datetime as dt

import msgspec

from accounts.models import Organization
from metering.models import PriceKind
from metering.pricing.book import PriceBook
from metering.pricing.plan import Version
from metering.query.metrics import Figures
from metering.query.ranges import named_range
from metering.query.run import run
from metering.query.spec import UsageQuery

RANGE = "90d"


class UsedModel(msgspec.Struct, frozen=True):
    """A model as its calls name it. `version` is its price now, None without one; `rule` says how it was found."""

    provider: str | None
    model: str
    figures: Figures
    version: Version | None
    rule: str

    @property
    def is_unpriced(self) -> bool:
        """Whether calls lack a price: all of those now, or some of those in the range."""
        return self.version is None or self.figures.unpriced_requests > 0


def models_in_use(organization: Organization, at: dt.datetime) -> list[UsedModel]:
    """By model and provider, of the last 90 days: without a price first, then by cost."""
    span = named_range(RANGE, organization.zone, at)
    query = UsageQuery(organization.pk, span.start, span.end, organization.zone, group_by=("model", "provider"))
    book = PriceBook.load()
    found = []
    for row in run(query).rows:
        model, provider = row.group["model"].label, row.group["provider"].label
        if model is not None:
            version, rule = price_of(book, organization.pk, provider, model, at)
            found.append(UsedModel(provider, model, row.figures, version, rule))
    return sorted(
        found,
        key=lambda one: (
            one.version is not None,
            not one.is_unpriced,
            -one.figures.known_cost_nanos,
            -one.figures.total_tokens,
            one.model,
        ),
    )


def price_of(
    book: PriceBook, organization_id: int, provider: str | None, model: str, at: dt.datetime
) -> tuple[Version | None, str]:
    """The version that rates a call of that moment, and the rule that finds it; without one the reason."""
    resolved = book.resolve(organization_id, provider, model)
    for valid_from, valid_to, plan in resolved.periods:
        if valid_from <= at and (valid_to is None or at < valid_to):
            return plan.version, plan.rule
    return None, resolved.reason


def history_of(book: PriceBook, organization_id: int, provider: str | None, model: str) -> list[tuple[Version, str]]:
    """Every period that could price the model, own ones before those of the list, the latest first."""
    return [(plan.version, plan.rule) for _, _, plan in book.resolve(organization_id, provider, model).periods]


def is_listed(book: PriceBook, organization_id: int, provider: str | None, model: str) -> bool:
    """Whether a price list knows the model, so that an own price stands in the place of the list's."""
    return book.resolve(organization_id, provider, model).listed is not None


def kind_of(version: Version | None) -> str:
    """What a page calls the state of a price: unpriced, free, own, custom or list."""
    if version is None:
        return "unpriced"
    if version.is_free:
        return "free"
    return {PriceKind.OVERRIDE.value: "own", PriceKind.CUSTOM.value: "custom"}.get(version.kind, "list")

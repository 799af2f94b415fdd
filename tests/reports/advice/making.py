"""Calls that advice is about, at prices that are easy to multiply; insights as they are kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from metering.pipeline import Rated, Sender, record
from metering.pricing.book import PriceBook
from metering.store.base import Outcome
from reports.advice import kind_of, records
from reports.advice.kind import Context, Finding, Kind, Piece
from reports.advice.savings import window_of
from reports.models import Effort, Insight
from tests.metering.query.usage import make_event

DAY, HOUR, MINUTE, SECOND = (
    dt.timedelta(days=1),
    dt.timedelta(hours=1),
    dt.timedelta(minutes=1),
    dt.timedelta(seconds=1),
)
# Noon in Berlin, long after the window ended at midnight.
NOW = dt.datetime(2026, 11, 20, 11, tzinfo=dt.UTC)
# Nano-dollars a token: input, read from a cache, written to one, output; by tier.
PRICES: dict[str, dict[str, dict[str, int]]] = {
    "gpt-4o": {"": {"input": 2_500, "cache_read": 1_250, "output": 10_000}, "batch": {"input": 1_250, "output": 5_000}},
    "gpt-4o-mini": {"": {"input": 150, "cache_read": 75, "output": 600}},
    "claude-sonnet-4-5": {"": {"input": 3_000, "cache_read": 300, "cache_write_5m": 3_750, "output": 15_000}},
}
PROVIDERS = {"claude-sonnet-4-5": "anthropic"}


def set_prices() -> None:
    with unscoped("list prices are everybody's"):
        for model, tiers in PRICES.items():
            version = PriceVersion.objects.create(
                kind=PriceKind.LIST,
                provider=PROVIDERS.get(model, "openai"),
                model=model,
                valid_from="2020-01-01T00:00:00Z",
                source="test list",
            )
            PriceRate.objects.bulk_create(
                PriceRate(version=version, bucket=bucket, service_tier=tier, femtos_per_unit=nanos * 10**6)
                for tier, rates in tiers.items()
                for bucket, nanos in rates.items()
            )


def nanos(model: str, usage: Usage, tier: str = "") -> int:
    """The manual repricing: tokens times rates."""
    rates = PRICES[model][""] | PRICES[model].get(tier, {})
    return sum(getattr(usage, bucket) * rate for bucket, rate in rates.items())


def call(event_id: str, at: dt.datetime, usage: Usage, model: str = "gpt-4o", **fields: Any) -> UsageEvent:
    return make_event(event_id, at, model, usage, provider=PROVIDERS.get(model, "openai"), **fields)


def write(organization: Organization, events: Sequence[UsageEvent], sender: Sender | None = None) -> list[Rated]:
    with organization_scope(organization.pk):
        directory = Directory.load(organization.pk)
        rated = record(directory, PriceBook.load(), sender or Sender(), events, dt.datetime.now(dt.UTC))
    assert {one.outcome for one in rated} <= {Outcome.CREATED}, [one.problem or one.appended for one in rated]
    return rated


def context_of(organization: Organization, at: dt.datetime = NOW) -> Context:
    return Context(organization, *window_of(at, organization.zone), at, PriceBook.load())


def find(organization: Organization, name: str, at: dt.datetime = NOW) -> list[Finding]:
    with organization_scope(organization.pk):
        return list(kind_of(name).find(context_of(organization, at)))


def keep(organization: Organization, kind: Kind, at: dt.datetime = NOW) -> list[Insight]:
    """A round of one kind; all insights of the organization then."""
    with organization_scope(organization.pk):
        records.keep(context_of(organization, at), kind)
        return list(Insight.objects.order_by("pk"))


def short_calls(count: int, first: dt.datetime, prefix: str = "s", **fields: Any) -> list[UsageEvent]:
    """Simple ones, an hour apart, each of another size."""
    return [
        call(f"{prefix}{number}", first + number * HOUR, Usage(input=400 + number, output=20 + number), **fields)
        for number in range(count)
    ]


def make_insight(
    organization: Organization, title: str = "Something", pieces: int = 3, kind: str = "model_switch"
) -> Insight:
    """As if a round had found it. Needs the organization's scope."""
    start, end = window_of(now(), organization.zone)
    insight = Insight(
        organization=organization, kind=kind, subject=f"openai|{title}|smaller", title=title, text="Why.",
        terms=[["Prompt", "short"]], effort=Effort.SMALL, starts_at=start, ends_at=end, evidence_count=pieces,
        now_nanos=pieces * 3_000, would_nanos=pieces * 1_000, low_nanos=0, likely_nanos=pieces * 2_000,
        high_nanos=pieces * 2_500, cost_nanos=pieces * 10_000, found_at=now(), checked_at=now(),
    )  # fmt: skip
    insight.save()
    records._keep_evidence(
        insight, [Piece(f"{title}-{number}", start + number * MINUTE, 3_000, 1_000) for number in range(pieces)]
    )
    return insight


def _fail(_context: Context) -> list[Finding]:
    raise RuntimeError("it cannot be looked for")


FAILING = Kind("batch_tier", "Batch tier", "clock", "What always fails.", _fail)

"""Usage for the tests of waste, at real prices, and the manual repricing that savings have to agree with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from accounts.models import Organization
from core.tenancy import organization_scope
from metering.events import Usage, UsageEvent
from metering.pipeline import Rated
from metering.pricing.book import PriceBook
from reports.advice import kind_of
from reports.advice.kind import Context, Finding, Work
from tests.metering.query.usage import make_event

AT = dt.datetime(2026, 11, 12, 9, tzinfo=dt.UTC)
START, END = dt.datetime(2026, 11, 1, tzinfo=dt.UTC), dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
SECOND, MINUTE = dt.timedelta(seconds=1), dt.timedelta(minutes=1)
WASTE = (
    "retry_loops", "duplicates", "empty_answers", "cut_off", "max_tokens", "large_files", "long_chats", "idle_keys",
)  # fmt: skip


def call(event_id: str, at: dt.datetime, usage: Usage, **fields: Any) -> UsageEvent:
    """A call of the model "plain" in the project Website, unless `fields` say otherwise."""
    given = {"provider": "openai", "project": "website", "feature": "chat", **fields}
    return make_event(event_id, at, given.pop("model", "plain"), usage, **given)


def context_of(organization: Organization, now: dt.datetime = END) -> Context:
    return Context(organization, START, END, now, PriceBook.load())


def find(organization: Organization, name: str, now: dt.datetime = END) -> list[Finding]:
    with organization_scope(organization.pk):
        return list(kind_of(name).find(context_of(organization, now)))


def work(organization: Organization, name: str, subject: str) -> Work:
    with organization_scope(organization.pk):
        return kind_of(name).work(context_of(organization), subject)


def saved(finding: Finding) -> int:
    return sum(
        p.now_nanos - p.would_nanos for p in finding.pieces if p.now_nanos is not None and p.would_nanos is not None
    )


def costs(rated: Iterable[Rated]) -> dict[str, int]:
    """What each event was stored with, by its id."""
    return {one.row.event_id: one.row.cost_nanos or 0 for one in rated if one.row}

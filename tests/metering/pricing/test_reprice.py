from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec
import pytest

from accounts.audit import Actor
from accounts.models import AuditEntry, Organization, Role
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.events import Usage
from metering.pricing.book import PriceBook
from metering.pricing.rate import Pricing
from metering.pricing.reprice import ModelDifference, Repriced, StoredCall, reprice
from tests.metering.pricing.prices import NOON, book, per_million, version

ACTOR = Actor("fiona@acme.test", Role.FINANCE)
START, END = NOON - dt.timedelta(days=1), NOON + dt.timedelta(days=1)
OLD = book(version(1, per_million(input=2)))
NEW = book(version(2, per_million(input=1)), version(3, per_million(input=4), model="o9"))


class MemoryStore:
    """Calls in a list, as a usage store would keep them."""

    def __init__(self, prices: PriceBook, *models: str) -> None:
        self.calls = [stored(prices, number, model) for number, model in enumerate(models)]
        self.batches = 0

    def calls_between(self, organization_id: int, start: dt.datetime, end: dt.datetime) -> Iterable[StoredCall]:
        return [call for call in self.calls if start <= call.occurred_at < end]

    def replace_costs(self, organization_id: int, repriced: Sequence[Repriced]) -> None:
        self.batches += 1
        for item in repriced:
            self.calls[item.call.handle] = msgspec.structs.replace(
                item.call,
                pricing=item.rating.pricing,
                cost_nanos=item.rating.cost_nanos,
                input_cost_nanos=item.rating.input_cost_nanos,
                output_cost_nanos=item.rating.output_cost_nanos,
                price_version_id=item.rating.price_version_id,
            )


def stored(prices: PriceBook, number: int, model: str) -> StoredCall:
    usage = Usage(input=1_000_000)
    rating = prices.rate(1, provider="openai", model=model, occurred_at=NOON, usage=usage)
    return StoredCall(
        handle=number,
        provider="openai",
        model=model,
        occurred_at=NOON,
        usage=usage,
        service_tier=None,
        is_error=False,
        duration_ms=None,
        pricing=rating.pricing,
        cost_nanos=rating.cost_nanos,
        input_cost_nanos=rating.input_cost_nanos,
        output_cost_nanos=rating.output_cost_nanos,
        price_version_id=rating.price_version_id,
    )


def test_a_dry_run_says_what_would_change_and_changes_nothing(acme: Organization) -> None:
    store = MemoryStore(OLD, "gpt-4o", "gpt-4o", "o9", "unknown")
    before = list(store.calls)
    result = reprice(store, NEW, acme.id, START, END)
    assert result.differences == (
        ModelDifference("openai", "gpt-4o", 2, 2, 0, 0, 4 * 10**9, 2 * 10**9),
        ModelDifference("openai", "o9", 1, 1, 1, 0, 0, 4 * 10**9),
    )
    assert (result.is_done, result.changed, store.batches, store.calls) == (False, 3, 0, before)


def test_the_act_does_what_the_dry_run_said_and_is_audited(acme: Organization) -> None:
    store = MemoryStore(OLD, "gpt-4o", "o9", "unknown")
    plan = reprice(store, NEW, acme.id, START, END)
    done = reprice(store, NEW, acme.id, START, END, dry_run=False, actor=ACTOR, confirmed_digest=plan.digest)
    assert (done.is_done, done.differences) == (True, plan.differences)
    assert [call.cost_nanos for call in store.calls] == [10**9, 4 * 10**9, None]
    assert reprice(store, NEW, acme.id, START, END).changed == 0
    with organization_scope(acme.id):
        entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_label) == ("prices.reprice", "fiona@acme.test")
    assert entry.changes["openai/gpt-4o"] == ["2", "1"]


def test_the_act_refuses_when_the_difference_has_changed(acme: Organization) -> None:
    store = MemoryStore(OLD, "gpt-4o")
    plan = reprice(store, NEW, acme.id, START, END)
    store.calls.append(stored(OLD, 1, "gpt-4o"))
    with pytest.raises(ApiError, match="not what was shown"):
        reprice(store, NEW, acme.id, START, END, dry_run=False, actor=ACTOR, confirmed_digest=plan.digest)
    with organization_scope(acme.id):
        assert not AuditEntry.objects.exists()


def test_nobody_reprices_without_having_looked(acme: Organization) -> None:
    with pytest.raises(ValueError, match="who has seen"):
        reprice(MemoryStore(OLD), NEW, acme.id, START, END, dry_run=False, actor=ACTOR)


def test_a_price_that_is_lost_makes_calls_unpriced_and_says_so(acme: Organization) -> None:
    (difference,) = reprice(MemoryStore(OLD, "gpt-4o"), book(), acme.id, START, END).differences
    assert (difference.newly_unpriced, difference.old_cost_nanos, difference.new_cost_nanos) == (1, 2 * 10**9, 0)
    assert stored(book(), 0, "gpt-4o").pricing == Pricing.UNPRICED

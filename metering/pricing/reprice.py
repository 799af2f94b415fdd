"""Rating a past period again, at the prices the book holds now: first as a dry run, then as an act.

Events keep the price they were rated at until somebody decides otherwise, seeing what it would change. The act
carries the digest of the dry run it was decided on, and refuses when the difference has become another one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import msgspec

from accounts import audit
from accounts.models import Organization
from core.errors import ApiError
from core.money import usd_text
from core.tenancy import organization_scope
from metering.events import Usage
from metering.pricing.book import PriceBook
from metering.pricing.rate import Pricing, Rating

_BATCH = 2_000
# (model, provider) → the counts of a ModelDifference, in its order
Tally = dict[tuple[str, str | None], list[int]]


class StoredCall(msgspec.Struct, frozen=True, kw_only=True):
    """A stored event, as far as its price depends on it. `handle` is the store's own way to find it again."""

    handle: Any
    provider: str | None
    model: str
    occurred_at: dt.datetime
    usage: Usage | None
    service_tier: str | None
    is_error: bool
    duration_ms: int | None
    pricing: Pricing
    cost_nanos: int | None
    input_cost_nanos: int | None
    output_cost_nanos: int | None
    price_version_id: int | None


class Repriced(msgspec.Struct, frozen=True):
    """An event and what it costs from now on."""

    call: StoredCall
    rating: Rating


class RepricingStore(Protocol):
    """What a usage store does for repricing. Both calls happen in one transaction, in the organization's scope."""

    def calls_between(self, organization_id: int, start: dt.datetime, end: dt.datetime) -> Iterable[StoredCall]:
        """The current (not superseded) events of [start, end), in any order, as one snapshot: `replace_costs` is called
        while it is read."""
        ...

    def replace_costs(self, organization_id: int, repriced: Sequence[Repriced]) -> None:
        """Write the new costs, price versions and rules, and carry the differences into every roll-up."""
        ...


class ModelDifference(msgspec.Struct, frozen=True):
    """What repricing changes for one model. Costs are sums over the changed events alone, in nano-dollars."""

    provider: str | None
    model: str
    events: int
    changed: int
    newly_priced: int
    newly_unpriced: int
    old_cost_nanos: int
    new_cost_nanos: int


class Repricing(msgspec.Struct, frozen=True):
    start: dt.datetime
    end: dt.datetime
    differences: tuple[ModelDifference, ...]
    is_done: bool

    @property
    def changed(self) -> int:
        return sum(difference.changed for difference in self.differences)

    @property
    def digest(self) -> str:
        """Equal for equal differences; the act names the dry run's."""
        return hashlib.sha256(msgspec.json.encode((self.start, self.end, self.differences))).hexdigest()[:16]


def reprice(
    store: RepricingStore,
    book: PriceBook,
    organization_id: int,
    start: dt.datetime,
    end: dt.datetime,
    *,
    dry_run: bool = True,
    actor: audit.Actor | None = None,
    confirmed_digest: str | None = None,
) -> Repricing:
    """What the book's prices of today change in [start, end); with `dry_run=False`, change it.

    The act needs an actor and the digest of the dry run. Whether a period may still change (it may be on an invoice)
    is its caller's to decide.
    """
    if not dry_run and (actor is None or confirmed_digest is None):
        raise ValueError("repricing is done by somebody, who has seen what it changes")
    tally: Tally = {}
    with organization_scope(organization_id):
        changed = _repriced(store, book, organization_id, start, end, tally)
        if dry_run or actor is None:
            for _ in changed:
                pass
            return Repricing(start, end, _differences(tally), is_done=False)
        while batch := list(islice(changed, _BATCH)):
            store.replace_costs(organization_id, batch)
        result = Repricing(start, end, _differences(tally), is_done=True)
        if result.digest != confirmed_digest:
            # The scope is a transaction: the error takes back what was replaced.
            raise ApiError(409, "repricing_changed", "The difference is not what was shown any more. Look at it again.")
        _record(actor, organization_id, result)
    return result


def _repriced(
    store: RepricingStore,
    book: PriceBook,
    organization_id: int,
    start: dt.datetime,
    end: dt.datetime,
    tally: Tally,
) -> Iterator[Repriced]:
    for call in store.calls_between(organization_id, start, end):
        rating = book.rate(
            organization_id,
            provider=call.provider,
            model=call.model,
            occurred_at=call.occurred_at,
            usage=call.usage,
            service_tier=call.service_tier,
            is_error=call.is_error,
            duration_ms=call.duration_ms,
        )
        counts = tally.setdefault((call.model, call.provider), [0] * 6)
        counts[0] += 1
        before = (call.pricing, call.cost_nanos, call.input_cost_nanos, call.output_cost_nanos)
        after = (rating.pricing, rating.cost_nanos, rating.input_cost_nanos, rating.output_cost_nanos)
        if before == after:
            continue  # the same money by another version is no difference to anybody
        counts[1] += 1
        counts[2] += call.pricing == Pricing.UNPRICED and rating.pricing != Pricing.UNPRICED
        counts[3] += call.pricing != Pricing.UNPRICED and rating.pricing == Pricing.UNPRICED
        counts[4] += call.cost_nanos or 0
        counts[5] += rating.cost_nanos or 0
        yield Repriced(call, rating)


def _differences(tally: Tally) -> tuple[ModelDifference, ...]:
    ordered = sorted(tally.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    return tuple(ModelDifference(provider, model, *counts) for (model, provider), counts in ordered if counts[1])


def _record(actor: audit.Actor, organization_id: int, result: Repricing) -> None:
    organization = Organization.objects.get(pk=organization_id)
    period = f"{result.start.isoformat()}/{result.end.isoformat()}"
    changes: dict[str, tuple[Any, Any]] = {"period": (None, period)}
    for item in result.differences:
        name = f"{item.provider}/{item.model}" if item.provider else item.model
        changes[name] = (usd_text(item.old_cost_nanos), usd_text(item.new_cost_nanos))
    audit.record(actor, "prices.reprice", organization, changes)

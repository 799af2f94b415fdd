"""Usage for the tests of reading: written through the real write path, and counted a second time in plain Python."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from core.tenancy import organization_scope
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.pipeline import Rated, Sender, record
from metering.pricing.rate import Pricing, Rating
from metering.query.metrics import Figures
from metering.store.base import Outcome

UTC = dt.UTC
NOBODY = Sender()
SOME_USAGE = Usage(input=10, output=5)


class SimplePrices:
    """A price book of one rule: free-… costs nothing, odd-… has no price, other models cost some nanos a token."""

    def rate(
        self, organization_id: int, *, model: str, usage: Usage | None, is_error: bool = False, **_: Any
    ) -> Rating:
        if usage is None:
            return Rating(Pricing.FREE, 0, 0, 0, None, "no usage") if is_error else _unpriced("usage unknown")
        if model.startswith("free-"):
            return Rating(Pricing.FREE, 0, 0, 0, None, "free")
        if model.startswith("odd-"):
            return _unpriced("no price")
        inward, outward = usage.prompt_tokens * 2_501, usage.completion_tokens * 10_007
        return Rating(
            Pricing.PRICED, inward + outward + usage.web_searches * 10_000_001, inward, outward, None, "simple"
        )


def _unpriced(why: str) -> Rating:
    return Rating(Pricing.UNPRICED, None, None, None, None, why)


def make_event(
    event_id: str,
    at: dt.datetime,
    model: str = "gpt-4o",
    usage: Usage | None = SOME_USAGE,
    **fields: Any,
) -> UsageEvent:
    body = hashlib.blake2b(repr((event_id, model, usage, fields)).encode(), digest_size=16).digest()
    return UsageEvent(event_id=event_id, occurred_at=at, model=model, usage=usage, body_hash=body, **fields)


def write(organization_id: int, events: Sequence[UsageEvent], sender: Sender = NOBODY) -> list[Rated]:
    """Store events of an organization; every one of them must be new. Opens the organization's scope."""
    return write_with(Directory.load(organization_id), events, sender)


def write_with(directory: Directory, events: Sequence[UsageEvent], sender: Sender = NOBODY) -> list[Rated]:
    with organization_scope(directory.organization_id):
        rated = record(directory, SimplePrices(), sender, events, dt.datetime.now(UTC))  # type: ignore[arg-type]
    assert {one.outcome for one in rated} <= {Outcome.CREATED}, [one.problem or one.appended for one in rated]
    return rated


def count(rated: Iterable[Rated], keep: Callable[[Any], bool] = lambda row: True) -> Figures:
    """The figures of the rows kept, summed one by one without the database."""
    total = Figures()
    for one in rated:
        row = one.row
        if row is None or not keep(row):
            continue
        usage = {name: getattr(row, name) for name in _SUMMED}
        tokens = Figures(**usage).total_tokens
        total += Figures(
            requests=1,
            errors=int(row.is_error),
            **usage,
            known_cost_nanos=row.cost_nanos or 0,
            known_input_cost_nanos=row.input_cost_nanos or 0,
            known_output_cost_nanos=row.output_cost_nanos or 0,
            free_requests=int(row.pricing == 2),
            estimated_requests=int(row.pricing == 1 and row.is_estimated),
            unpriced_requests=int(row.pricing == 3),
            unknown_requests=int(not row.is_usage_known),
            free_tokens=tokens if row.pricing == 2 else 0,
            estimated_tokens=tokens if row.pricing == 1 and row.is_estimated else 0,
            unpriced_tokens=tokens if row.pricing == 3 else 0,
            duration_ms=row.duration_ms or 0,
            timed_requests=int(row.duration_ms is not None),
        )
    return total


_SUMMED = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "audio_input", "audio_output",
    "image_input", "image_output", "web_searches", "images", "media_ms",
)  # fmt: skip

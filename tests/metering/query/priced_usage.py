"""Prices with every condition there is, and calls at them, counted a second time call by call in plain Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from hypothesis import strategies as st

from core.tenancy import organization_scope, unscoped
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from metering.pipeline import Rated, Sender, record
from metering.pricing.book import PriceBook
from metering.pricing.rate import Rate
from metering.store.base import Outcome
from tests.metering.pricing.prices import rate
from tests.metering.query.usage import make_event

UTC = dt.UTC
CHANGE = dt.datetime(2026, 11, 10, 12, tzinfo=UTC)
NIGHT = (dt.time(16, 30), dt.time(0, 30))
# Rates are odd femtos, so that rounding has something to do.
PLAIN = (rate("input", 2_500_000_001), rate("cache_read", 1_250_333_333), rate("output", 10_000_000_007))
LONG = (
    *PLAIN, rate("input", 5_000_000_003, above=200_000), rate("output", 15_000_000_011, above=200_000),
    rate("input", 1_111_111_111, tier="batch"), rate("web_searches", 10_000_000_000_001),
)  # fmt: skip
UNUSUAL = (*PLAIN, rate("input", 3_333_333_333, above=1_000), rate("output", 7_777_777_777, window=NIGHT))
BY_PIECE = (
    rate("input", 150_000_001), rate("output", 600_000_003), rate("audio_input", 40_000_000_009),
    rate("requests", 5_000_000_000_003), rate("images", 40_000_000_000_000), rate("media_hours", 360_000_000_000_007),
)  # fmt: skip
MODELS = {"plain": PLAIN, "long": LONG, "unusual": UNUSUAL, "by-piece": BY_PIECE, "free-one": (), "odd-one": None}


def set_prices() -> None:
    """Every model of MODELS that has a price; "plain" costs a third more from CHANGE on."""
    with unscoped("list prices are everybody's"):
        for model, rates in MODELS.items():
            if rates is None:
                continue
            if model == "plain":
                _version(model, rates, valid_to=CHANGE)
                dearer = tuple(rate(one.bucket, one.femtos_per_unit * 4 // 3) for one in rates)
                _version(model, dearer, valid_from=CHANGE)
            else:
                _version(model, rates, is_free=not rates)


def _version(
    model: str,
    rates: Sequence[Rate],
    *,
    valid_from: dt.datetime = dt.datetime(2020, 1, 1, tzinfo=UTC),
    valid_to: dt.datetime | None = None,
    is_free: bool = False,
) -> None:
    version = PriceVersion.objects.create(
        kind=PriceKind.LIST, provider="openai", model=model, valid_from=valid_from, valid_to=valid_to,
        is_free=is_free, source="test",
    )  # fmt: skip
    PriceRate.objects.bulk_create(
        PriceRate(
            version=version, bucket=one.bucket, service_tier=one.service_tier, above_tokens=one.above_tokens,
            starts_at=one.starts_at, ends_at=one.ends_at, femtos_per_unit=one.femtos_per_unit,
        )
        for one in rates
    )  # fmt: skip


def write_rated(organization_id: int, events: Sequence[UsageEvent]) -> list[Rated]:
    with organization_scope(organization_id):
        rated = record(Directory.load(organization_id), PriceBook.load(), Sender(), events, dt.datetime.now(UTC))
    assert {one.outcome for one in rated} <= {Outcome.CREATED}
    return rated


@st.composite
def calls(draw: st.DrawFn) -> list[UsageEvent]:
    """Calls around the change of a price, at lengths around every limit, with whatever can be counted."""
    tokens = st.sampled_from([0, 0, 1, 7, 333, 999, 1_001, 31_999, 32_001, 199_999, 200_001, 272_001, 600_000])
    usages = st.builds(
        Usage, input=tokens, cache_read=st.sampled_from([0, 0, 13, 200_000]), output=st.sampled_from([0, 1, 17, 4_321]),
        reasoning=st.sampled_from([0, 0, 5]), audio_input=st.sampled_from([0, 0, 0, 11]),
        image_input=st.sampled_from([0, 0, 3]), web_searches=st.sampled_from([0, 0, 0, 2]),
        images=st.sampled_from([0, 0, 0, 1]), media_ms=st.sampled_from([0, 0, 0, 1, 61_007]),
    )  # fmt: skip
    return [
        make_event(
            f"e{number}",
            CHANGE + dt.timedelta(minutes=draw(st.integers(-3_000, 3_000))),
            draw(st.sampled_from(list(MODELS))),
            draw(st.none() | usages),
            provider="openai",
            status=draw(st.sampled_from(["ok", "ok", "error"])),
            service_tier=draw(st.sampled_from([None, "standard", "batch"])),
            is_estimated=draw(st.booleans()),
            user=draw(st.sampled_from([None, "u1"])),
        )
        for number in range(draw(st.integers(1, 20)))
    ]

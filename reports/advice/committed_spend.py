"""A steady base of spend with one provider: what a commitment would be worth, without inventing a discount."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from fractions import Fraction

from core import figures
from core.money import NANOS_PER_USD, divide_half_even
from core.periods import buckets
from metering.query.run import run
from reports.advice.kind import Context, Finding, Kind, Piece
from reports.advice.savings import DAYS
from reports.models import Effort

# The base is what nine days of ten reach; below this in a month, or less than half of the spend, nobody commits.
SELDOM_BELOW = DAYS // 10
LEAST_BASE_NANOS = 100 * NANOS_PER_USD
LEAST_SHARE = Fraction(1, 2)


def find(context: Context) -> Iterator[Finding]:
    days = [start for start, _ in buckets(context.start, context.end, "day", context.zone)]
    by_provider: dict[str, dict[dt.datetime, int]] = {}
    for row in run(context.query(group_by=("provider",), interval="day")).rows:
        provider = row.group["provider"].label
        if provider is not None:
            by_provider.setdefault(provider, {})[row.start] = row.figures.known_cost_nanos
    for provider, spent in sorted(by_provider.items()):
        costs = [spent.get(day, 0) for day in days]
        base = sorted(costs)[SELDOM_BELOW]
        if base * len(days) >= LEAST_BASE_NANOS and base * len(days) >= LEAST_SHARE * sum(costs):
            yield _finding(context, provider, days, costs, base)


def _finding(context: Context, provider: str, days: list[dt.datetime], costs: list[int], base: int) -> Finding:
    committed, total = base * len(days), sum(costs)
    unused = sum(max(0, base - cost) for cost in costs)
    reached = sum(cost >= base for cost in costs)
    share = figures.percent(figures.share(committed, total))
    even = figures.percent(Fraction(unused, committed))
    return Finding(
        subject=provider,
        title=f"{share} of the spend with {provider} is steady: ask for a committed price",
        text=(
            f"On {reached} of {len(days)} days at least {figures.money(base)} went to {provider}:"
            f" {figures.money(committed)} in {DAYS} days, {share} of all that went there. A commitment to that much"
            f" pays as soon as its discount is above {even}, for the days that stay below."
        ),
        pieces=[
            Piece(
                day.astimezone(context.zone).date().isoformat(),
                day,
                cost,
                None,
                "" if cost >= base else f"{figures.money(base - cost)} below the base",
            )
            for day, cost in zip(days, costs, strict=True)
        ],
        effort=Effort.LARGE,
        terms=(
            ("Base", f"what nine days of ten reach: {figures.money(base)} a day"),
            ("Unused", f"{figures.money(unused)} of the commitment on days below the base"),
            ("Breaks even", f"at a discount of {even}"),
            (
                "Worth",
                f"{figures.money(divide_half_even(committed, 100))} a month for each percent of discount above that",
            ),
        ),
        caveat=(
            "What a provider offers for a commitment is not known here, so no savings are stated. Look at the forecast"
            " before binding yourself for a year. An agreed price is entered under Prices, and counts from then on."
        ),
    )


KIND = Kind(
    name="committed_spend",
    label="Committed spend",
    icon="bullseye",
    about="A provider whose spend hardly varies, for which a commitment could be negotiated.",
    find=find,
    evidence="days",
)

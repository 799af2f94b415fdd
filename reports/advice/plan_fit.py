"""Another plan that is on sale, whose fee and overage would have come to less for the usage of the last periods."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import msgspec

from accounts.permissions import Right
from billing.contracts import Contract
from billing.models import Overage, PlanVersion
from billing.periods import Period
from billing.plan_words import term_words
from billing.plans import versions_on
from core import figures
from core.money import divide_half_even
from core.periods import local_day
from metering.query.beyond import beyond
from metering.query.latest import first_event_at
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports.advice.kind import Context, Estimate, Finding, Kind, Piece
from reports.models import Effort

MOST_PERIODS = 3


class Charged(msgspec.Struct, frozen=True):
    """What a period's usage comes to on a plan: its fee and what is charged beyond its allowance."""

    fee_nanos: int
    overage_nanos: int

    @property
    def nanos(self) -> int:
        return self.fee_nanos + self.overage_nanos


def find(context: Context) -> Iterator[Finding]:
    contract = Contract.load(context.organization)
    today = local_day(context.now, context.zone)
    present = contract.version_on(today) if contract is not None else None
    if contract is None or present is None:
        return
    periods = _whole_periods(context, contract, today)
    if not periods:
        return
    now = [_charged(context, period, present) for period in periods]
    if any(one is None for one in now):
        return
    best: tuple[int, PlanVersion, list[Charged]] | None = None
    for version in versions_on(today).values():
        if not _would_do(version, present):
            continue
        would = [_charged(context, period, version) for period in periods]
        if any(one is None for one in would):
            continue
        known = [one for one in would if one is not None]
        total = sum(one.nanos for one in known)
        if best is None or total < best[0]:
            best = total, version, known
    before = [one for one in now if one is not None]
    if best is not None and best[0] < sum(one.nanos for one in before):
        yield _finding(context.zone, present, best[1], periods, before, best[2])


def _would_do(version: PlanVersion, present: PlanVersion) -> bool:
    return version.is_offered and version.plan_id != present.plan_id and set(present.features) <= set(version.features)


def _whole_periods(context: Context, contract: Contract, today: dt.date) -> list[Period]:
    """The last ones that are over and that the ledger has all of, the oldest first."""
    first = first_event_at(context.organization_id)
    if first is None:
        return []
    begins = local_day(first, context.zone)
    found: list[Period] = []
    period = contract.period(today)
    while len(found) < MOST_PERIODS:
        period = contract.period(period.starts_on - dt.timedelta(days=1))
        if period.starts_on < begins:
            break
        found.append(period)
    return found[::-1]


def _charged(context: Context, period: Period, version: PlanVersion) -> Charged | None:
    """None where the plan would have refused some of it."""
    start, end = period.instants(context.zone)
    if version.allowance_tokens is None:
        return Charged(version.base_fee_nanos, 0)
    if version.overage == Overage.REFUSE:
        used = run(UsageQuery(context.organization_id, start, end, context.zone)).totals.total_tokens
        return Charged(version.base_fee_nanos, 0) if used <= version.allowance_tokens else None
    over = beyond(context.organization_id, start, end, context.zone, version.allowance_tokens)
    return Charged(version.base_fee_nanos, over.figures.known_cost_nanos)


def _finding(
    zone: ZoneInfo,
    present: PlanVersion,
    better: PlanVersion,
    periods: list[Period],
    now: list[Charged],
    would: list[Charged],
) -> Finding:
    saved = [before.nanos - after.nanos for before, after in zip(now, would, strict=True)]
    count = len(periods)
    over = "the last billing period" if count == 1 else f"the last {count} billing periods"
    return Finding(
        subject=f"{present.plan.code}|{better.plan.code}",
        title=f"Change the plan from {present.name} to {better.name}",
        text=(
            f"The usage of {over} comes to {figures.money(sum(one.nanos for one in now))} on {present.name} and to"
            f" {figures.money(sum(one.nanos for one in would))} on {better.name}, with its fee and what goes beyond its"
            " tokens."
        ),
        pieces=[
            Piece(
                f"{period.starts_on} to {period.ends_on - dt.timedelta(days=1)}",
                period.instants(zone)[0],
                before.nanos,
                after.nanos,
                f"{present.name}: fee {figures.money(before.fee_nanos)}, beyond {figures.money(before.overage_nanos)};"
                f" {better.name}: fee {figures.money(after.fee_nanos)}, beyond {figures.money(after.overage_nanos)}",
            )
            for period, before, after in zip(periods, now, would, strict=True)
        ],
        effort=Effort.SMALL,
        terms=tuple(
            (label, f"{term_words(name, getattr(better, name))}, now {term_words(name, getattr(present, name))}")
            for label, name in (
                ("Fee a period", "base_fee_nanos"),
                ("Tokens a period", "allowance_tokens"),
                ("Tokens beyond", "overage"),
                ("Requests a minute", "requests_per_minute"),
                ("Tokens a minute", "tokens_per_minute"),
            )
        ),
        caveat=(
            "Both plans are taken at today's terms and before tax and discounts. Look at the requests and tokens a"
            " minute that each plan lets in before the change."
        ),
        estimate=Estimate(min(saved), divide_half_even(sum(saved), count), max(saved)),
    )


KIND = Kind(
    name="plan_fit",
    label="Plan",
    icon="credit-card",
    about="Another plan on sale that would have cost less for the usage of the last three periods.",
    find=find,
    evidence="periods",
    needs=Right.SEE_MONEY,
)

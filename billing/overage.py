"""Tokens over a period's allowance, and what they cost. docs/algorithms/overage.md has the rules with an example."""

from __future__ import annotations

import datetime as dt

import msgspec

from billing.contracts import Contract
from billing.periods import Period
from core.periods import UTC, day_start
from metering.query.beyond import Beyond, beyond
from metering.query.run import run
from metering.query.spec import UsageQuery


class PeriodOverage(msgspec.Struct, frozen=True):
    """A period's tokens over the allowance, as far as they are charged: those of days on plans that charge them.

    `allowance` is the whole period's, `included` what was left of it when charging began (all of it, but for plans
    that did not charge before). `beyond` has the figures; what of them has no price is in its `unpriced_tokens`, and is
    not charged.
    """

    period: Period
    charged_from: dt.date
    allowance: int
    included: int
    beyond: Beyond

    @property
    def tokens(self) -> int:
        return self.beyond.figures.total_tokens

    @property
    def cost_nanos(self) -> int:
        """What is charged."""
        return self.beyond.figures.known_cost_nanos


def overage_of(contract: Contract, period: Period, until: dt.datetime | None = None) -> PeriodOverage | None:
    """The overage of a period, up to an instant in it. None where nothing over is charged or nothing is bounded."""
    charged_from = contract.charged_from(period)
    allowance = contract.allowance(period)
    if charged_from is None or allowance is None:
        return None
    start, end = period.instants(contract.zone)
    if until is not None:
        end = min(end, until.astimezone(UTC))
    begins = day_start(charged_from, contract.zone)
    if begins >= end:
        return None
    included = allowance
    if begins > start:
        before = run(UsageQuery(contract.organization_id, start, begins, contract.zone)).totals.total_tokens
        included = max(0, allowance - before)
    found = beyond(contract.organization_id, begins, end, contract.zone, included)
    return PeriodOverage(period, charged_from, allowance, included, found)

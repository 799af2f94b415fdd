"""Which plan holds on which day, by the decisions that were made about it: arithmetic, without a database.

A decision says "from that day on, this plan". Of two that speak of a day the later decision holds, whatever days they
begin on: what was to come is overruled by whoever decides anew, and what has been stays as it was, because nobody
decides about days before today.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from billing.periods import Period


class Decision(msgspec.Struct, frozen=True):
    """`plan` is its code; decisions are ordered by `number`."""

    number: int
    effective_on: dt.date
    plan: str
    is_trial: bool = False


class Segment(msgspec.Struct, frozen=True):
    """Days on one plan, half-open [starts_on, ends_on)."""

    starts_on: dt.date
    ends_on: dt.date
    plan: str
    is_trial: bool

    @property
    def days(self) -> int:
        return (self.ends_on - self.starts_on).days


def holds_on(decisions: Sequence[Decision], day: dt.date) -> Decision | None:
    """The decision that a day is under; None before the first one's."""
    begun = [decision for decision in decisions if decision.effective_on <= day]
    return max(begun, key=lambda decision: decision.number, default=None)


def next_change(decisions: Sequence[Decision], after: dt.date) -> Decision | None:
    """The first decision to take effect behind a day, as things are decided now."""
    for day in sorted({decision.effective_on for decision in decisions if decision.effective_on > after}):
        then = holds_on(decisions, day)
        if then is not None and then != holds_on(decisions, after):
            return then
    return None


def segments(decisions: Sequence[Decision], period: Period) -> list[Segment]:
    """The days of a period by plan, in order, without a gap; days before the first decision are in none."""
    edges = {decision.effective_on for decision in decisions if decision.effective_on in period}
    days = sorted({period.starts_on, *edges})
    found: list[Segment] = []
    for starts_on, ends_on in zip(days, [*days[1:], period.ends_on], strict=True):
        decision = holds_on(decisions, starts_on)
        if decision is None:
            continue
        before = found[-1] if found else None
        if before is not None and (before.plan, before.is_trial) == (decision.plan, decision.is_trial):
            found[-1] = msgspec.structs.replace(before, ends_on=ends_on)
        else:
            found.append(Segment(starts_on, ends_on, decision.plan, decision.is_trial))
    return found

"""Who is let in: claims on limits, decided in the order in which they came."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from metering.limits.rules import Rule, Selection, Span
from metering.limits.standing import Standing
from metering.models import LimitUnit

# A limit in one of its periods.
Key = tuple[int, dt.date]


class Claim(msgspec.Struct, frozen=True):
    """What a call may use at most, by its estimate, and the limits it falls under."""

    id: uuid.UUID
    organization_id: int
    event_id: str
    source: str
    occurred_at: dt.datetime
    lifetime_seconds: float
    selection: Selection
    tokens: int
    # None: the model has no price.
    cost_nanos: int | None
    # Known to cost nothing, whatever is used.
    is_free: bool
    body_hash: bytes
    estimate: bytes
    rules: tuple[tuple[Rule, Span], ...]

    @property
    def keys(self) -> list[Key]:
        return [(rule.id, span.starts_on) for rule, span in self.rules]

    def takes(self, unit: str) -> int:
        """What the call takes of a limit."""
        return self.tokens if unit == LimitUnit.TOKENS else (self.cost_nanos or 0)

    def needs(self, unit: str) -> int:
        """What must be left of a limit: more than nothing, even if the estimate is nothing, unless it is known."""
        return 0 if unit == LimitUnit.COST and self.is_free else max(1, self.takes(unit))


class Verdict(msgspec.Struct, frozen=True):
    """`standings` are those of the claim's limits, as they are after it; `short` are those without room for it."""

    standings: tuple[Standing, ...]
    short: tuple[Standing, ...] = ()


def decide(claims: Sequence[Claim], standings: Mapping[Key, Standing]) -> list[Verdict]:
    """Grant each claim that fits into all of its limits beside what is counted, held and granted before it.

    One that does not fit takes nothing.
    """
    now = dict(standings)
    verdicts: list[Verdict] = []
    for claim in claims:
        mine = [now[key] for key in claim.keys]
        short = tuple(standing for standing in mine if not _fits(claim, standing))
        if short:
            verdicts.append(Verdict(tuple(mine), short))
            continue
        after = [msgspec.structs.replace(one, held=one.held + claim.takes(one.rule.unit)) for one in mine]
        now.update(zip(claim.keys, after, strict=True))
        verdicts.append(Verdict(tuple(after)))
    return verdicts


def _fits(claim: Claim, standing: Standing) -> bool:
    if standing.amount is None:
        return True
    if standing.amount == 0:
        return False
    needed = claim.needs(standing.rule.unit)
    return needed == 0 or standing.counted + standing.held + needed <= standing.amount

"""Which credits are used first: arithmetic, without a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec


class Lot(msgspec.Struct, frozen=True):
    """What is left of a grant. `grant` is its entry's id, `number` the entry's place in the ledger; nano-dollars."""

    grant: int
    number: int
    left_nanos: int
    is_promotional: bool = False
    expires_at: dt.datetime | None = None

    def has_expired(self, at: dt.datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= at


class Draw(msgspec.Struct, frozen=True):
    """Taken from a grant (below 0) or given back to it."""

    grant: int
    amount_nanos: int


_NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


def in_order(lots: Iterable[Lot]) -> list[Lot]:
    """The soonest to expire first, then promotional ones, then the oldest."""
    return sorted(lots, key=lambda lot: (lot.expires_at or _NEVER, not lot.is_promotional, lot.number))


def take(lots: Iterable[Lot], amount_nanos: int) -> list[Draw]:
    """Draws of at most `amount_nanos`, less where the lots have less."""
    draws = []
    for lot in in_order(lots):
        part = min(lot.left_nanos, amount_nanos)
        if part > 0:
            draws.append(Draw(lot.grant, -part))
            amount_nanos -= part
    return draws


def give_back(taken: Sequence[Draw], amount_nanos: int) -> list[Draw]:
    """Return at most `amount_nanos` to where it was taken from, the last draw first. `taken` sums up by grant."""
    draws = []
    for draw in reversed(taken):
        part = min(-draw.amount_nanos, amount_nanos)
        if part > 0:
            draws.append(Draw(draw.grant, part))
            amount_nanos -= part
    return draws

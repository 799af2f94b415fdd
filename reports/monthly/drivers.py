"""Why the month cost more or less than the one before: what moved it most, and all else as one, summing to it."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from core import figures as words
from metering.query.metrics import Figures
from reports.filters import dimension_words
from reports.monthly.figures import PAIR, Compared, MonthFigures
from reports.monthly.phrases import per_million
from reports.stacks import name_of

MOST = 3
# What is told apart, the finest first; of the next ones where those named would be less than half of what moved.
_BY = ("", "model", "project", "team", "member")
_ENOUGH = Fraction(1, 2)


class Driver(msgspec.Struct, frozen=True):
    """`nanos` is what it adds to the difference, below 0 what it takes off; `why` says what changed about it."""

    label: str
    nanos: int
    why: str


def drivers_of(found: MonthFigures) -> list[Driver]:
    """The largest first, and all others as one; together they are the difference, to the nano-dollar.

    Without a month before they are what the month itself went on.
    """
    is_compared = found.before is not None
    dimension, moved = _told_apart(found)
    # One that is left is not "everything else".
    most = MOST if len(moved) > MOST + 1 else len(moved)
    drivers = [
        Driver(
            _label(one, dimension),
            _change(found, one),
            _why(one.now, one.before) if is_compared else _volume(one.now),
        )
        for one in moved[:most]
    ]
    if rest := moved[most:]:
        of = dimension_words(dimension) + "s" if dimension else "uses of models"
        drivers.append(Driver("Everything else", sum(_change(found, one) for one in rest), f"{len(rest):,} other {of}"))
    return drivers


def _told_apart(found: MonthFigures) -> tuple[str, list[Compared]]:
    """The dimension ("" is models in projects) that says most in a few rows, and what moved, by it."""
    best: tuple[Fraction, str, list[Compared]] = (Fraction(-1), "", [])
    for dimension in _BY:
        rows = found.by.get(dimension, []) if dimension else found.pairs
        moved = sorted((one for one in rows if _change(found, one)), key=lambda one: -abs(_change(found, one)))
        whole = sum(abs(_change(found, one)) for one in moved)
        told = Fraction(sum(abs(_change(found, one)) for one in moved[:MOST]), whole) if whole else Fraction(1)
        if told > best[0] and (moved or not best[2]):
            best = (told, dimension, moved)
        if best[0] >= _ENOUGH:
            break
    return best[1], best[2]


def _change(found: MonthFigures, one: Compared) -> int:
    """Without a whole month before, what it cost."""
    return one.now.known_cost_nanos - (one.before.known_cost_nanos if found.before is not None else 0)


def _label(one: Compared, dimension: str) -> str:
    if dimension:
        return name_of(one.groups[0], dimension)
    project, model = (name_of(group, name) for group, name in zip(one.groups, PAIR, strict=True))
    return f"{model} in {project}" if one.groups[0].key is not None else f"{model} without a project"


def _why(now: Figures, before: Figures) -> str:
    if not before.requests:
        return "New this month"
    if not now.requests:
        return "Not used any more"
    tokens, prices = words.delta(now.total_tokens, before.total_tokens), _prices(now, before)
    said = {
        "up": f"{tokens.text} more tokens",
        "down": f"{tokens.text} fewer tokens",
    }.get(tokens.direction, "As many tokens")
    return f"{said}, {prices}" if prices else said


def _volume(now: Figures) -> str:
    return f"{words.tokens_compact(now.total_tokens)} tokens, {per_million(now)} a million"


def _prices(now: Figures, before: Figures) -> str:
    """What a million tokens cost on average, where both months have such a price and they differ as printed."""
    if not (now.total_tokens and before.total_tokens):
        return ""
    one, other = per_million(now), per_million(before)
    return f"{one} a million" + (f" instead of {other}" if one != other else " as before")

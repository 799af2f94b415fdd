"""What a provider says was used or costs. Days are UTC, as providers bill."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

import msgspec

from core.money import nanos_from_usd

DAY = dt.timedelta(days=1)
# "gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929": a provider's bill and its answers date models differently.
_DATED = re.compile(r"(?P<stem>.+?)-20\d\d-?\d\d-?\d\d")


class StatementError(ValueError):
    """The file is no export that can be read; the words are for who uploaded it."""


class Stated(msgspec.Struct, frozen=True):
    """One figure of an export. `None` is what this export does not speak of, never zero.

    `model` is empty for what a bill names otherwise: a tool, storage, a discount.
    """

    start: dt.datetime
    end: dt.datetime
    model: str
    item: str = ""
    requests: int | None = None
    tokens: int | None = None
    cost_nanos: int | None = None


class Statement(msgspec.Struct, frozen=True):
    """All of an export. `provider` is the price book's word for who wrote it."""

    provider: str
    rows: tuple[Stated, ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise StatementError("The export has no usage and no costs in it.")

    @property
    def has_tokens(self) -> bool:
        return any(row.tokens is not None for row in self.rows)

    @property
    def has_costs(self) -> bool:
        return any(row.cost_nanos is not None for row in self.rows)

    @property
    def first_day(self) -> dt.date:
        return min(row.start for row in self.rows).date()

    @property
    def last_day(self) -> dt.date:
        return (max(row.end for row in self.rows) - dt.timedelta(microseconds=1)).date()


def family(model: str) -> str:
    """The name without its date, under which a bill and the ledger meet."""
    dated = _DATED.fullmatch(model)
    return dated["stem"] if dated else model


def covered(rows: Iterable[Stated]) -> dict[dt.date, dt.timedelta]:
    """How much of each day the export's rows span together; less than a day is a day that is not over, or was cut."""
    spans: dict[dt.date, set[tuple[dt.datetime, dt.datetime]]] = {}
    for row in rows:
        start = row.start
        while start < row.end:
            midnight = dt.datetime.combine(start.date() + DAY, dt.time(), dt.UTC)
            spans.setdefault(start.date(), set()).add((start, min(row.end, midnight)))
            start = midnight
    return {day: _length(found) for day, found in spans.items()}


def _length(spans: set[tuple[dt.datetime, dt.datetime]]) -> dt.timedelta:
    total, reached = dt.timedelta(), None
    for start, end in sorted(spans):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            total += end - begin
            reached = end
    return total


# ── Reading cells ──


def whole(text: object, where: str) -> int:
    """A count; an empty cell is none. Raises StatementError."""
    value = str(text if text is not None else "").strip().replace(",", "")
    if not value:
        return 0
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise StatementError(f"{where}: {text!r} is no number.") from None
    if not number.is_finite() or number != number.to_integral_value() or not 0 <= number < 10**15:
        raise StatementError(f"{where}: {text!r} is no count.")
    return int(number)


def nanos(text: object, where: str, *, per_usd: int = 1) -> int:
    """Money, in nano-dollars; beyond nine decimals it is rounded, as bills carry sums of many roundings."""
    try:
        amount = Decimal(str(text if text is not None else "").strip().replace(",", "") or "0") / per_usd
    except InvalidOperation:
        raise StatementError(f"{where}: {text!r} is no amount of money.") from None
    if not amount.is_finite() or abs(amount) > 10**9:
        raise StatementError(f"{where}: {text!r} is no amount of money.")
    return nanos_from_usd(amount.quantize(Decimal("1e-9")))


def instant(text: object, where: str) -> dt.datetime:
    """A Unix time, or RFC 3339; a date alone is its midnight in UTC."""
    value = str(text).strip()
    try:
        if re.fullmatch(r"\d{9,11}(\.0*)?", value):
            return dt.datetime.fromtimestamp(int(Decimal(value)), dt.UTC)
        found = dt.datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        raise StatementError(f"{where}: {text!r} is no time.") from None
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)

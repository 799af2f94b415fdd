"""What thresholds and readings are counted in: whole numbers inside, words for people, the contract's for programs."""

from __future__ import annotations

import enum
from decimal import Decimal
from fractions import Fraction

from core import figures as words
from core.errors import ApiError
from core.money import nanos_from_usd, usd_text

LARGEST = 2**62


class Unit(enum.StrEnum):
    """By the words of the payloads. Percents are kept in hundredths, dollars in nano-dollars."""

    TOKENS = "tokens"
    REQUESTS = "requests"
    USD = "usd"
    PERCENT = "percent"
    MS = "ms"
    HOURS = "hours"
    COUNT = "count"

    def text(self, value: int) -> str:
        """For people, with the unit."""
        if self is Unit.USD:
            return words.money(value)
        if self is Unit.PERCENT:
            return f"{Decimal(value) / 100:f}".rstrip("0").rstrip(".") + "%" if value % 100 else f"{value // 100}%"
        if self is Unit.MS:
            return words.duration(value)
        if self is Unit.HOURS:
            return f"{value:,} hour{'' if value == 1 else 's'}"
        return f"{words.tokens(value)} {_NAMES[self][value != 1]}".rstrip()

    def written(self, value: int | None) -> int | float | str | None:
        """For programs: money as a decimal string, percents as a number, all else as a whole one."""
        if value is None:
            return None
        if self is Unit.USD:
            return usd_text(value)
        return value / 100 if self is Unit.PERCENT else value

    def amount(self, value: int | None) -> str | None:
        """For payloads: a decimal number as text, whatever it counts."""
        if value is None:
            return None
        if self is Unit.USD:
            return usd_text(value)
        return f"{(Decimal(value) / 100).normalize():f}" if self is Unit.PERCENT else str(value)

    def read(self, given: Decimal, param: str) -> int:
        """From people and programs. Raises ApiError 422 for what has more digits than the unit, or is too large."""
        if not given.is_finite() or given < 0:
            raise ApiError(422, "invalid_parameter", "This is a number from 0 on.", param=param)
        if self is Unit.USD:
            if given > Decimal(LARGEST).scaleb(-9):
                raise ApiError(422, "invalid_parameter", "This is too much.", param=param)
            return nanos_from_usd(given)
        scaled = given * 100 if self is Unit.PERCENT else given
        if scaled != scaled.to_integral_value():
            digits = "two decimals at most" if self is Unit.PERCENT else "a whole number"
            raise ApiError(422, "invalid_parameter", f"A number of {self.value} has {digits}.", param=param)
        if scaled > LARGEST:
            raise ApiError(422, "invalid_parameter", "This is too much.", param=param)
        return int(scaled)

    def field(self, value: int) -> str:
        """As a form has it."""
        if self is Unit.USD:
            return usd_text(value) or ""
        return f"{(Decimal(value) / 100).normalize():f}" if self is Unit.PERCENT else str(value)


_NAMES: dict[Unit, tuple[str, str]] = {
    Unit.TOKENS: ("token", "tokens"),
    Unit.REQUESTS: ("call", "calls"),
    Unit.COUNT: ("", ""),
}


def hundredths(part: int, whole: int) -> int:
    """part ÷ whole in hundredths of a percent, half to even."""
    scaled: int = round(Fraction(part * 10_000, whole))
    return scaled

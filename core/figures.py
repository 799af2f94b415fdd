"""How a number is written for people: tokens, money, shares, changes, durations.

Text only, no HTML; the template filters of the same names add that. Three rules hold everywhere:

- ``None`` is unknown and reads "—". It is never 0.
- Money is an ``int`` of nano-dollars or a ``Decimal`` of dollars. A ``float`` near money raises.
- Rounding is half-even and exact, and it happens here for the eye only: nothing is computed from these words.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Literal

NANOS = 1_000_000_000
UNKNOWN = "—"
MINUS = "−"

Whole = int | Decimal | Fraction
Ratio = int | float | Decimal | Fraction
Money = int | Decimal

# Below the first limit a count is written in full; a value that rounds up to the next unit moves on to it.
_COMPACT_FROM = 10_000
_UNITS = ((1_000, "K", 1), (1_000_000, "M", 1), (1_000_000_000, "B", 2), (1_000_000_000_000, "T", 2))


def _fixed(value: Fraction, places: int) -> str:
    """A fraction in thousands groups with a fixed number of decimals, half-even, with a real minus sign."""
    scaled = round(value * 10**places)  # Fraction rounds half-even, exactly
    digits, sign = abs(scaled), MINUS if scaled < 0 else ""
    if places == 0:
        return f"{sign}{digits:,}"
    whole, rest = divmod(digits, 10**places)
    return f"{sign}{whole:,}.{rest:0{places}d}"


def _rational(value: Ratio) -> Fraction:
    if isinstance(value, bool):
        raise TypeError("a truth value is not a figure")
    return Fraction(value)


# ── Tokens and counts ──


def tokens(value: Whole | None) -> str:
    """In full: 45,230. For tables and tooltips."""
    return UNKNOWN if value is None else _fixed(_rational(value), 0)


count = tokens


def compact_parts(value: Whole | None) -> tuple[str, str]:
    """Digits and unit apart: ("45.2", "K"), ("9,999", "")."""
    if value is None:
        return UNKNOWN, ""
    number = _rational(value)
    if round(abs(number)) < _COMPACT_FROM:
        return _fixed(number, 0), ""
    size, unit, places = next(
        (step for step in _UNITS if round(abs(number) / step[0] * 10 ** step[2]) < 1000 * 10 ** step[2]), _UNITS[-1]
    )
    return _fixed(number / size, places), unit


def tokens_compact(value: Whole | None) -> str:
    """Short: below 10,000 in full, then 45.2K, 1.2M, 1.16B. For cards and phones."""
    return "".join(compact_parts(value))


# ── Money ──


def dollars(value: Money) -> Decimal:
    """Nano-dollars (int) or dollars (Decimal) as dollars; anything else, above all a float, is refused."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError(f"money is an int of nano-dollars or a Decimal of dollars, not {type(value).__name__}")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("money is finite")
        return value
    with localcontext() as context:
        context.prec = max(28, len(str(value)) + 10)
        return Decimal(value).scaleb(-9)


def _money_text(amount: Decimal, places: int) -> str:
    text = _fixed(Fraction(amount), places)
    return f"{MINUS}${text[1:]}" if text.startswith(MINUS) else f"${text}"


def money(value: Money | None, places: int | None = None) -> str:
    """$1,547.94. Below a cent four decimals ($0.0034), below that <$0.0001; zero is $0.00.

    With ``places`` every amount of a column gets that many decimals; one too small to show reads <$0.01.
    """
    if value is None:
        return UNKNOWN
    amount = dollars(value)
    exact = abs(Fraction(amount))
    if places is None:
        places = 2 if exact == 0 or round(exact * 10_000) >= 100 else 4
        is_too_small = 0 < exact < Fraction(1, 10_000)
    else:
        is_too_small = exact != 0 and round(exact * 10**places) == 0
    if is_too_small:
        smallest = f"${Decimal(1).scaleb(-places)}"
        return f"<{smallest}" if amount > 0 else f">{MINUS}{smallest}"
    return _money_text(amount, places)


def money_parts(value: Money | None) -> tuple[str, str]:
    """Dollars and cents apart: ("$1,547", ".94"). Under a cent nothing is quiet: ("$0.0034", "")."""
    text = money(value)
    whole, dot, cents = text.partition(".")
    return (whole, dot + cents) if len(cents) == 2 else (text, "")


def money_exact(value: Money | None) -> str:
    """Every digit, at least two decimals: $0.0453425. For receipts."""
    if value is None:
        return UNKNOWN
    amount = dollars(value)
    exponent = amount.normalize().as_tuple().exponent
    return _money_text(amount, max(2, -exponent if isinstance(exponent, int) else 2))


def money_whole(value: Money | None) -> str:
    """Whole dollars, for forecasts: a guess has no cents."""
    return UNKNOWN if value is None else _money_text(dollars(value), 0)


def money_change(value: Money | None) -> str:
    """A part of a change, with its sign: +$27.90, −$1.41."""
    text = money(value)
    return text if value is None or dollars(value) <= 0 else f"+{text}"


# ── Shares and changes ──


def share(part: Money | Fraction | None, whole: Money | Fraction | None) -> Fraction | None:
    """part ÷ whole, exactly; unknown when either is unknown or the whole is 0."""
    if part is None or whole is None or whole == 0:
        return None
    return Fraction(part) / Fraction(whole)


def percent(ratio: Ratio | None, places: int = 1) -> str:
    """0.342 is 34.2%. What is not 0 never reads 0 (<0.1%); what is not all never reads 100 (>99.9%)."""
    if ratio is None:
        return UNKNOWN
    value = _rational(ratio) * 100
    if value == 0:
        return "0%"
    step = Fraction(1, 10**places)
    if abs(value) < step:
        return f"<{_fixed(step, places)}%" if value > 0 else f">{_fixed(-step, places)}%"
    if 100 - step < value < 100 and round(value * 10**places) == 100 * 10**places:
        return f">{_fixed(100 - step, places)}%"
    return f"{_fixed(value, places)}%"


@dataclass(frozen=True)
class Delta:
    """A change: which way, how much, and the words a screen reader hears before the figure."""

    direction: Literal["up", "down", "flat", "new", "unknown"]
    text: str

    @property
    def spoken(self) -> str:
        return {"up": "up ", "down": "down ", "flat": "unchanged "}.get(self.direction, "")


def delta(now: Ratio | None, before: Ratio | None) -> Delta:
    """The change from before to now, without a sign: the arrow says which way."""
    if now is None or before is None:
        return Delta("unknown", UNKNOWN)
    new, old = _rational(now), _rational(before)
    if new == old:
        return Delta("flat", "0.0%")
    if old == 0:
        return Delta("new", "new")
    change = (new - old) / abs(old)
    size = abs(change)
    # A change has no whole to fall short of, so ">99.9%" does not apply to it.
    text = "<0.1%" if size < Fraction(1, 1000) else f"{_fixed(size * 100, 1)}%"
    return Delta("up" if change > 0 else "down", text)


# ── Time ──


def duration(value: timedelta | int | None) -> str:
    """A timedelta, or milliseconds: 340 ms, 2.4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if value is None:
        return UNKNOWN
    span = value if isinstance(value, timedelta) else timedelta(milliseconds=value)
    if span < timedelta(0):
        return MINUS + duration(-span)
    milliseconds = round(Fraction(span // timedelta(microseconds=1), 1000))
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 9_950:
        return f"{_fixed(Fraction(milliseconds, 1000), 1)} s"
    seconds = round(Fraction(milliseconds, 1000))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours = round(Fraction(seconds, 60)), round(Fraction(seconds, 3600))
    if seconds < 3600:
        return _two_units(seconds, 60, "min", "s")
    return _two_units(minutes, 60, "h", "min") if minutes < 24 * 60 else _two_units(hours, 24, "d", "h")


def _two_units(amount: int, size: int, large: str, small: str) -> str:
    whole, rest = divmod(amount, size)
    return f"{whole:,} {large} {rest} {small}" if rest else f"{whole:,} {large}"


def ago(span: timedelta | None) -> str:
    """How long since: 2 s ago, 5 min ago, 3 h ago, 4 d ago. The largest unit is enough."""
    if span is None:
        return UNKNOWN
    seconds = max(0, span // timedelta(seconds=1))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds // size:,} {unit} ago"
    return "just now"

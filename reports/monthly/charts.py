"""Charts of the report as vector graphics. One unit is a point; every figure that matters is written beside its mark.

Colors are the pages' light ones (static/css/tokens.css); shapes are told apart by order and white rules, not by color
alone, so that a print in gray can be read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

import msgspec
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.figures import money_change, percent

INK, INK_2, INK_3, RULE, RULE_STRONG = "#131A16", "#3A423D", "#5D6660", "#D5DBD7", "#9DA6A0"
ACCENT, PALE, TRACK = "#016747", "#9CC4B1", "#E6EBE8"
CAUTION = "#a23a06"
OTHER = "#98a19b"
UNPRICED = "#79837d"
SERIES = (
    "#016747", "#7f8cdb", "#b48f07", "#c5558e", "#1c3a55", "#a23a06", "#794baf", "#6a8448", "#068ca7", "#692727",
)  # fmt: skip
FONT = "Plex Print"
FULL, MOST_TICKS = 493, 5
_STEPS = (1, 2, 2.5, 5, 10)


def color_of(slot: int | str) -> str:
    if isinstance(slot, int):
        return SERIES[(slot - 1) % len(SERIES)]
    return {"total": INK_2, "unpriced": UNPRICED}.get(slot, OTHER)


def short_money(nanos: int) -> str:
    """For bars: $2.25K, $840, and cents below a hundred, as beside the chart: $37.00, $0.42."""
    value, unit = _in_unit(nanos)
    places = 0 if value >= 99.995 or value == 0 else 1 if value >= 9.995 and unit else 2
    return f"${value:.{places}f}{unit}"


def _axis_money(nanos: float) -> str:
    """For axes and guesses, without needless digits: $2.5K, $40, $0.05."""
    value, unit = _in_unit(nanos)
    text = f"{value:.{0 if value >= 9.5 else 2}f}"
    return f"${text.rstrip('0').rstrip('.') if '.' in text else text}{unit}"


def _in_unit(nanos: float) -> tuple[float, str]:
    value = nanos / 1e9
    sizes = ((1e9, "B"), (1e6, "M"), (1e3, "K"))
    return next(((value / size, unit) for size, unit in sizes if value >= size * 0.9995), (value, ""))


# ── Months ──


class Bar(msgspec.Struct, frozen=True):
    """`value` in nano-dollars, None where nothing was recorded yet. `kind` is past, now, compared, partial where the
    record began within it, or ahead with its range."""

    label: str
    value: int | None
    kind: str = "past"
    low: int = 0
    high: int = 0


def month_bars(title: str, bars: Sequence[Bar], budget: int | None, width: int = FULL, height: int = 122) -> SafeString:
    """One bar a month, what is ahead hollow with its range; the line is the budget."""
    top, bottom = 12, 14
    highest = max([bar.value or 0 for bar in bars] + [bar.high for bar in bars] + [budget or 0] + [1])
    room = height - top - bottom
    step = width / len(bars)
    shapes = []

    def y(value: int) -> float:
        return top + room * (1 - value / highest)

    if budget:
        # Behind the bars, whose figures must be read.
        shapes.append(_line(0, y(budget), width, y(budget), CAUTION, 0.8, dash="4 2"))
        shapes += _label(0, y(budget) - 2.6, f"Budget {_axis_money(budget)}", CAUTION, "start")
    for at, bar in enumerate(bars):
        x, wide = at * step + step * 0.14, step * 0.72
        strong = bar.kind in ("now", "compared")
        shapes.append(
            _text(at * step + step / 2, height - 3.5, bar.label, 6.2, INK if strong else INK_3, "middle", strong)
        )
        if bar.value is None:
            shapes.append(_text(at * step + step / 2, y(0) - 3, "–", 6.5, INK_3, "middle"))
            continue
        tall = max(y(0) - y(bar.value), 0.6 if bar.value else 0)
        if bar.kind == "ahead":
            shapes.append(_rect(x, y(0) - tall, wide, tall, "none", ACCENT, dash="2 1.6"))
            middle = x + wide / 2
            # Beside the upright line of its range, at the height of what is likely.
            shapes += _label(middle - 4, y(bar.value) - 2.6, _axis_money(bar.value), INK, "end")
            shapes.append(_line(middle, y(bar.low), middle, y(bar.high), ACCENT, 1.1))
            shapes += [_line(middle - 3, y(end), middle + 3, y(end), ACCENT, 1.1) for end in (bar.low, bar.high)]
        else:
            fill = {"now": ACCENT, "compared": INK_3, "partial": TRACK}.get(bar.kind, PALE)
            shapes.append(_rect(x, y(0) - tall, wide, tall, fill))
            shapes += _label(at * step + step / 2, y(bar.value) - 2.6, short_money(bar.value), INK, "middle", strong)
    shapes.append(_line(0, y(0), width, y(0), INK_2, 0.8))
    return _svg(width, height, title, shapes)


# ── Days ──


class Part(msgspec.Struct, frozen=True):
    label: str
    slot: int | str
    values: Sequence[int]


def day_stack(
    title: str,
    labels: Sequence[str],
    quiet: Sequence[bool],
    parts: Sequence[Part],
    width: int = FULL,
    height: int = 150,
) -> SafeString:
    """One bar a day, its parts from the bottom in the order of the legend from below. `quiet` days are weekends."""
    left, top, bottom = 30, 6, 14
    sums = [sum(column) for column in zip(*(part.values for part in parts), strict=True)]
    ticks = ticks_of(max([*sums, 1]))
    scale = (height - top - bottom) / ticks[-1]
    base = height - bottom
    step = (width - left) / max(len(labels), 1)
    shapes = []
    shapes += _grid(ticks, lambda tick: base - tick * scale, left, width)
    for at, label in enumerate(labels):
        x = left + at * step
        if quiet[at]:
            shapes.append(_rect(x + step * 0.12, base + 0.8, step * 0.76, 1.6, RULE_STRONG))
        shapes.append(_text(x + step / 2, height - 3.2, label, 6, INK_3, "middle"))
        y = float(base)
        for part in parts:
            tall = part.values[at] * scale
            if tall <= 0:
                continue
            y -= tall
            shapes.append(
                _rect(x + step * 0.12, y, step * 0.76, tall, color_of(part.slot), "#FFFFFF" if tall > 1.6 else "none")
            )
    shapes.append(_line(left, base, width, base, INK_2, 0.8))
    return _svg(width, height, title, shapes)


# ── What is ahead ──


class Fan(msgspec.Struct, frozen=True):
    """A day that is forecast, in nano-dollars."""

    low: int
    likely: int
    high: int


def fan(
    title: str,
    past: Sequence[int],
    ahead: Sequence[Fan],
    marks: Sequence[tuple[int, str]],
    width: int = FULL,
    height: int = 130,
) -> SafeString:
    """Days that were, then the band of those to come with the likely line in it. `marks` are labels by day."""
    left, top, bottom = 30, 6, 14
    highest = max([*past, *(day.high for day in ahead), 1])
    ticks = ticks_of(highest)
    base = height - bottom
    scale = (base - top) / ticks[-1]
    step = (width - left) / max(len(past) + len(ahead) - 1, 1)
    shapes = []
    shapes += _grid(ticks, lambda tick: base - tick * scale, left, width)

    def points(values: Iterable[int], first: int) -> list[tuple[float, float]]:
        return [(left + (first + at) * step, base - value * scale) for at, value in enumerate(values)]

    band = points([day.high for day in ahead], len(past)) + points([day.low for day in ahead], len(past))[::-1]
    shapes.append(format_html('<polygon points="{}" fill="{}" stroke="none"/>', _points(band), "#CFE3DA"))
    # From the last known day on, so that the two lines are one.
    shapes.append(_path(points(past, 0), ACCENT, 1.2))
    likely = points([past[-1]] if past else [], len(past) - 1) + points([day.likely for day in ahead], len(past))
    shapes.append(_path(likely, ACCENT, 1.2, dash="2.4 1.8"))
    border = left + (len(past) - 0.5) * step
    shapes.append(_line(border, top, border, base, INK_3, 0.6, dash="1.5 1.5"))
    shapes.append(_line(left, base, width, base, INK_2, 0.8))
    shapes += [_text(left + at * step, height - 3.2, label, 6.2, INK_3) for at, label in marks]
    return _svg(width, height, title, shapes)


# ── In rows of tables ──


def share_bar(part: Fraction | None, width: int = 36) -> SafeString:
    """A row's share of the whole; its figure stands beside it."""
    inside = max(0.0, min(1.0, float(part or 0)))
    shapes = [_rect(0, 1, width, 4, TRACK), _rect(0, 1, max(inside * width, 0.6 if inside else 0), 4, ACCENT)]
    return _svg(width, 6, percent(part), shapes)


def change_bar(nanos: int, largest: int, width: int = 80) -> SafeString:
    """To the right of the middle what was added, to the left, hollow, what was taken off."""
    middle = width / 2
    wide = max(abs(nanos) / (largest or 1) * (middle - 2), 0.8 if nanos else 0)
    bar = _rect(middle, 1, wide, 6, INK_2) if nanos >= 0 else _rect(middle - wide, 1.3, wide, 5.4, "#FFFFFF", INK_2)
    return _svg(width, 8, money_change(nanos), [bar, _line(middle, 0, middle, 8, INK_3, 0.6)])


def budget_bar(used: Fraction, width: int = 100) -> SafeString:
    """Used ÷ budget. The upright line is the budget; what is beyond it is hollow."""
    whole = max(Fraction(1), min(used, Fraction(2)))
    at_limit = float(1 / whole) * width
    inside, beyond = min(float(used), 1.0) * at_limit, max(0.0, float(min(used, whole)) - 1) * at_limit
    shapes = [_rect(0, 2, at_limit, 5, TRACK), _rect(0, 2, inside, 5, ACCENT)]
    if beyond:
        shapes.append(_rect(at_limit, 2.4, beyond, 4.2, "#FFFFFF", CAUTION))
    shapes.append(_line(at_limit - 0.5, 0, at_limit - 0.5, 9, INK, 1.1))
    return _svg(width, 9, f"{percent(used)} used", shapes)


def swatch(slot: int | str) -> SafeString:
    return _svg(7, 7, "Color", [_rect(0.3, 0.3, 6.4, 6.4, color_of(slot))])


# ── Shapes ──


def ticks_of(highest: float) -> list[float]:
    """From 0, in steps that people count in, at most six lines."""
    rough = highest / MOST_TICKS
    size = 10 ** math.floor(math.log10(rough)) if rough > 0 else 1
    step = next(step * size for step in _STEPS if step * size >= rough * 0.999)
    return [step * number for number in range(math.ceil(highest / step - 1e-9) + 1)]


def _grid(ticks: Sequence[float], y: Callable[[float], float], left: float, width: float) -> list[SafeString]:
    """Rules across, with their amounts to the left."""
    shapes = []
    for tick in ticks:
        shapes.append(_line(left, y(tick), width, y(tick), RULE, 0.5))
        shapes.append(_text(left - 4, y(tick) + 2.1, _axis_money(tick), 6.2, INK_3, "end"))
    return shapes


def _label(x: float, y: float, words: str, fill: str, anchor: str, strong: bool = False) -> list[SafeString]:
    """A figure on white, whatever is drawn behind it."""
    wide = len(words) * 3.7 + 1
    left = x - {"middle": wide / 2, "end": wide}.get(anchor, 0)
    return [_rect(left, y - 5, wide, 6.4, "#FFFFFF"), _text(x, y, words, 6.2, fill, anchor, strong)]


def _svg(width: float, height: float, title: str, shapes: Iterable[SafeString]) -> SafeString:
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{}pt" height="{}pt" viewBox="0 0 {} {}">'
        "<title>{}</title>{}</svg>",
        width, height, width, height, title, format_html_join("", "{}", ((shape,) for shape in shapes)),
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _rect(
    x: float, y: float, width: float, height: float, fill: str, stroke: str = "none", *, dash: str = ""
) -> SafeString:
    return format_html(
        '<rect x="{}" y="{}" width="{}" height="{}" fill="{}" stroke="{}" stroke-width="0.6"{}/>',
        _number(x), _number(y), _number(width), _number(height), fill, stroke, _dashed(dash),
    )  # fmt: skip


def _line(x1: float, y1: float, x2: float, y2: float, stroke: str, width: float, *, dash: str = "") -> SafeString:
    return format_html(
        '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}"{}/>',
        _number(x1), _number(y1), _number(x2), _number(y2), stroke, width, _dashed(dash),
    )  # fmt: skip


def _path(points: Sequence[tuple[float, float]], stroke: str, width: float, *, dash: str = "") -> SafeString:
    return format_html(
        '<polyline points="{}" fill="none" stroke="{}" stroke-width="{}"{}/>',
        _points(points), stroke, width, _dashed(dash),
    )  # fmt: skip


def _dashed(dash: str) -> SafeString:
    return format_html(' stroke-dasharray="{}"', dash) if dash else SafeString("")


def _text(
    x: float, y: float, words: str, size: float, fill: str, anchor: str = "start", strong: bool = False
) -> SafeString:
    return format_html(
        '<text x="{}" y="{}" font-family="{}" font-size="{}" font-weight="{}" fill="{}" text-anchor="{}">{}</text>',
        _number(x), _number(y), FONT, size, 600 if strong else 400, fill, anchor, words,
    )  # fmt: skip

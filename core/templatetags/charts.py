"""Small charts the server draws as SVG, and data blocks for charts.js.

Widths are SVG attributes: a strict content security policy has no room for style="".
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString

from core.figures import Ratio, percent

register = template.Library()

HEIGHT = 28
THRESHOLDS = (Fraction(75, 100), Fraction(90, 100), Fraction(95, 100))


def _percent(ratio: Ratio | None) -> str:
    """A ratio as an SVG length, kept inside 0 to 100%."""
    inside = max(0.0, min(1.0, float(ratio or 0)))
    return f"{inside * 100:.3f}".rstrip("0").rstrip(".") + "%"


@register.simple_tag
def sparkbars(
    values: Sequence[int | Decimal | None], slots: int = 0, now: bool = True, off: Iterable[int] = ()
) -> SafeString:
    """The shape of a period, one bar a bucket. The last bar is the unfinished one unless now=False;
    `slots` leaves room for buckets to come; `off` lists indexes drawn pale (weekends)."""
    places = max(len(values), slots, 1)
    highest = max((value for value in values if value), default=0)
    step, pale = 100 / places, set(off)
    bars = []
    for index, value in enumerate(values):
        height = float(value or 0) / float(highest) * HEIGHT if highest else 0.0
        tone = "is-now" if now and index == len(values) - 1 else "is-off" if index in pale else ""
        bars.append((tone, f"{index * step:.2f}", f"{HEIGHT - height:.2f}", f"{step * 0.68:.2f}", f"{height:.2f}"))
    drawn = format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', bars)
    return format_html(
        '<svg class="tl-sparkbars" viewBox="0 0 100 {}" preserveAspectRatio="none" aria-hidden="true">{}</svg>',
        HEIGHT,
        drawn,
    )


@register.simple_tag
def sparkline(values: Sequence[int | Decimal | None]) -> SafeString:
    """A trend in a table cell. A bucket that is not known breaks the line."""
    highest = max((value for value in values if value), default=0)
    step = 100 / max(len(values) - 1, 1)
    path, pen = [], "M"
    for index, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        y = HEIGHT - (float(value) / float(highest) * HEIGHT if highest else 0)
        path.append(f"{pen}{index * step:.1f} {y:.1f}")
        pen = "L"
    return format_html(
        '<svg class="tl-spark" viewBox="0 0 100 {}" preserveAspectRatio="none" aria-hidden="true"><path d="{}"/></svg>',
        HEIGHT,
        "".join(path),
    )


@register.simple_tag
def rulebar(share: Ratio | None) -> SafeString:
    """The row's own rule shows its share. Goes into the row header of a table in .tl-ranked."""
    return format_html(
        '<svg class="tl-rulebar" aria-hidden="true"><rect width="{}" height="100%"/></svg>', _percent(share)
    )


@register.simple_tag
def sharebar(share: Ratio | None) -> SafeString:
    """Bar and percentage for wide tables."""
    return format_html(
        '<div class="tl-share"><svg class="tl-bar" aria-hidden="true"><rect width="{}" height="100%"/></svg>'
        '<span class="tl-num">{}</span></div>',
        _percent(share),
        percent(share),
    )


@register.filter
def slot_class(slot: int | str) -> str:
    """The class that gives swatches, bars and keys the color of a slot: 1 … 10, other, unpriced, total, kind-output."""
    named = {"other": "tl-so", "unpriced": "tl-su", "total": "tl-st"}
    if isinstance(slot, str) and slot.startswith("kind-"):
        return f"tl-k-{slot.removeprefix('kind-')}"
    return named.get(str(slot), f"tl-s{slot}")


@register.simple_tag
def splitbar(parts: Iterable[tuple[str, Ratio]], label: str, large: bool = False) -> SafeString:
    """What a total is made of: (kind, amount) pairs, kinds as in series.css (input, cached, output, …)."""
    return _split([(f"tl-k-{kind}", Fraction(amount)) for kind, amount in parts], label, large)


@register.simple_tag
def stackbar(parts: Iterable[tuple[int | str, int, str]], whole: str) -> SafeString:
    """What a row is made of: (slot, amount, name), the amounts of one unit; `whole` names the row."""
    known = [(slot, Fraction(amount), name) for slot, amount, name in parts if amount]
    total = sum((amount for _, amount, _ in known), Fraction(0))
    said = ", ".join(f"{name} {percent(amount / total)}" for _, amount, name in known)
    return _split([(slot_class(slot), amount) for slot, amount, _ in known], f"{whole}: {said or 'nothing'}", False)


def _split(parts: Iterable[tuple[str, Fraction]], label: str, large: bool) -> SafeString:
    known = [(color, amount) for color, amount in parts if amount]
    total = sum((amount for _, amount in known), Fraction(0))
    drawn, before = [], Fraction(0)
    for color, amount in known:
        drawn.append((color, _percent(before / total), _percent(amount / total)))
        before += amount
    rects = format_html_join("", '<rect class="tl-fill {}" x="{}" width="{}" height="100%"/>', drawn)
    return format_html(
        '<svg class="tl-split{}" role="img" aria-label="{}">{}</svg>', " tl-split-lg" if large else "", label, rects
    )


@register.simple_tag
def coverage_bar(coverage: Mapping[str, Ratio | None]) -> SafeString:
    """How much of a total is priced, free and unpriced, from its coverage dict."""
    shares = [(name, coverage.get(f"{name}_share") or 0) for name in ("priced", "free", "unpriced")]
    words = ", ".join(f"{percent(share)} {name}" for name, share in shares if share)
    return splitbar(shares, words or "Nothing to price")


def meter_scale(used: Fraction, forecast: Fraction | None) -> Fraction:
    """What the meter's full width stands for: the limit itself while nothing passes it, else with room beyond."""
    reach = max(used, forecast or Fraction(0))
    return next((end for end in map(Fraction, ("1", "1.2", "1.3", "1.5", "2", "3")) if reach <= end), reach)


@register.simple_tag
def meter(
    used: Ratio | None,
    label: str,
    pace: Ratio | None = None,
    forecast: Ratio | None = None,
    status: str = "",
    marks: bool = False,
    slim: bool = False,
) -> SafeString:
    """Used ÷ limit, with today's even pace, the forecast and the 75, 90, 95% marks. `status` is ok, warning, …"""
    spent = Fraction(used or 0)
    expected = None if forecast is None else Fraction(forecast)
    scale = meter_scale(spent, expected)
    shapes: list[SafeString] = []

    def at(ratio: Ratio) -> str:
        return _percent(Fraction(ratio) / scale)

    def line(kind: str, ratio: Ratio, y1: str, y2: str) -> None:
        x = at(ratio)
        shapes.append(format_html('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>', kind, x, x, y1, y2))

    if scale > 1:
        shapes.append(SafeString('<rect class="m-over" width="100%" height="100%" rx="2"/>'))
    shapes.append(format_html('<rect class="m-track" width="{}" height="100%" rx="2"/>', at(1)))
    if expected is not None and expected > spent:
        shapes.append(
            format_html('<rect class="m-forecast" x="{}" width="{}" height="100%"/>', at(spent), at(expected - spent))
        )
        line("m-forecast-edge", expected, "0", "100%")
    shapes.append(format_html('<rect class="m-fill" width="{}" height="100%" rx="2"/>', at(spent)))
    if marks:
        for mark in THRESHOLDS:
            line("m-mark" if spent >= mark else "m-tick", mark, "0", "100%")
    if scale > 1:
        line("m-limit", 1, "-28%", "128%")
    if pace is not None:
        line("m-pace", pace, "-36%", "136%")
    return format_html(
        '<svg class="tl-meter{}{}" role="img" aria-label="{}">{}</svg>',
        " is-slim" if slim else "",
        f" is-{status}" if status else "",
        label,
        format_html_join("", "{}", ((shape,) for shape in shapes)),
    )


@register.simple_tag
def json_block(element_id: str, data: Any) -> SafeString:
    """Data for charts.js in an inert block; nothing in it can close the block or run."""
    return json_script(data, element_id)

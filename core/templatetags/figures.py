"""Filters and tags that write figures into a page. The rules of writing are core.figures'; here is only the HTML."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.template.defaultfilters import date as format_date
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import figures
from core.templatetags.icons import icon

register = template.Library()

ARROWS = {"up": "arrow-up-right", "down": "arrow-down-right", "flat": "arrow-right"}


def _quiet(loud: str, minor: str) -> SafeString:
    return format_html('{}<span class="tl-minor">{}</span>', loud, minor) if minor else format_html("{}", loud)


# ── Tokens and counts ──


@register.filter
def tokens(value: figures.Whole | None) -> str:
    """45,230"""
    return figures.tokens(value)


@register.filter
def count(value: figures.Whole | None) -> str:
    """1,204 (requests, members, events)"""
    return figures.count(value)


@register.filter
def tokens_compact(value: figures.Whole | None) -> SafeString:
    """45.2K with a quiet unit, for cards"""
    return _quiet(*figures.compact_parts(value))


@register.filter
def tokens_short(value: figures.Whole | None) -> str:
    """45.2K as plain text, for short lists, sentences and attributes"""
    return figures.tokens_compact(value)


# ── Money: an int of nano-dollars or a Decimal of dollars ──


@register.filter
def money(value: figures.Money | None, places: int | None = None) -> str:
    """$1,547.94; with a number, that many decimals: {{ nanos|money:4 }}"""
    return figures.money(value, places)


@register.filter
def money_major_minor(value: figures.Money | None) -> SafeString:
    """$1,547 with quiet cents, for cards"""
    return _quiet(*figures.money_parts(value))


@register.filter
def money_exact(value: figures.Money | None) -> str:
    """$0.0453425, every digit"""
    return figures.money_exact(value)


@register.filter
def money_whole(value: figures.Money | None) -> str:
    """$1,811, for forecasts"""
    return figures.money_whole(value)


@register.filter
def money_change(value: figures.Money | None) -> str:
    """+$27.90, −$1.41, for the parts of a change"""
    return figures.money_change(value)


# ── Shares, changes, time ──


@register.filter
def percent(value: figures.Ratio | None, places: int = 1) -> str:
    """0.342 is 34.2%"""
    return figures.percent(value, places)


@register.filter
def duration(value: timedelta | int | None) -> str:
    """A timedelta or milliseconds: 2.4 s"""
    return figures.duration(value)


@register.filter
def ago(moment: datetime | None) -> SafeString:
    """2 s ago, with the exact time for machines and on hover"""
    if moment is None:
        return format_html("{}", figures.UNKNOWN)
    here = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        format_date(here, "j N Y, H:i:s T"),
        figures.ago(timezone.now() - moment),
    )


@register.simple_tag
def delta(now: figures.Ratio | None, before: figures.Ratio | None, target: str = "") -> SafeString:
    """The change as arrow and percentage. With target "higher" or "lower" it is green or red."""
    change = figures.delta(now, before)
    if change.direction == "unknown":
        return format_html('<span class="tl-delta">{}</span>', change.text)
    wanted = {"higher": "up", "lower": "down"}.get(target)
    moved = change.direction in ("up", "down")
    tone = "" if not (wanted and moved) else " is-good" if change.direction == wanted else " is-bad"
    arrow = icon(ARROWS[change.direction]) if change.direction in ARROWS else ""
    spoken = format_html('<span class="visually-hidden">{}</span>', change.spoken) if change.spoken else ""
    return format_html('<span class="tl-delta{}">{}{}{}</span>', tone, arrow, spoken, change.text)


WRITERS: dict[str, Any] = {
    "tokens": (tokens_compact, tokens_short),
    "count": (count, count),
    "money": (money_major_minor, money),
    "percent": (percent, percent),
    "duration": (duration, duration),
}


@register.filter
def figure(value: Any, kind: str) -> str:
    """The big figure of a card by its kind: tokens, count, money, percent, duration"""
    written: str = WRITERS[kind][0](value)
    return written


@register.filter
def figure_text(value: Any, kind: str) -> str:
    """The same figure small and plain, as in "from 683.9M" """
    written: str = WRITERS[kind][1](value)
    return written

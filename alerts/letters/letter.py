"""What people read about a fact, whichever way it comes to them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from core import figures

Tone = Literal["critical", "caution", "warning", "ok", "plain"]
# What a list of messages shows before their words.
ICONS: dict[Tone, str] = {
    "critical": "exclamation-octagon-fill",
    "caution": "exclamation-triangle-fill",
    "warning": "exclamation-triangle",
    "ok": "check-circle-fill",
    "plain": "info-circle",
}


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """`subject` stands alone, `lead` says it in a sentence; `table` has names and figures, `text` what follows.

    `path` is the page of this installation it leads to. `elsewhere` is an address outside, where there is something to
    be done there (a payment), and `action` what is done. What is urgent is sent whatever the hour.
    """

    subject: str
    lead: str
    path: str
    table: tuple[tuple[str, str], ...] = ()
    text: tuple[str, ...] = ()
    action: str = "Open"
    elsewhere: str = ""
    tone: Tone = "plain"
    is_urgent: bool = False

    @property
    def icon(self) -> str:
        return ICONS[self.tone]


# ── How figures of facts are written ──


def usd(amount: str | None) -> str:
    """A decimal string of dollars, as pages have it."""
    return figures.money(None if amount is None else Decimal(amount))


def money_of(amount: str, currency: str) -> str:
    """An amount on a paper: $1,433.36, or 1,433.36 EUR."""
    return usd(amount) if currency == "USD" else f"{Decimal(amount):,.2f} {currency}"


def measured(amount: str | None, unit: str) -> str:
    """A figure of a rule in its unit."""
    if amount is None:
        return figures.UNKNOWN
    value = Decimal(amount)
    if unit == "usd":
        return figures.money(value)
    if unit == "percent":
        return figures.percent(value / 100).replace(".0%", "%")
    if unit == "ms":
        return figures.duration(int(value))
    words = {"tokens": " tokens", "requests": " requests", "hours": " hours"}.get(unit, "")
    return f"{figures.count(value)}{words}"


def percent(value: float) -> str:
    """91% or 91.4%, of a figure that was rounded when it was told."""
    return f"{value:.1f}".removesuffix(".0") + "%"


def day(value: dt.date) -> str:
    return f"{value:%a} {value.day} {value:%b %Y}"


def moment(value: dt.datetime, zone: ZoneInfo) -> str:
    local = value.astimezone(zone)
    return f"{day(local.date())}, {local:%H:%M}"


def hours(start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> str:
    """A window of time on the clock: Sat 21 Nov 2026, 14:00 to 15:00."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    if first.date() == last.date():
        return f"{moment(start, zone)} to {last:%H:%M}"
    return f"{moment(start, zone)} to {moment(end, zone)}"


def enough(*rows: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    """The rows that say something."""
    return tuple((name, value) for name, value in rows if value)

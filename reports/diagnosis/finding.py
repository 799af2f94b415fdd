"""What is diagnosed, and what a check says of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from django.urls import reverse

from accounts.models import Organization
from metering.query.plan import EVERY_SOURCE, Source
from metering.query.ranges import Span
from metering.query.run import UsageResult, run
from metering.query.spec import FilterValue, UsageQuery
from reports.filters import NOTHING

# Rows of a finding that are listed; its words count all.
MOST_ROWS = 20

# fine: nothing that could explain it. unjudged: there was nothing to look at, so nobody knows.
# told: may explain it, and may be meant. cause: explains it, and should not be.
State = Literal["fine", "unjudged", "told", "cause", "failed"]


class Row(msgspec.Struct, frozen=True):
    """One thing that was found; `url` shows it."""

    text: str
    detail: str = ""
    url: str = ""


class Finding(msgspec.Struct, frozen=True):
    """What a check looked at, what it found, with the things themselves, and what can be done about it."""

    check: str
    title: str
    state: State
    looked_at: str
    found: str
    advice: str = ""
    rows: tuple[Row, ...] = ()
    # How many there are beside those in `rows`.
    more: int = 0


class Looked(msgspec.Struct, frozen=True):
    """A check that has looked: its finding is one of these."""

    check: str
    title: str
    looked_at: str

    def fine(self, found: str) -> Finding:
        return Finding(self.check, self.title, "fine", self.looked_at, found)

    def unjudged(self, found: str) -> Finding:
        return Finding(self.check, self.title, "unjudged", self.looked_at, found)

    def told(self, found: str, advice: str, rows: Sequence[Row] = ()) -> Finding:
        return self._finding("told", found, advice, rows, len(rows))

    def cause(self, found: str, advice: str, rows: Sequence[Row] = (), total: int | None = None) -> Finding:
        """`total` is how many things there are when `rows` are not all of them."""
        return self._finding("cause", found, advice, rows, len(rows) if total is None else total)

    def _finding(self, state: State, found: str, advice: str, rows: Sequence[Row], total: int) -> Finding:
        kept = tuple(rows[:MOST_ROWS])
        return Finding(self.check, self.title, state, self.looked_at, found, advice, kept, total - len(kept))


class Subject(msgspec.Struct, frozen=True):
    """One organization's usage in [start, end), narrowed by `filters`, as of `now`. Needs the organization's scope."""

    organization: Organization
    start: dt.datetime
    end: dt.datetime
    filters: dict[str, tuple[FilterValue, ...]]
    now: dt.datetime

    @property
    def zone(self) -> ZoneInfo:
        return self.organization.zone

    @property
    def moment(self) -> dt.datetime:
        """Until when there can be usage."""
        return min(self.end, self.now)

    def run(
        self,
        span: Span | None = None,
        sources: frozenset[Source] = EVERY_SOURCE,
        filters: dict[str, tuple[FilterValue, ...]] | None = None,
        **other: Any,
    ) -> UsageResult:
        start, end = (span.start, span.end) if span else (self.start, self.end)
        wanted = {**self.filters, **(filters or {})}
        return run(UsageQuery(self.organization.pk, start, end, self.zone, filters=wanted, **other), sources)

    def url(self, name: str, *args: Any, **parameters: str) -> str:
        path = reverse(name, args=[self.organization.slug, *args])
        return f"{path}?{urlencode(parameters)}" if parameters else path

    def usage_url(self, **filters: str | None) -> str:
        """The usage page over this range, with these filters."""
        return self._over_range("reports:usage", filters)

    def calls_url(self, **filters: str | None) -> str:
        return self._over_range("reports:calls", filters)

    def _over_range(self, name: str, filters: dict[str, str | None]) -> str:
        first, last = (f"{at.astimezone(self.zone):%Y-%m-%dT%H:%M}" for at in (self.start, self.end))
        said = {dimension: NOTHING if value is None else value for dimension, value in filters.items()}
        return self.url(name, range="custom", **{"from": first, "to": last}, **said)

    def day(self, at: dt.datetime) -> str:
        return f"{at.astimezone(self.zone):%-d %b %Y, %H:%M}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """ "3 calls"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"

"""What a kind of advice is: what it is given, what it finds, and how it follows up what was done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from accounts.models import Organization
from accounts.permissions import Right
from metering.pricing.book import PriceBook
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports.models import Effort


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One thing that advice rests on: of calls `id` is the event's.

    `now_nanos` is what it cost, `would_nanos` what it would have cost: 0 for a call that need not have been made, more
    than now where saving elsewhere costs more here, None where that is not known; both None where no cost is at stake.
    `note` says in a few words
    what is particular about it.
    """

    id: str
    at: dt.datetime
    now_nanos: int | None
    would_nanos: int | None
    note: str = ""


class Estimate(msgspec.Struct, frozen=True):
    """Nano-dollars saved in a month of 30 days: in a poor one, likely, in a good one."""

    low: int
    likely: int
    high: int


class Finding(msgspec.Struct, frozen=True):
    """Something worth changing. Texts are for people, whole sentences; `subject` is what tells it from others of its
    kind, the same again when it is found again.

    The savings are the pieces', now less would, over the window's 30 days, unless `estimate` says them: of pieces that
    are no calls of the window. `stake_nanos` is what is at stake where that is more than what would be saved: it
    decides whether the finding is worth telling. `terms` are pairs of a label and a value: what counted, with the
    thresholds. `caveat` is what may speak against it.
    """

    subject: str
    title: str
    text: str
    pieces: Sequence[Piece]
    effort: Effort
    terms: tuple[tuple[str, str], ...] = ()
    caveat: str = ""
    estimate: Estimate | None = None
    stake_nanos: int | None = None


class Work(msgspec.Struct, frozen=True):
    """What some work cost: so many units of it (calls, tokens) and nano-dollars, comparable between two times."""

    units: int
    nanos: int


class Context:
    """What kinds look at: an organization's usage of [start, end), whole local days, at today's prices.

    Used within the organization's scope. What is read once is kept.
    """

    def __init__(
        self, organization: Organization, start: dt.datetime, end: dt.datetime, now: dt.datetime, book: PriceBook
    ) -> None:
        self.organization = organization
        self.start = start
        self.end = end
        self.now = now
        self.book = book

    @property
    def organization_id(self) -> int:
        return self.organization.pk

    @property
    def zone(self) -> ZoneInfo:
        return self.organization.zone

    def query(self, **parts: Any) -> UsageQuery:
        """A question about the window."""
        return UsageQuery(self.organization.pk, self.start, self.end, self.zone, **parts)

    @cached_property
    def cost_nanos(self) -> int:
        """What is known of the cost of everything in the window."""
        return run(self.query()).totals.known_cost_nanos


class Kind(msgspec.Struct, frozen=True):
    """A kind of advice.

    `find` yields what there is in a context, one finding after the other, nothing without pieces. `work` says what the
    work of a subject cost in a context, done the old way or the new one: the basis of what was realized. `unit` is
    what its units are, in the singular. `about` says what is looked for, for people. `needs` is the right to see it,
    `evidence` what its pieces are ("calls" are linked to their receipts).
    """

    name: str
    label: str
    icon: str
    about: str
    find: Callable[[Context], Iterable[Finding]]
    work: Callable[[Context, str], Work] | None = None
    unit: str = "call"
    evidence: str = "calls"
    needs: Right = Right.SEE_USAGE

"""Files of usage that the pages offer: which there are, in which formats, and those that a task makes.

A short range is sent as it is written. A long one is prepared: made by a task with progress, kept, and downloaded from
where it broke off (reports/custom/results.py). Both are the same table through the same writer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
from django.urls import reverse

from accounts.models import Membership, Organization, Team
from core.periods import local_day
from metering.query.export import FORMATS, make_export
from metering.query.focus.columns import VERSION
from metering.query.focus.table import FocusFile
from metering.query.ranges import Span
from metering.query.spec import FilterValue, UsageQuery
from metering.query.tables import Cell, Column, Table
from reports.custom.results import Wanted
from reports.filters import Chosen, period_words, rights_for

if TYPE_CHECKING:
    from reports.custom.course import Making
    from reports.models import Result

MAKER = "export"
# What is longer is prepared: at a few thousand rows a day it would be a download of minutes.
LONGEST_SENT = dt.timedelta(days=62)


class Asked(msgspec.Struct, frozen=True):
    """What a file is made of; kept as JSON while a task makes it. `with_keys`: FOCUS tells the API keys apart."""

    kind: str
    file_format: str
    start: dt.datetime
    end: dt.datetime
    zone: str
    filters: dict[str, list[FilterValue]]
    with_keys: bool

    def query(self, organization_id: int) -> UsageQuery:
        filters = {name: tuple(values) for name, values in self.filters.items()}
        return UsageQuery(organization_id, self.start, self.end, ZoneInfo(self.zone), filters=filters)


class Kind(msgspec.Struct, frozen=True):
    """`moment` is the column that says how far the file has come."""

    label: str
    note: str
    formats: tuple[str, ...]
    moment: str
    table: Callable[[UsageQuery, bool], Table]


KINDS: dict[str, Kind] = {
    "usage": Kind(
        "Usage by hour and model",
        "every hour that has some",
        ("csv", "jsonl", "parquet", "xlsx"),
        "timestamp",
        lambda query, _: make_export(query),
    ),
    "focus": Kind(
        f"FOCUS {VERSION}, cost and usage",
        "for FinOps tools",
        ("csv", "parquet"),
        "ChargePeriodEnd",
        lambda query, with_keys: FocusFile(query, with_keys),
    ),
}


def asked_of(kind: str, file_format: str, query: UsageQuery, *, with_keys: bool) -> Asked:
    filters = {name: list(values) for name, values in query.filters.items()}
    return Asked(kind, file_format, query.start, query.end, query.zone.key, filters, with_keys)


def file_name(slug: str, asked: Asked) -> str:
    zone = ZoneInfo(asked.zone)
    first, last = local_day(asked.start, zone), local_day(asked.end - asked.end.resolution, zone)
    return f"{slug}-{asked.kind}-{first}-to-{last}.{asked.file_format}"


# ── The menu ──


def export_menu(slug: str, chosen: Chosen) -> dict[str, Any]:
    """What the page's range and filters can be had as; `is_prepared` says that the links ask for a task (POST)."""
    is_prepared = chosen.range.end - chosen.range.start > LONGEST_SENT
    name = "reports:export-prepare" if is_prepared else "reports:export"
    return {
        "is_prepared": is_prepared,
        "groups": [
            {
                "label": kind.label,
                "note": kind.note,
                "options": [
                    {"label": FORMATS[name_].name, "url": chosen.carried_to(reverse(name, args=[slug, key, name_]))}
                    for name_ in kind.formats
                ],
            }
            for key, kind in KINDS.items()
        ],
    }


# ── Prepared ones ──


def wanted(organization: Organization, asked: Asked, member: Membership | None, team: Team | None) -> Wanted:
    """`member` or `team` where it holds the usage of one alone."""
    period = period_words(Span(asked.start, asked.end), ZoneInfo(asked.zone))
    return Wanted(
        maker=MAKER,
        title=f"{KINDS[asked.kind].label}, {period}",
        file_name=file_name(organization.slug, asked),
        content_type=FORMATS[asked.file_format].content_type,
        asked=msgspec.to_builtins(asked),
        of_member=member,
        of_team=team,
        rights=rights_for((*asked.filters, *(("api_key",) if asked.with_keys and asked.kind == "focus" else ()))),
    )


def make(making: Making) -> Iterable[bytes]:
    asked = msgspec.convert(making.result.asked, Asked)
    kind = KINDS[asked.kind]
    table = kind.table(asked.query(making.result.organization_id), asked.with_keys)
    return FORMATS[asked.file_format].write(_Watched(table, kind.moment, making))


def ended(_result: Result) -> None:
    """Who asked looks at it; nobody else waits for it."""


class _Watched:
    """A table that tells how far it is: rows so far, and in all as many as the rest of the range would have."""

    def __init__(self, table: Table, moment: str, making: Making) -> None:
        self._table = table
        self._making = making
        self._moment = next(at for at, column in enumerate(table.columns) if column.name == moment)

    @property
    def columns(self) -> tuple[Column, ...]:
        return self._table.columns

    @property
    def period(self) -> tuple[dt.datetime, dt.datetime] | None:
        return self._table.period

    @property
    def about(self) -> Mapping[str, str]:
        return self._table.about

    def pages(self) -> Iterator[Sequence[Sequence[Cell]]]:
        for page in self._table.pages():
            self._making.advance(len(page), self._estimate(page))
            yield page

    def _estimate(self, page: Sequence[Sequence[Cell]]) -> int | None:
        at = page[-1][self._moment] if page else None
        if not isinstance(at, dt.datetime) or self.period is None:
            return None
        start, end = self.period
        passed = (at - start) / (end - start)
        rows = self._making.rows + len(page)
        return max(rows, round(rows / passed)) if passed > 0 else None

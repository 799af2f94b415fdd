"""Reading the audit log: filtered, and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime

from accounts.models import AuditEntry
from core.days import OUTSIDE, is_within_years
from core.errors import ApiError
from core.figures import money_exact
from core.tenancy import organization_scope

COLUMNS = ("at", "actor", "action", "target", "target_id", "target_label", "changes", "ip_address", "request_id")
CHUNK = 1000
# A spreadsheet takes a cell that begins like this for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Filter:
    start: datetime | None = None
    end: datetime | None = None
    actor: str = ""
    action: str = ""

    @classmethod
    def from_params(cls, params: Mapping[str, str], zone: ZoneInfo) -> Filter:
        """From a query string. A date is the whole day in the organization's zone. Raises ApiError 422."""
        return cls(
            start=_moment(params, "from", zone, is_end=False),
            end=_moment(params, "to", zone, is_end=True),
            actor=params.get("actor", "").strip().replace("\0", ""),
            action=params.get("action", "").strip().replace("\0", ""),
        )


def entries(chosen: Filter) -> QuerySet[AuditEntry]:
    """Newest first. Needs the organization's scope."""
    rows: QuerySet[AuditEntry] = AuditEntry.objects.order_by("-at", "-id")
    if chosen.start is not None:
        rows = rows.filter(at__gte=chosen.start)
    if chosen.end is not None:
        rows = rows.filter(at__lt=chosen.end)
    if chosen.actor:
        rows = rows.filter(actor_label__icontains=chosen.actor)
    if chosen.action:
        rows = rows.filter(Q(action=chosen.action) | Q(action__startswith=f"{chosen.action}."))
    return rows


def csv_lines(organization_id: int, chosen: Filter) -> Iterator[str]:
    """The log as CSV, some rows at a time. It is read after the page's scope has closed, so it opens its own."""
    yield _line(COLUMNS)
    last: tuple[datetime, int] | None = None
    while True:
        with organization_scope(organization_id):
            rows = entries(chosen)
            if last is not None:
                rows = rows.filter(Q(at__lt=last[0]) | Q(at=last[0], pk__lt=last[1]))
            chunk = list(rows[:CHUNK])
        yield "".join(_line(_cells(row)) for row in chunk)
        if len(chunk) < CHUNK:
            return
        last = (chunk[-1].at, chunk[-1].pk)


def _cells(row: AuditEntry) -> tuple[str, ...]:
    return (
        row.at.isoformat(),
        row.actor_label,
        row.action,
        row.target,
        row.target_id,
        row.target_label,
        json.dumps(row.changes, ensure_ascii=False),
        row.ip_address or "",
        row.request_id,
    )


def changes_of(entry: AuditEntry) -> list[tuple[str, str | None, str]]:
    """What changed, in words: field, before (None for something new), after."""
    return [
        (_field(name), None if before is None else _words(name, before), _words(name, after))
        for name, (before, after) in sorted(entry.changes.items())
    ]


def _field(name: str) -> str:
    return name.removesuffix("_nanos").removesuffix("_usd").replace("_", " ")


def _words(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_words(name, item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{_field(key)} {_words(key, item)}" for key, item in value.items()) or "none"
    if isinstance(value, int) and name.endswith("_nanos"):
        return money_exact(value)
    if isinstance(value, str) and value and name.endswith("_usd"):
        return money_exact(Decimal(value))
    return "none" if value in (None, "") else str(value)


def harmless(cell: str) -> str:
    """A cell no spreadsheet will run."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _line(cells: tuple[str, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([harmless(cell) for cell in cells])
    return buffer.getvalue()


def _moment(params: Mapping[str, str], name: str, zone: ZoneInfo, *, is_end: bool) -> datetime | None:
    text = params.get(name, "").strip()
    if not text:
        return None
    try:
        day = parse_date(text)
        if day is not None:
            _check_year(day, name)
            return _midnight(day + timedelta(days=1) if is_end else day, zone)
        moment = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None:
        raise ApiError(422, "invalid_parameter", f"{name} is a date or an RFC 3339 time.", param=name)
    _check_year(moment, name)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _check_year(day: date, name: str) -> None:
    if not is_within_years(day):
        raise ApiError(422, "invalid_parameter", OUTSIDE, param=name)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)

"""The reading API's parameters: range, zone, filters and lists, read from an address and refused by name when wrong."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Iterable

import msgspec
from django.http import QueryDict
from django.utils.timezone import now

from accounts.keys import KeyGrant
from accounts.models import Organization, Project
from core.errors import ApiError
from core.periods import INTERVALS, Interval, day_start, local_day, month_start, next_month
from metering.dimensions import DIMENSIONS
from metering.query.spec import EARLIEST, LATEST, TAG, TEXT_DIMENSIONS, FilterValue, check_dimension, refusal

RANGE = ("from", "to", "timezone")
NONE = "none"

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
# A plus sign that was not percent-encoded arrives as a space.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+\- ]\d\d:?\d\d)?")


class Reading(msgspec.Struct, frozen=True):
    """What every reading endpoint begins with: whose usage, in which zone, from when to when, and which of it."""

    organization_id: int
    zone: zoneinfo.ZoneInfo
    start: dt.datetime
    end: dt.datetime
    filters: dict[str, tuple[FilterValue, ...]]


def read(params: QueryDict, grant: KeyGrant, allowed: Iterable[str] = ()) -> Reading:
    """The range defaults to the current calendar month. Needs the organization's scope."""
    refuse_unknown(params, (*RANGE, *allowed))
    zone = read_zone(params, grant.organization_id)
    start, end = read_range(params, zone)
    return Reading(grant.organization_id, zone, start, end, read_filters(params, grant))


def refuse_unknown(params: QueryDict, allowed: Iterable[str]) -> None:
    """Beside `allowed`, every dimension and tag can be filtered."""
    known = {*allowed, *DIMENSIONS, *TEXT_DIMENSIONS}
    for name in params:
        if name not in known and not name.startswith(TAG):
            raise ApiError(422, "unknown_parameter", f"There is no parameter {name!r} here.", param=name)


# ── Time ──


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def read_zone(params: QueryDict, organization_id: int) -> zoneinfo.ZoneInfo:
    name = params.get("timezone")
    if name is None:
        name = Organization.objects.values_list("timezone", flat=True).get(pk=organization_id)
    elif name not in _zones():
        raise refusal("timezone is an IANA name, such as Europe/Berlin.", "timezone")
    return zoneinfo.ZoneInfo(name)


def read_range(params: QueryDict, zone: zoneinfo.ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
    """[start, end): a date means the whole day in the zone, a time is exact and, as the end, not included.

    Without `from`, the month that the end is in from its first day; without `to`, all of this month.
    """
    today = local_day(now(), zone)
    first, last = params.get("from"), params.get("to")
    end = read_instant(last, zone, "to", is_end=True) if last else None
    if first:
        start = read_instant(first, zone, "from")
    elif end is not None:
        start = day_start(month_start(local_day(end - dt.timedelta(microseconds=1), zone)), zone)
    else:
        start = day_start(month_start(today), zone)
    if end is None:
        end = day_start(next_month(today), zone)
        if start >= end:
            raise refusal("from is in the future; say to as well.", "from")
    if start >= end:
        raise refusal("to must be after from.", "to")
    return start, end


def read_instant(text: str, zone: zoneinfo.ZoneInfo, param: str, *, is_end: bool = False) -> dt.datetime:
    expected = f"{param} is a date such as 2026-11-21, or a time such as 2026-11-21T12:00:00Z."
    if _DATE.fullmatch(text):
        day = _read_date(text, param, expected)
        return day_start(day + dt.timedelta(days=1) if is_end else day, zone)
    match = _TIME.fullmatch(text)
    if match is None:
        raise refusal(expected, param)
    moment, offset = match.groups()
    if offset is None:
        raise refusal(f"{param} has a time without an offset; end it with Z, or with one such as +02:00.", param)
    try:
        at = dt.datetime.fromisoformat(moment.upper() + offset.upper().replace(" ", "+"))
    except ValueError as error:
        raise refusal(expected, param) from error
    _checked_year(at.date(), param)
    return at.astimezone(dt.UTC)


def _read_date(text: str, param: str, expected: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise refusal(expected, param) from error
    return _checked_year(day, param)


def _checked_year(day: dt.date, param: str) -> dt.date:
    if not EARLIEST.date() <= day < LATEST.date():
        raise refusal(f"{param} lies outside of the years {EARLIEST.year} to {LATEST.year - 1}.", param)
    return day


def read_day(params: QueryDict, zone: zoneinfo.ZoneInfo, param: str = "date") -> dt.date:
    text = params.get(param)
    if not text:
        return local_day(now(), zone)
    expected = f"{param} is a date such as 2026-11-21."
    if not _DATE.fullmatch(text):
        raise refusal(expected, param)
    return _read_date(text, param, expected)


# ── Choices ──


def read_interval(params: QueryDict, default: Interval | None) -> Interval | None:
    text = params.get("interval")
    if not text:
        return default
    if text == NONE:
        return None
    for interval in INTERVALS:
        if text == interval:
            return interval
    raise refusal(f"interval is one of {', '.join(INTERVALS)}, none.", "interval")


def read_names(params: QueryDict, param: str) -> tuple[str, ...]:
    """A list with commas, or the parameter several times; once each."""
    names = [name.strip() for text in params.getlist(param) for name in text.split(",")]
    return tuple(dict.fromkeys(name for name in names if name))


def read_group_by(params: QueryDict) -> tuple[str, ...]:
    """Dimensions; what else a query can be grouped by is the product's own."""
    names = read_names(params, "group_by")
    for name in names:
        check_dimension(name, "group_by")
    return names


def read_whole(params: QueryDict, param: str, default: int, largest: int) -> int:
    text = params.get(param)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= largest):
        raise refusal(f"{param} is a whole number from 1 to {largest:,}.", param)
    return int(text)


def read_flag(params: QueryDict, param: str) -> bool:
    text = params.get(param) or "false"
    if text not in ("true", "false"):
        raise refusal(f"{param} is one of true, false.", param)
    return text == "true"


def read_filters(params: QueryDict, grant: KeyGrant) -> dict[str, tuple[FilterValue, ...]]:
    """Every dimension among the parameters. Values of one parameter given several times are alternatives."""
    filters: dict[str, tuple[FilterValue, ...]] = {}
    for name in params:
        if name in DIMENSIONS or name in TEXT_DIMENSIONS or name.startswith(TAG):
            check_dimension(name, name)
            filters[name] = tuple(None if value == NONE else value for value in params.getlist(name))
    if grant.project_id is not None:
        _keep_to_project(filters, grant.project_id)
    return filters


def own_filters(grant: KeyGrant) -> dict[str, tuple[FilterValue, ...]]:
    """What a key may read at all."""
    return {} if grant.project_id is None else {"project": (grant.project_id,)}


def _keep_to_project(filters: dict[str, tuple[FilterValue, ...]], project_id: int) -> None:
    """A key of a project reads that project's usage, whatever it asks for."""
    if "project" in filters:
        slug = Project.objects.values_list("slug", flat=True).filter(pk=project_id).first()
        if any(value not in (slug, str(project_id)) for value in filters["project"]):
            raise ApiError(403, "forbidden_project", "This key reads another project.", param="project")
    filters["project"] = (project_id,)

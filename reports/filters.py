"""The filter bar: range, interval, comparison and dimensions, all in the URL, so that a view can be shared.

`Chosen` reads a page's query string into queries and writes every link of the bar from it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from django.http import QueryDict

from accounts.permissions import Right, may
from core.errors import ApiError
from core.periods import INTERVALS, Interval
from metering.dimensions import DIMENSIONS
from metering.query.ranges import LABELS, Range, Span, custom_range, named_range
from metering.query.spec import EARLIEST, LATEST, TAG, TEXT_DIMENSIONS, FilterValue, UsageQuery, check_dimension

INTERVAL_LABELS: dict[Interval, str] = {"15m": "15 min", "hour": "Hour", "day": "Day", "week": "Week", "month": "Month"}
SHOWN_RANGES = ("today", "yesterday", "7d", "30d", "90d", "month")
# A saved view, or a link from a report, may have another one.
_LONGER_NAMED = frozenset(LABELS) - {*SHOWN_RANGES, "custom"}
# What the API and the URL write for "without a value".
NOTHING = "none"
_SHARED = ("range", "from", "to", "interval", "compare")
# `view` is the saved view that the address came from (reports/saved).
_OWN_PARAMETERS = (*_SHARED, "measure", "view")
# Where a list goes on. Any other change of a view begins at its first row.
CURSOR = "cursor"


class Chosen(msgspec.Struct, frozen=True):
    """What a page's URL asks for. `path` is the page's own address."""

    path: str
    parameters: dict[str, tuple[str, ...]]
    zone: ZoneInfo
    range: Range
    interval: Interval
    is_compared: bool
    measure: str
    filters: dict[str, tuple[FilterValue, ...]]

    @classmethod
    def read(
        cls,
        path: str,
        given: QueryDict,
        zone: ZoneInfo,
        now: dt.datetime,
        *,
        default_range: str,
        measures: tuple[str, ...],
        own: tuple[str, ...] = (),
    ) -> Chosen:
        """`own` names what else this page takes.

        Raises ApiError 422 for what is no range, interval, comparison, dimension or measure.

        An interval that the range does not have gives way to the range's own: links carry it from range to range.
        """
        parameters = {name: tuple(given.getlist(name)) for name in given}
        key = given.get("range") or ("custom" if given.get("from") else default_range)
        chosen = _custom(given, zone, now) if key == "custom" else named_range(key, zone, now)
        measure = given.get("measure") or measures[0]
        if measure not in measures:
            raise ApiError(422, "invalid_parameter", f"measure is one of {', '.join(measures)}.", param="measure")
        interval = given.get("interval") or None
        if interval is not None and interval not in INTERVALS:
            raise ApiError(422, "invalid_parameter", f"interval is one of {', '.join(INTERVALS)}.", param="interval")
        if given.get("compare", NOTHING) != NOTHING:
            raise ApiError(422, "invalid_parameter", f"compare takes only {NOTHING}.", param="compare")
        filters: dict[str, tuple[FilterValue, ...]] = {}
        for name, values in parameters.items():
            if name not in _OWN_PARAMETERS and name not in own:
                check_dimension(name, name)
                filters[name] = tuple(None if value == NOTHING else value for value in values)
        return cls(
            path=path,
            parameters=parameters,
            zone=zone,
            range=chosen,
            interval=chosen.interval(interval),
            is_compared=given.get("compare") != NOTHING,
            measure=measure,
            filters=filters,
        )

    # ── Queries ──

    def query(self, organization_id: int, span: Span | None = None, **other: Any) -> UsageQuery:
        """The chosen range and filters as a query; `span` asks for another time, `other` adds to it."""
        start, end = (span.start, span.end) if span else (self.range.start, self.range.end)
        return UsageQuery(organization_id, start, end, self.zone, filters=self.filters, **other)

    def given(self, name: str) -> str | None:
        """A parameter of the page's own."""
        return self.parameters.get(name, (None,))[-1] or None

    # ── Links ──

    def url(self, path: str | None = None, **changes: str | None) -> str:
        """This view with some parameters changed; None takes one away."""
        parameters = {name: values for name, values in self.parameters.items() if name not in (*changes, CURSOR)}
        parameters |= {name: (value,) for name, value in changes.items() if value is not None}
        return _address(path or self.path, parameters)

    def carried_to(self, path: str, **own: str) -> str:
        """Another page with this range, comparison and these filters, and `own` parameters of that page."""
        return carried(path, self.parameters, **own)

    def filtered_url(self, dimension: str, key: str | None, **changes: str | None) -> str:
        return self.url(**{dimension: value_text(key), **changes})

    def bucket_url(self, start: dt.datetime, end: dt.datetime) -> str | None:
        """This view of one bucket of its chart; None for hours and less, which are not divided any further."""
        if self.interval in ("15m", "hour"):
            return None
        ends = {"from": _field(start, self.zone), "to": _field(end, self.zone)}
        return self.url(range="custom", interval=None, **ends)

    def bar(self, labels: dict[str, str], *, fixed: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The bar's context. `labels` names each filter's values for people; filters in `fixed` cannot be removed."""
        span = self.range
        return {
            "range": {
                "key": span.key,
                "label": span.label,
                "options": [
                    {
                        "key": key,
                        "label": LABELS[key],
                        "url": self.url(range=key, **{"from": None, "to": None, "interval": None}),
                        "is_current": key == span.key,
                    }
                    for key in (*SHOWN_RANGES, *((span.key,) if span.key in _LONGER_NAMED else ()))
                ],
                "is_custom": span.key == "custom",
                "custom": {
                    "action_url": self.path,
                    "from": _field(span.start, self.zone),
                    "to": _field(span.end, self.zone),
                    "zone": self.zone.key,
                    "hidden": [
                        {"name": name, "value": value}
                        for name, values in self.parameters.items()
                        if name not in ("range", "from", "to", "interval", CURSOR)
                        for value in values
                    ],
                },
            },
            "interval": {
                "options": [
                    {
                        "key": key,
                        "label": INTERVAL_LABELS[key],
                        "url": self.url(interval=key),
                        "is_current": key == self.interval,
                    }
                    for key in span.intervals
                ]
            },
            "compare": {
                "label": period_words(span.previous_so_far, self.zone) if self.is_compared else "nothing",
                "options": [
                    {"label": "Period before", "url": self.url(compare=None), "is_current": self.is_compared},
                    {"label": "Nothing", "url": self.url(compare=NOTHING), "is_current": not self.is_compared},
                ],
            },
            "filters": [
                {
                    "dimension": name,
                    "label": dimension_label(name),
                    "value": labels.get(name, "none"),
                    "remove_url": self.url(**{name: None}),
                }
                for name in self.filters
                if name not in fixed
            ],
            "clear_url": self.url(**dict.fromkeys(self.filters)),
            "longer_url": self.url(range="90d", **{"from": None, "to": None, "interval": None}),
        }


def value_text(key: str | None) -> str:
    """A value of a dimension as the address has it."""
    return NOTHING if key is None else key


def carried(path: str, parameters: Mapping[str, Sequence[str]], **own: str) -> str:
    """The address of a page with the filter bar, in the state these parameters have; what else they are is left out."""
    shared = {name: values for name, values in parameters.items() if _is_shared(name)}
    return _address(path, {**shared, **{name: (value,) for name, value in own.items()}})


def _is_shared(name: str) -> bool:
    return name in _SHARED or name in DIMENSIONS or name in TEXT_DIMENSIONS or name.startswith(TAG)


def _address(path: str, parameters: Mapping[str, Sequence[str]]) -> str:
    text = urlencode([(name, value) for name, values in parameters.items() for value in values])
    return f"{path}?{text}" if text else path


def dimension_label(name: str) -> str:
    if name.startswith(TAG):
        return f"Tag {name.removeprefix(TAG)}"
    words = {"api_key": "API key", "end_user": "End user", "user": "User as sent"}
    return words.get(name, name.replace("_", " ").capitalize())


def dimension_words(name: str) -> str:
    """The same inside of a sentence."""
    label = dimension_label(name)
    return label if label[:2].isupper() else label[0].lower() + label[1:]


def rights_for(dimensions: Iterable[str]) -> tuple[Right, ...]:
    """What a reader of usage needs that is asked for by, or filtered by, these dimensions."""
    return (Right.SEE_KEYS,) if "api_key" in dimensions else ()


def hidden_from(role: str) -> frozenset[str]:
    """The dimensions whose values a role may not look through."""
    people = frozenset() if may(role, Right.SEE_USAGE) else frozenset({"member", "user"})
    return people if may(role, Right.SEE_KEYS) else people | {"api_key"}


def period_words(span: Span, zone: ZoneInfo) -> str:
    """ "1–20 Nov 2026", the days as people write them; with times where they are no whole days."""
    start, last = span.start.astimezone(zone), (span.end - dt.timedelta(microseconds=1)).astimezone(zone)
    if span.end <= span.start:
        return f"{start.day} {start:%b %Y}"
    if start.time() != dt.time() or (last + dt.timedelta(microseconds=1)).time() != dt.time():
        end = span.end.astimezone(zone)
        if start.date() == end.date():
            return f"{start.day} {start:%b %Y, %H:%M} to {end:%H:%M}"
        if start.time() == dt.time():
            # A period so far: its last day is not over.
            return _days(start.date(), end.date())
        return f"{start.day} {start:%b %H:%M} to {end.day} {end:%b %Y %H:%M}"
    return _days(start.date(), last.date())


def _days(first: dt.date, last: dt.date) -> str:
    if first == last:
        return f"{last.day} {last:%b %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last.day} {last:%b %Y}"
    if first.year == last.year:
        return f"{first.day} {first:%b} – {last.day} {last:%b %Y}"
    return f"{first.day} {first:%b %Y} – {last.day} {last:%b %Y}"


def _custom(given: QueryDict, zone: ZoneInfo, now: dt.datetime) -> Range:
    ends = []
    for name in ("from", "to"):
        try:
            ends.append(dt.datetime.fromisoformat(given.get(name, "")))
        except ValueError as error:
            raise ApiError(422, "invalid_parameter", f"{name} is a date and time.", param=name) from error
        if not EARLIEST.year <= ends[-1].year < LATEST.year:
            years = f"{EARLIEST.year} to {LATEST.year - 1}"
            raise ApiError(422, "invalid_parameter", f"{name} lies outside of the years {years}.", param=name)
    return custom_range(ends[0], ends[1], zone, now)


def _field(at: dt.datetime, zone: ZoneInfo) -> str:
    """As a datetime-local input takes it."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")

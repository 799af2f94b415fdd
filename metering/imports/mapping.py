"""From a row to an event document: which column is which field, and what stands where the row says nothing."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from metering.events import BUCKETS, UNITS
from metering.imports.fields import (
    DURATION_S,
    ENDED_AT,
    FIRST_TOKEN_AT,
    FIRST_TOKEN_S,
    IS_BATCH,
    MOST_REQUESTS,
    OCCURRED_MS,
    REQUESTS,
    CellError,
    Clock,
    Convert,
    converter,
    unknown_field,
)

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")
_OWN_USAGE = frozenset((*BUCKETS, *UNITS, "seconds"))
_SHOWN = 80


class MappingError(Exception):
    """The mapping cannot work, whatever the rows hold."""

    def __init__(self, message: str, column: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class RowError(Exception):
    """A row that makes no document."""

    def __init__(self, code: str, message: str, field: str | None, column: str | None, value: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.column = column
        self.value = shown(value)


class ColumnMap(msgspec.Struct, frozen=True, omit_defaults=True, rename={"zone_name": "timezone"}):
    """`columns`: (column, field) in order of preference, where several columns give one field. `constants`: (field,
    text) for rows that do not say; `{column}` in the text stands for a value. `only`: (column, value) a row must have.
    """

    columns: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    only: tuple[tuple[str, str], ...] = ()
    start: dt.datetime | None = None
    zone_name: str = "UTC"

    @property
    def clock(self) -> Clock:
        return Clock(zoneinfo.ZoneInfo(self.zone_name), self.start)

    @property
    def context(self) -> str:
        return "" if self.start is None else self.start.astimezone(dt.UTC).isoformat()

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(field for _, field in self.columns) | frozenset(field for field, _ in self.constants)

    def column_of(self, field: str | None) -> str | None:
        """The column to look at when a field of the document is refused."""
        if field is None:
            return None
        for column, target in self.columns:
            if target == field or target.startswith(f"{field}.") or field.startswith(f"{target}."):
                return column
        return None


class Writer:
    """A mapping made ready for many rows."""

    def __init__(self, mapping: ColumnMap, project: str | None = None) -> None:
        self._clock = mapping.clock
        self._columns: list[tuple[str, str, tuple[str, ...], Convert]] = [
            (column, field, path_of(field), converter(field)) for column, field in mapping.columns
        ]
        constants = [*mapping.constants, *([("project", escaped(project))] if project else [])]
        self._constants = [(field, path_of(field), text, converter(field)) for field, text in constants]
        self._only = mapping.only
        self._has_usage = any(field == "usage" or field.startswith("usage.") for field in mapping.fields)

    def is_wanted(self, values: Mapping[str, Any]) -> bool:
        return all(_plain(value_at(values, column)) == wanted for column, wanted in self._only)

    def document(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """The event document of a row and the number of calls it stands for. Raises RowError."""
        document: dict[str, Any] = {}
        for column, field, path, convert in self._columns:
            value = values.get(column)
            if value is None and column not in values:
                value = value_at(values, column)
            if value is None or value == "":
                continue
            try:
                _put(document, path, convert(value, self._clock))
            except CellError as error:
                raise RowError(error.code, error.message, field, column, value) from error
        for field, path, template, convert in self._constants:
            if _get(document, path) is None:
                _put(document, path, self._constant(field, template, convert, values))
        if self._has_usage and not document.get("usage") and document.get("status", "ok") == "ok":
            document["usage"] = None  # the columns are there and this row has nothing in them: unknown
        return document, _finish(document)

    def _constant(self, field: str, template: str, convert: Convert, values: Mapping[str, Any]) -> Any:
        text = _PLACEHOLDER.sub(
            lambda match: match[0][0] if match[1] is None else _plain(value_at(values, match[1])), template
        )
        try:
            return convert(text, self._clock)
        except CellError as error:
            raise RowError(error.code, error.message, field, None, text) from error


def path_of(field: str) -> tuple[str, ...]:
    """Tags may have dots in their names; other fields' parts are apart by dots."""
    if field.startswith("tags."):
        return ("tags", field.removeprefix("tags."))
    return tuple(field.split("."))


def escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def value_at(values: Mapping[str, Any], column: str) -> Any:
    """A column's value; `a.b` reaches into an object, also one that a cell holds as JSON text."""
    if column in values:
        return values[column]
    head, dot, rest = column.partition(".")
    while dot:
        inner = values.get(head)
        if isinstance(inner, str) and inner.lstrip()[:1] == "{":
            try:
                inner = msgspec.json.decode(inner)
            except msgspec.DecodeError:
                return None
        if isinstance(inner, dict):
            return value_at(inner, rest)
        part, dot, rest = rest.partition(".")
        head = f"{head}.{part}"
    return None


def shown(value: Any) -> str | None:
    """A value for an error list: its beginning."""
    if value is None:
        return None
    plain = _plain(value)
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…"


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _get(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = document
    for part in path:
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """The first column that has a value for a field gives it."""
    place = document
    for part in path[:-1]:
        place = place.setdefault(part, {})
    place.setdefault(path[-1], value)


def _finish(document: dict[str, Any]) -> int:
    """Turn the import's own fields into the document's."""
    for seconds, milliseconds in ((DURATION_S, "duration_ms"), (FIRST_TOKEN_S, "time_to_first_token_ms")):
        value = document.pop(seconds, None)
        if value is not None:
            document.setdefault(milliseconds, value * 1000)
    in_ms = document.pop(OCCURRED_MS, None)
    if in_ms is not None:
        document.setdefault("occurred_at", in_ms)
    began = document.get("occurred_at")
    for moment, milliseconds in ((ENDED_AT, "duration_ms"), (FIRST_TOKEN_AT, "time_to_first_token_ms")):
        at = document.pop(moment, None)
        if at is not None and began is not None and at >= began:
            document.setdefault(milliseconds, (at - began) / dt.timedelta(milliseconds=1))
    if document.pop(IS_BATCH, False):
        document.setdefault("service_tier", "batch")
    if "chat" in document and "id" not in document["chat"]:
        del document["chat"]  # a title without a chat
    requests = document.pop(REQUESTS, 1)
    if not 0 <= requests <= MOST_REQUESTS:
        message = f"A row sums up at most {MOST_REQUESTS:,} calls; this one {requests:,}."
        raise RowError("too_many_requests", message, REQUESTS, None)
    if requests == 0 and any(_counts(document.get("usage"))):
        raise RowError("no_requests", "The row has tokens and says that there were no calls.", REQUESTS, None)
    return int(requests)


def _counts(usage: Any) -> Iterable[int]:
    if isinstance(usage, dict):
        for value in usage.values():
            yield from _counts(value)
    elif isinstance(usage, int):
        yield usage


# ── Checking, before any row is read ──


def check(mapping: ColumnMap, columns: Iterable[str]) -> None:
    """Raises MappingError. `columns` are those of the file; of JSON lines, those seen at its beginning."""
    known = tuple(columns)
    for column, field in mapping.columns:
        problem = unknown_field(field)
        if problem:
            raise MappingError(problem, column)
        _check_column(column, known)
    for field, text in mapping.constants:
        problem = unknown_field(field)
        if problem:
            raise MappingError(problem)
        for name in filter(None, _PLACEHOLDER.findall(text)):
            _check_column(name, known)
    for column, _ in mapping.only:
        _check_column(column, known)
    if mapping.zone_name not in zoneinfo.available_timezones():
        raise MappingError(f"{mapping.zone_name} is no IANA time zone, such as Europe/Berlin.")
    _check_fields(mapping.fields)


def _check_column(column: str, known: tuple[str, ...]) -> None:
    if not any(column == name or column.startswith(f"{name}.") for name in known):
        raise MappingError(f"The file has no column {column}. Columns: {', '.join(known)}.", column)


def _check_fields(fields: frozenset[str]) -> None:
    usage = {field.removeprefix("usage.") for field in fields if field.startswith("usage.")}
    if "usage" in fields and usage:
        raise MappingError("usage is mapped as a whole and in parts; choose one.")
    own = usage & _OWN_USAGE
    if own and usage - _OWN_USAGE:
        other = min(usage - _OWN_USAGE)
        raise MappingError(f"usage.{min(own)} is a bucket of ours and usage.{other} a provider's field; map one kind.")
    if "model" not in fields:
        raise MappingError("No column gives the model. Map one to model, or set it: model=gpt-4o.")
    if not fields & {"occurred_at", OCCURRED_MS}:
        raise MappingError("No column gives the time of a call. Map one to occurred_at.")
    if not usage and "usage" not in fields and "status" not in fields:
        raise MappingError("No column gives tokens. Map them, for example to usage.prompt_tokens.")

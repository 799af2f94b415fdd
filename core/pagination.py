"""Lists by cursor: `{"data": […], "has_more": bool, "next_cursor": str | null}`.

A cursor holds the ordering values of the last row that was sent, so a page costs the same however deep it lies,
and rows that arrive meanwhile shift nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models

from core.errors import ApiError

DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100
# What `paginate` reads of an address.
PAGE_PARAMETERS = ("limit", "cursor")

Row = TypeVar("Row")
_Model = TypeVar("_Model", bound=models.Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    rows: list[Row]
    next_cursor: str | None

    def body(self, write: Callable[[Row], Any]) -> dict[str, Any]:
        return {
            "data": [write(row) for row in self.rows],
            "has_more": self.next_cursor is not None,
            "next_cursor": self.next_cursor,
        }


def narrow(
    queryset: models.QuerySet[_Model], params: Mapping[str, str], known: Mapping[str, tuple[str, Sequence[str]]]
) -> models.QuerySet[_Model]:
    """What an address asks for: `known` has a parameter's column and values. Raises ApiError 422 for another value."""
    for name, (column, values) in known.items():
        given = params.get(name)
        if given is None:
            continue
        if given not in values:
            raise ApiError(422, "invalid_parameter", f"{name} is one of {', '.join(values)}.", param=name)
        queryset = queryset.filter(**{column: given})
    return queryset


def paginate(
    queryset: models.QuerySet[_Model], params: Mapping[str, str], order: Sequence[str] = ("-id",)
) -> Page[_Model]:
    """One page of a queryset. `order` names columns, all ascending or all descending, and ends in a unique one."""
    is_descending = order[0].startswith("-")
    if any(name.startswith("-") != is_descending for name in order):
        raise ValueError("a cursor follows one direction")
    names = [name.lstrip("-") for name in order]
    limit = limit_of(params)
    if params.get("cursor"):
        values = decode_cursor(params["cursor"], [_reader(queryset.model, name) for name in names])
        queryset = queryset.filter(_beyond(names, values, "lt" if is_descending else "gt"))
    rows = list(queryset.order_by(*order)[: limit + 1])
    cursor = None
    if len(rows) > limit:
        rows.pop()
        cursor = encode_cursor([getattr(rows[-1], name) for name in names])
    return Page(rows, cursor)


def limit_of(params: Mapping[str, str], default: int = DEFAULT_LIMIT, largest: int = LARGEST_LIMIT) -> int:
    text = params.get("limit")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= largest):
        raise ApiError(422, "invalid_parameter", f"limit is a whole number from 1 to {largest}.", param="limit")
    return int(text)


def encode_cursor(values: Sequence[Any]) -> str:
    plain = [value.isoformat() if isinstance(value, date | datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(text: str, readers: Sequence[Callable[[Any], Any]]) -> list[Any]:
    """The values of a cursor, each through its reader, which raises ValueError or ValidationError for nonsense."""
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return [read(value) for read, value in zip(readers, values, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error, ValidationError) as error:
        raise ApiError(
            422, "invalid_cursor", "This cursor is not one of this list. Start without it.", param="cursor"
        ) from error


def _reader(model: type[models.Model], name: str) -> Callable[[Any], Any]:
    try:
        field = model._meta.get_field(name)  # noqa: SLF001
    except FieldDoesNotExist as error:
        raise ValueError(f"{name} is not a column") from error

    def read(value: Any) -> Any:
        parsed = field.to_python(value)  # type: ignore[union-attr]
        if parsed is None:
            raise ValueError("empty")
        if isinstance(field, models.IntegerField | models.AutoField) and not -(2**63) <= parsed < 2**63:
            raise ValueError("out of range")
        return parsed

    return read


def _beyond(names: Sequence[str], values: Sequence[Any], comparison: str) -> models.Q:
    """(a, b) beyond (va, vb) in lexical order: a beyond va, or a = va and b beyond vb."""
    condition = models.Q()
    for index, name in enumerate(names):
        same = {names[earlier]: values[earlier] for earlier in range(index)}
        condition |= models.Q(**same, **{f"{name}__{comparison}": values[index]})
    return condition

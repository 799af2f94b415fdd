"""The reading side: usage, events and chats as typed answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, TypedDict, TypeVar, Union
from urllib.parse import quote

from tokenledger.answers import (
    ChatUsage,
    Coverage,
    Event,
    Figures,
    ModelUsage,
    Page,
    Receipt,
    Usage,
    UsageRow,
    UsageTable,
)
from tokenledger.answers import read as _read
from tokenledger.connection import Connection

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")

When = Union[str, dt.date, dt.datetime, None]
Values = Union[str, Sequence[Optional[str]], None]

EVENTS_A_PAGE = 100
ROWS_A_PAGE = 10_000


class Filters(TypedDict, total=False):
    """Only usage of these. Several values of one are alternatives; "none" is usage without one."""

    model: Values
    provider: Values
    endpoint: Values
    project: Values
    team: Values
    department: Values
    member: Values
    user: Values
    api_key: Values
    chat: Values
    message: Values
    file: Values
    feature: Values
    tool: Values
    integration: Values
    status: Values
    end_user: Values
    tags: Mapping[str, Values]


class Reading:
    """`from_` is included; `to` is included when it is a date, not included when it has a time.

    Dates are days of the organization's time zone, or of `timezone` where that is given.
    """

    _connection: Connection

    def usage(
        self, from_: When = None, to: When = None, *, timezone: Optional[str] = None, **filters: Unpack[Filters]
    ) -> Usage:
        """Totals, allowance and days: of the current billing period unless a range is given."""
        return _read(Usage, self._connection.get("/v1/usage", _params(from_, to, timezone, filters)))

    def models(
        self, from_: When = None, to: When = None, *, timezone: Optional[str] = None, **filters: Unpack[Filters]
    ) -> list[ModelUsage]:
        """Every model with usage in the range, the one with most tokens first."""
        page = _read(Page, self._connection.get("/v1/usage/models", _params(from_, to, timezone, filters)))
        return [_read(ModelUsage, one) for one in page.data]

    def query(
        self,
        from_: When = None,
        to: When = None,
        *,
        interval: str = "day",
        group_by: Sequence[str] = (),
        metrics: Sequence[str] = (),
        order_by: Sequence[str] = (),
        limit: Optional[int] = None,
        timezone: Optional[str] = None,
        **filters: Unpack[Filters],
    ) -> UsageTable:
        """Any range by any interval ("none" for the range as a whole), grouped by any dimensions.

        All rows, page after page; at most `limit` where that is given.
        """
        params = [*_params(from_, to, timezone, filters), ("interval", interval)]
        lists = {"group_by": group_by, "metrics": metrics, "order_by": order_by}
        params += [(name, ",".join(given)) for name, given in lists.items() if given]
        rows: list[UsageRow] = []
        for page in self._pages("/v1/usage/query", params, limit, ROWS_A_PAGE):
            rows += [_read(UsageRow, one) for one in page.data]
        return UsageTable(rows, _read(Figures, page.totals), _read(Coverage, page.coverage))

    def events(
        self,
        from_: When = None,
        to: When = None,
        *,
        pricing: Optional[str] = None,
        superseded: bool = False,
        limit: Optional[int] = None,
        timezone: Optional[str] = None,
        **filters: Unpack[Filters],
    ) -> Iterator[Event]:
        """Newest first, fetched page by page as they are looked at."""
        params = _params(from_, to, timezone, filters)
        params += [("pricing", pricing)] if pricing else []
        params += [("superseded", "true")] if superseded else []
        return self._each(Event, "/v1/events", params, limit)

    def event(self, event_id: str) -> Event:
        """One event, with the usage object as it was sent. Raises NotFound."""
        return _read(Event, self._connection.get(f"/v1/events/{_segment(event_id)}"))

    def receipt(self, event_id: str) -> Receipt:
        """How an event came to its cost, bucket by bucket. Raises NotFound."""
        return _read(Receipt, self._connection.get(f"/v1/events/{_segment(event_id)}/receipt"))

    def chats(
        self,
        from_: When = None,
        to: When = None,
        *,
        limit: Optional[int] = None,
        timezone: Optional[str] = None,
        **filters: Unpack[Filters],
    ) -> Iterator[ChatUsage]:
        """Newest first, by their last event, which the range is about; the figures are those of their whole life."""
        return self._each(ChatUsage, "/v1/chats", _params(from_, to, timezone, filters), limit)

    def _each(self, kind: type[T], path: str, params: Sequence[tuple[str, str]], limit: Optional[int]) -> Iterator[T]:
        for page in self._pages(path, params, limit, EVENTS_A_PAGE):
            for one in page.data:
                yield _read(kind, one)

    def _pages(
        self, path: str, params: Sequence[tuple[str, str]], limit: Optional[int], largest: int
    ) -> Iterator[Page]:
        """At least one page, and no more rows than `limit`."""
        if limit is not None and limit < 1:
            raise ValueError("limit is 1 or more")
        left, cursor = limit, None
        while True:
            size = largest if left is None else min(left, largest)
            asked = [*params, ("limit", str(size)), *([("cursor", cursor)] if cursor else [])]
            page = _read(Page, self._connection.get(path, asked))
            yield page
            left = None if left is None else left - len(page.data)
            cursor = page.next_cursor
            if cursor is None or left == 0:
                return


def _params(from_: When, to: When, timezone: Optional[str], filters: Mapping[str, Any]) -> list[tuple[str, str]]:
    params = [(name, _when(name, value)) for name, value in (("from", from_), ("to", to)) if value is not None]
    if timezone is not None:
        params.append(("timezone", timezone))
    named = {name: value for name, value in filters.items() if name != "tags"}
    tags = {f"tag.{name}": value for name, value in (filters.get("tags") or {}).items()}
    for name, value in {**named, **tags}.items():
        values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
        params += [(name, "none" if one is None else str(one)) for one in values]
    return params


def _when(name: str, value: Union[str, dt.date, dt.datetime]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        raise ValueError(f"{name.rstrip('_')} needs an offset from UTC, as datetime.now(timezone.utc) has")
    return value.isoformat()


def _segment(event_id: str) -> str:
    """An id as part of an address: ids may hold slashes, and the server takes them."""
    return quote(event_id, safe="")

"""The FOCUS file of a range: a page of charges for each day that has usage."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Iterator, Mapping

import msgspec

from accounts.models import Organization
from core.periods import local_day, month_span
from metering.pricing.book import PriceBook
from metering.pricing.plan import Version
from metering.query.costs import rows_by_rates
from metering.query.focus.charges import API_KEY, PLACES, Account, Span, charges
from metering.query.focus.columns import COLUMNS, GENERATOR, VERSION, describe
from metering.query.labels import GroupValue
from metering.query.metrics import instant_text
from metering.query.rate_parts import PRICE
from metering.query.run import UsageRow, run, scope_of
from metering.query.spec import UsageQuery
from metering.query.tables import Cell, Column

# A day is asked for with its neighbors while they have no more than this.
CHUNK_REQUESTS = 20_000


class FocusFile(msgspec.Struct, frozen=True):
    """Charges of a query's range and filters, by the local day; the query's groups, interval and order do not matter.

    A `Table` (metering/query/tables.py). A day at an edge of the range is as long as the range has of it. Without
    `with_keys` the API keys are not told apart.
    """

    query: UsageQuery
    with_keys: bool = True

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(column.column for column in COLUMNS)

    @property
    def period(self) -> tuple[dt.datetime, dt.datetime]:
        return self.query.start, self.query.end

    @property
    def about(self) -> dict[str, str]:
        start, end = map(instant_text, self.period)
        schema = json.dumps(describe()["Schema"])
        return {
            "DataGenerator": GENERATOR, "FocusVersion": VERSION, "Schema": schema, "period_start": start,
            "period_end": end, "timezone": self.query.zone.key,
        }  # fmt: skip

    def pages(self) -> Iterator[list[list[Cell]]]:
        """Opens and closes its scopes itself, so it may be read after the request's has ended."""
        query = self.query
        with scope_of(query.organization_id):
            account = _account(query.organization_id)
            days = run(msgspec.structs.replace(query, interval="day", group_by=(), order_by=("start",), limit=None))
        lists = _Lists(query.organization_id)
        for chunk in _chunks([day for day in days.rows if day.figures.requests]):
            asked = msgspec.structs.replace(query, start=chunk[0].start, end=chunk[-1].end)
            with scope_of(query.organization_id):
                rows, versions = rows_by_rates(asked, self._places, "day")
            by_day: dict[dt.datetime, list[UsageRow]] = {}
            for row in rows:
                by_day.setdefault(row.start, []).append(row)
            for day in chunk:
                yield self._day(day, by_day.get(day.start, []), versions, lists, account)

    @property
    def _places(self) -> tuple[str, ...]:
        return PLACES if self.with_keys else tuple(name for name in PLACES if name != API_KEY)

    def _day(
        self, day: UsageRow, rows: list[UsageRow], versions: dict[int, Version], lists: _Lists, account: Account
    ) -> list[list[Cell]]:
        own = {
            version.id: (row.group["provider"], row.group["model"])
            for row in rows
            if (version := versions.get(int(row.group[PRICE].ref or 0))) and version.organization_id is not None
        }
        zone = self.query.zone
        span = Span(day.start, day.end, *month_span(local_day(day.start, zone), zone))
        return charges(rows, versions, lists.beside(own, day.start), account, span)


def _chunks(days: list[UsageRow]) -> Iterator[list[UsageRow]]:
    """Days that together have a moderate number of requests, and so of rows; a busy one by itself."""
    chunk: list[UsageRow] = []
    requests = 0
    for day in days:
        if chunk and requests + day.figures.requests > CHUNK_REQUESTS:
            yield chunk
            chunk, requests = [], 0
        chunk.append(day)
        requests += day.figures.requests
    if chunk:
        yield chunk


def _account(organization_id: int) -> Account:
    slug, name = Organization.objects.values_list("slug", "name").get(pk=organization_id)
    return Account(slug, name)


class _Lists:
    """List prices of models that an organization has its own price for; the book is read when there is one."""

    def __init__(self, organization_id: int) -> None:
        self._organization_id = organization_id

    @functools.cached_property
    def _book(self) -> PriceBook:
        return PriceBook.load()

    def beside(self, own: Mapping[int, tuple[GroupValue, GroupValue]], at: dt.datetime) -> dict[int, Version]:
        """By an own price's id, the list price at that moment of its provider and model, where one was published."""
        found = {}
        for version_id, (provider, model) in own.items():
            resolved = self._book.resolve(self._organization_id, provider.key, model.key or "")
            for valid_from, valid_to, plan in resolved.periods:
                is_listed = plan.version.organization_id is None and not plan.version.is_free
                if is_listed and valid_from <= at and (valid_to is None or at < valid_to):
                    found[version_id] = plan.version
                    break
        return found

"""The FOCUS file of a range: a page of charges for each day that has usage."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Iterable, Iterator

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
from metering.query.run import run, scope_of
from metering.query.spec import UsageQuery
from metering.query.tables import Cell, Column


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
        query, zone = self.query, self.query.zone
        days = run(msgspec.structs.replace(query, interval="day", group_by=(), order_by=("start",), limit=None))
        places = PLACES if self.with_keys else tuple(name for name in PLACES if name != API_KEY)
        lists = _Lists(query.organization_id)
        for day in days.rows:
            if not day.figures.requests:
                continue
            span = Span(day.start, day.end, *month_span(local_day(day.start, zone), zone))
            with scope_of(query.organization_id):
                rows, versions = rows_by_rates(msgspec.structs.replace(query, start=day.start, end=day.end), places)
                own = {version.id: version for version in versions.values() if version.organization_id is not None}
                models = {
                    version_id: (row.group["provider"], row.group["model"])
                    for row in rows
                    if (version_id := row.group[PRICE].ref) in own
                }
                listed = lists.beside(own.values(), models, day.start)
                account = _account(query.organization_id)
            yield charges(rows, versions, listed, account, span)


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

    def beside(
        self, own: Iterable[Version], models: dict[int, tuple[GroupValue, GroupValue]], at: dt.datetime
    ) -> dict[int, Version]:
        """By the own price's id, the list price of its model at that moment, where one was published."""
        found = {}
        for version in own:
            provider, model = models[version.id]
            resolved = self._book.resolve(self._organization_id, provider.key, model.key or "")
            for valid_from, valid_to, plan in resolved.periods:
                is_listed = plan.version.organization_id is None and not plan.version.is_free
                if is_listed and valid_from <= at and (valid_to is None or at < valid_to):
                    found[version.id] = plan.version
                    break
        return found

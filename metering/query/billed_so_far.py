"""What `billed` says of usage up to the moment, from roll-ups: quick enough for a page, the same lines and sums.

One hour of events is read one by one, the one in which the allowance is used up. There are no hashes: they are made of
every event.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from django.utils.timezone import now
from msgspec.structs import replace

from metering.query.beyond import ATTEMPTS, UsageMovedError, bucket_of_crossing
from metering.query.billed import Billed, BilledModel, Manifest, events_beyond
from metering.query.costs import costs_by_model, rows_by_rates
from metering.query.run import LedgerMovedError, run, scope_of
from metering.query.spec import UsageQuery

# Whatever was received: as roll-ups have it.
_ANY_TIME = dt.datetime.max.replace(tzinfo=dt.UTC)


def billed_so_far(organization_id: int, start: dt.datetime, end: dt.datetime, zone: ZoneInfo, allowance: int) -> Billed:
    """What of [start, end) is beyond `allowance` tokens. Days are cut in `zone`, the organization's.

    Raises LedgerMovedError when usage keeps being stored meanwhile.
    """
    query = UsageQuery(organization_id, start, end, zone)
    with scope_of(organization_id):
        for _ in range(ATTEMPTS):
            try:
                return _billed(query, allowance)
            except UsageMovedError:
                continue
    raise LedgerMovedError


def _billed(query: UsageQuery, allowance: int) -> Billed:
    as_of, used = now(), run(query).totals.total_tokens
    if used <= allowance:
        return Billed(as_of, used, (), Manifest())
    hour, room = (bucket_of_crossing(query, allowance) if allowance else None) or (replace(query, end=query.start), 0)
    rows, _, versions = events_beyond(query.organization_id, hour.start, hour.end, room, _ANY_TIME)
    if hour.end < query.end:
        behind, of_behind = rows_by_rates(replace(query, start=hour.end))
        rows, versions = rows + behind, versions | of_behind
    models = tuple(
        BilledModel(costs, Manifest(costs.figures.requests, costs.figures.total_tokens, costs.figures.known_cost_nanos))
        for costs in costs_by_model(rows, versions)
    )
    total = sum((model.manifest for model in models), Manifest())
    if total.tokens != used - allowance:
        raise UsageMovedError
    return Billed(as_of, used, models, total)

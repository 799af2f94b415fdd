"""What a bill is made of: the events beyond an allowance as they were at an instant, line by line, with a manifest.

Unlike `beyond`, which is quick and speaks of now, this reads every event of the range, so that the same figures and the
same manifest come out whenever it is asked again: what was received, corrected or priced after the instant is left as
it was. docs/algorithms/invoices.md says what a manifest is and what it proves.
"""

# ruff: noqa: S608  (SQL is put together from our own names of columns)
from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django.db import connection

from metering.models import PriceVersion
from metering.pricing.plan import Version
from metering.pricing.versions import load_versions
from metering.query.beyond import part_of
from metering.query.costs import ModelCosts, costs_by_model, limits_of
from metering.query.labels import GroupValue, name_refs
from metering.query.metrics import Figures
from metering.query.rate_parts import ABOVE, PRICE, TIER, TIME, part_of_event
from metering.query.run import UsageRow, scope_of
from metering.store.rollups import MEASURES, TOTAL_TOKENS

_SUMS = ", ".join(f"sum({expression})::bigint" for expression in MEASURES.values())
# The hash of a set is the sum of its members' SHA-256, in four numbers of 64 bits (AdHash: Bellare, Micciancio 1997):
# no order, no sorting, and sets can be put together.
_LIMBS = 4
_MODULUS = 1 << 64
_PERIOD = """
organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s AND received_at <= %(as_of)s
"""
_VERSIONS = f"SELECT DISTINCT price_version_id FROM metering_event WHERE {_PERIOD}"
_CORRECTED_SINCE = """
EXISTS (
    SELECT 1 FROM metering_event_key k JOIN metering_event s
        ON s.organization_id = k.organization_id AND s.occurred_at = k.occurred_at AND s.key = k.key
    WHERE k.organization_id = e.organization_id AND k.key = e.superseded_by AND s.received_at > %(as_of)s
)
"""


class Manifest(msgspec.Struct, frozen=True):
    """A set of events: how many, what they hold together, and a hash (64 hexadecimal digits) that no other set has.

    Of a split event only the tokens and the cost beyond are in it. Manifests of disjoint sets add up.
    """

    events: int = 0
    tokens: int = 0
    cost_nanos: int = 0
    digest: str = "0" * 64

    def __add__(self, other: Manifest) -> Manifest:
        return Manifest(
            self.events + other.events,
            self.tokens + other.tokens,
            self.cost_nanos + other.cost_nanos,
            _text(a + b for a, b in zip(_limbs(self.digest), _limbs(other.digest), strict=True)),
        )


class BilledModel(msgspec.Struct, frozen=True):
    """One model of one provider: its lines sum to the manifest's cost but for the rounding of each call."""

    costs: ModelCosts
    manifest: Manifest


class Billed(msgspec.Struct, frozen=True):
    """`used` are all tokens of the range, `manifest` is what of it was beyond: the sum of the models'."""

    as_of: dt.datetime
    used: int
    models: tuple[BilledModel, ...]
    manifest: Manifest


def billed(organization_id: int, start: dt.datetime, end: dt.datetime, allowance: int, as_of: dt.datetime) -> Billed:
    """What of [start, end) was beyond `allowance` tokens by the events that were there at `as_of`.

    Reads all events of the range, some microseconds each: for workers, not for pages.
    """
    asked: dict[str, Any] = {"organization": organization_id, "start": start, "end": end, "as_of": as_of}
    with scope_of(organization_id), connection.cursor() as cursor:
        rows, manifests, versions = events_beyond(organization_id, start, end, allowance, as_of)
        cursor.execute(
            f"SELECT coalesce(sum({TOTAL_TOKENS}), 0)::bigint FROM metering_event e WHERE {_PERIOD}"
            f" AND (superseded_by IS NULL OR {_CORRECTED_SINCE})",
            asked,
        )
        (used,) = cursor.fetchone() or (0,)
        models = tuple(
            BilledModel(costs, manifests[costs.model.ref, costs.provider.ref])
            for costs in costs_by_model(rows, versions)
        )
        return Billed(as_of, used, models, sum(manifests.values(), Manifest()))


def events_beyond(
    organization_id: int, start: dt.datetime, end: dt.datetime, room: int, as_of: dt.datetime
) -> tuple[list[UsageRow], dict[tuple[Any, Any], Manifest], dict[int, Version]]:
    """Rows of the events behind the first `room` tokens by all that decides their rates, manifests by model and
    provider, and the prices' versions. Needs the organization's scope.
    """
    asked: dict[str, Any] = {"organization": organization_id, "start": start, "end": end, "as_of": as_of}
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, asked)
        used_versions = {ref for (ref,) in cursor.fetchall() if ref}
        versions = load_versions(used_versions)
        late = list(
            PriceVersion.published.filter(pk__in=used_versions, created_at__gt=as_of).values_list("pk", flat=True)
        )
        cursor.execute(_statement(versions.values()), asked | {"room": room, "late": late})
        return *_rows(organization_id, as_of, cursor.fetchall()), versions


def _statement(versions: Iterable[Version]) -> str:
    """Events in the order of time, then id; each beyond as far as the tokens up to it are more than `room`."""
    tier, above, second = (part_of_event(name, *limits_of(versions)) for name in (TIER, ABOVE, TIME))
    cost = "(CASE WHEN is_late THEN NULL ELSE cost_nanos END)"
    member = (
        "sha256(convert_to(concat_ws('|', event_id, (extract(epoch FROM occurred_at) * 1000000)::bigint, model_id,"
        f" tokens, coalesce({cost}::text, '-'), least(tokens, upto - %(room)s)), 'UTF8'))"
    )
    limbs = ", ".join(
        f"sum(('x' || encode(substring(member FROM {8 * place + 1} FOR 8), 'hex'))::bit(64)::bigint::numeric)"
        for place in range(_LIMBS)
    )
    return f"""
WITH counted AS (
    SELECT e.*, {TOTAL_TOKENS} AS tokens, price_version_id = ANY(%(late)s::int[]) AS is_late
    FROM metering_event e WHERE {_PERIOD} AND (superseded_by IS NULL OR {_CORRECTED_SINCE})
), ordered AS (
    SELECT c.*, sum(tokens) OVER (ORDER BY occurred_at, event_id COLLATE "C" ROWS UNBOUNDED PRECEDING) AS upto
    FROM counted c
), over AS (
    SELECT o.*, {member} AS member FROM ordered o WHERE upto > %(room)s OR upto - tokens >= %(room)s
)
SELECT model_id, provider_id, CASE WHEN is_late THEN 0 ELSE price_version_id END, {tier}, {above}, {second}, is_late,
    CASE WHEN upto - tokens < %(room)s THEN (upto - %(room)s)::bigint END,
    {limbs}, {_SUMS}
FROM over GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""


def _rows(
    organization_id: int, as_of: dt.datetime, found: Sequence[tuple[Any, ...]]
) -> tuple[list[UsageRow], dict[tuple[Any, Any], Manifest]]:
    names = name_refs(organization_id, {"model": {row[0] for row in found}, "provider": {row[1] for row in found}})
    rows: list[UsageRow] = []
    manifests: dict[tuple[Any, Any], Manifest] = {}
    for model, provider, version, tier, above, second, is_late, tokens_over, *sums in found:
        limbs, figures = sums[:_LIMBS], Figures(*sums[_LIMBS:])
        if is_late:
            figures = _without_price(figures)
        if tokens_over is not None:
            figures = part_of(figures, tokens_over)
        group = {
            "model": names["model"][model],
            "provider": names["provider"][provider],
            PRICE: GroupValue(version, None, None),
            TIER: GroupValue(tier, None, None),
            ABOVE: GroupValue(above, None, None),
            TIME: GroupValue(second, None, None),
        }
        rows.append(UsageRow(as_of, as_of, group, figures))
        part = Manifest(figures.requests, figures.total_tokens, figures.known_cost_nanos, _text(map(int, limbs)))
        manifests[model, provider] = manifests.get((model, provider), Manifest()) + part
    return rows, manifests


def _without_price(figures: Figures) -> Figures:
    """As it was while nobody had a price for it."""
    return msgspec.structs.replace(
        figures,
        known_cost_nanos=0,
        known_input_cost_nanos=0,
        known_output_cost_nanos=0,
        free_requests=0,
        estimated_requests=0,
        unpriced_requests=figures.requests,
        free_tokens=0,
        estimated_tokens=0,
        unpriced_tokens=figures.total_tokens,
    )


def _limbs(digest: str) -> list[int]:
    return [int(digest[place : place + 16], 16) for place in range(0, 64, 16)]


def _text(limbs: Iterable[int]) -> str:
    return "".join(f"{limb % _MODULUS:016x}" for limb in limbs)

"""Dimensions and filters as SQL over events: what every statement that reads them is put together from."""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from metering.dimensions import DIMENSIONS
from metering.query.rate_parts import PRICE
from metering.query.spec import TAG, is_text
from metering.store.file_shares import FILES, HAS_FILES

# The condition of an index (migration find_audio), word for word.
WITH_AUDIO = "(audio_input > 0 OR audio_output > 0 OR media_ms > 0)"


class Wanted(msgspec.Struct, frozen=True):
    """A filter with its values resolved: references (0 is none), or texts and whether none is wanted too."""

    refs: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    with_none: bool = False


Filters = Mapping[str, Wanted]
# From the first moment to before the last one.
Times = tuple[dt.datetime, dt.datetime]


class Statement(msgspec.Struct):
    sql: str
    params: list[Any]


def number_of_bucket(column: str, cast: str, starts: Sequence[Any]) -> Statement:
    """The number of the bucket a row is in, found by binary search among boundaries made in Python."""
    if len(starts) == 1:
        return Statement("1", [])
    return Statement(f"width_bucket({column}, %s::{cast}[])", [list(starts)])


def event_column(name: str) -> Statement:
    if name.startswith(TAG):
        return Statement("(tags ->> %s)", [name.removeprefix(TAG)])
    return Statement(DIMENSIONS[name].column if name in DIMENSIONS else name, [])


def by_file(wanted: Wanted | None) -> Statement:
    """An event counts for each of its files; one without files once, for none."""
    only = Statement("", [])
    if wanted is not None:
        only = Statement(" AND f ->> 'id' = ANY(%s)", [list(wanted.texts)])
    return Statement(
        f"metering_event LEFT JOIN LATERAL (SELECT DISTINCT f ->> 'id' AS file FROM jsonb_array_elements({FILES}) AS f"
        f" WHERE true{only.sql}) AS files ON true",
        only.params,
    )


def event_conditions(filters: Filters, within: Times | None = None) -> list[Statement]:
    """Filters as conditions on one event. `within` are times that the caller looks at: calls with a file are found
    there by an index. Without them each event is asked."""
    conditions = []
    for name, wanted in filters.items():
        if not is_text(name):
            column = "price_version_id" if name == PRICE else DIMENSIONS[name].column
            conditions.append(Statement(f"{column} = ANY(%s)", [list(wanted.refs)]))
            continue
        alternatives = []
        if wanted.texts:
            alternatives.append(_has_file(wanted.texts, within) if name == "file" else _has_text(name, wanted.texts))
        if wanted.with_none:
            alternatives.append(_has_none(name))
        sql = " OR ".join(alternative.sql for alternative in alternatives)
        conditions.append(Statement(f"({sql})", [param for a in alternatives for param in a.params]))
    return conditions


def _has_file(texts: Sequence[str], within: Times | None) -> Statement:
    if within is not None:
        found = "SELECT organization_id, occurred_at, key FROM metering_calls_with_file(%s, %s, %s)"
        return Statement(f"(organization_id, occurred_at, key) IN ({found})", [list(texts), *within])
    wanted = [msgspec.json.encode({"files": [{"id": text}]}).decode() for text in texts]
    return Statement(f"({HAS_FILES} AND detail @> ANY(%s::jsonb[]))", [wanted])


def _has_text(name: str, texts: Sequence[str]) -> Statement:
    column = event_column(name)
    return Statement(f"{column.sql} = ANY(%s)", [*column.params, list(texts)])


def _has_none(name: str) -> Statement:
    if name == "file":
        return Statement(f"coalesce(jsonb_array_length({FILES}), 0) = 0", [])
    column = event_column(name)
    return Statement(f"{column.sql} IS NULL", column.params)

"""The roll-ups' SQL: what is summed, and along which keys. One place for writing, correcting and rebuilding.

Each statement reads rows shaped like the event table with `sign`, `hour`, `day`, `month` and `chat_title` beside
it: the temporary table of a write, or events joined to their places for a rebuild.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from metering.dimensions import DIMENSIONS, HOUR_DIMENSIONS
from metering.events import BUCKETS, COMPLETION_BUCKETS, PROMPT_BUCKETS
from metering.store.file_shares import FILE_SHARES, HAS_FILES
from metering.store.latency import bucket_of
from metering.store.rates import KEYS_SQL, RATE_KEYS

TOTAL_TOKENS = " + ".join(f"{bucket}::bigint" for bucket in PROMPT_BUCKETS + COMPLETION_BUCKETS)

# name -> expression over one event row; each roll-up keeps the sum of each.
MEASURES: dict[str, str] = {
    "requests": "1",
    "errors": "is_error::int",
    **{bucket: bucket for bucket in BUCKETS},
    "web_searches": "web_searches",
    "images": "images",
    "media_ms": "media_ms",
    "cost_nanos": "coalesce(cost_nanos, 0)",
    "input_cost_nanos": "coalesce(input_cost_nanos, 0)",
    "output_cost_nanos": "coalesce(output_cost_nanos, 0)",
    "free_requests": "(pricing = 2)::int",
    "estimated_requests": "(pricing = 1 AND is_estimated)::int",
    "unpriced_requests": "(pricing = 3)::int",
    "unknown_requests": "(NOT is_usage_known)::int",
    "free_tokens": f"CASE WHEN pricing = 2 THEN {TOTAL_TOKENS} ELSE 0 END",
    "estimated_tokens": f"CASE WHEN pricing = 1 AND is_estimated THEN {TOTAL_TOKENS} ELSE 0 END",
    "unpriced_tokens": f"CASE WHEN pricing = 3 THEN {TOTAL_TOKENS} ELSE 0 END",
    "duration_ms": "coalesce(duration_ms, 0)",
    "timed_requests": "(duration_ms IS NOT NULL)::int",
}

# What a file's rows keep beside these, of its shares. Of `untold` and `uncosted` calls nobody knows the share.
FILE_MEASURES: dict[str, str] = {
    "file_tokens": "coalesce(share_tokens, 0)",
    "file_cost_nanos": "coalesce(share_nanos, 0)",
    "untold_requests": "(share_tokens IS NULL)::int",
    "uncosted_requests": "(share_nanos IS NULL)::int",
}
# Two moments of a call, each counted in the bucket it falls into: the whole call, and its first token.
LATENCY_MEASURES = ("durations", "first_tokens")
LATENCY_KEYS = ("day", "integration_id", "model_id", "provider_id", "bucket")

MEASURE_LIST = ", ".join(MEASURES)
HOUR_COLUMNS = ", ".join(DIMENSIONS[name].column for name in HOUR_DIMENSIONS)


def _sums(measures: Mapping[str, str] = MEASURES) -> str:
    return ", ".join(f"sum(sign * ({expression}))::bigint" for expression in measures.values())


def _add(measures: Iterable[str] = MEASURES) -> str:
    return ", ".join(f"{name} = r.{name} + excluded.{name}" for name in measures)


def roll_up_hours(source: str) -> str:
    return f"""
INSERT INTO metering_usage_hour AS r (organization_id, hour, {HOUR_COLUMNS}, {MEASURE_LIST})
SELECT organization_id, hour, {HOUR_COLUMNS}, {_sums()} FROM {source}
GROUP BY organization_id, hour, {HOUR_COLUMNS} ORDER BY organization_id, hour, {HOUR_COLUMNS}
ON CONFLICT (organization_id, hour, {HOUR_COLUMNS}) DO UPDATE SET {_add()}
"""


def roll_up_days(source: str) -> str:
    """Every dimension by itself, and the total, in one pass over the rows."""
    columns = [dimension.column for dimension in DIMENSIONS.values()]
    sets = ", ".join(f"(organization_id, day, {column})" for column in columns)
    # grouping() has a 0 bit for the one column that a set keeps; the total keeps none.
    kept = f"~grouping({', '.join(columns)}) & {2 ** len(columns) - 1}"
    cases = " ".join(
        f"WHEN {2 ** (len(columns) - 1 - at)} THEN {dimension.kind.value}"
        for at, dimension in enumerate(DIMENSIONS.values())
    )
    return f"""
INSERT INTO metering_usage_day AS r (organization_id, kind, day, ref, {MEASURE_LIST})
SELECT organization_id, CASE {kept} {cases} ELSE 0 END, day, coalesce({", ".join(columns)}, 0), {_sums()} FROM {source}
GROUP BY GROUPING SETS ((organization_id, day), {sets}) ORDER BY 1, 2, 3, 4
ON CONFLICT (organization_id, kind, day, ref) DO UPDATE SET {_add()}
"""


def roll_up_chats(source: str) -> str:
    """A chat's title is the newest one an event carried; ties go to the greater text, whatever arrived first."""
    newest = "GREATEST(r.title, excluded.title)"
    return f"""
INSERT INTO metering_usage_chat AS r (organization_id, month, chat, first_at, last_at, title, titled_at, {MEASURE_LIST})
SELECT organization_id, month, chat, min(occurred_at), max(occurred_at),
    (array_agg(chat_title ORDER BY occurred_at DESC, chat_title DESC) FILTER (WHERE chat_title IS NOT NULL))[1],
    max(occurred_at) FILTER (WHERE chat_title IS NOT NULL), {_sums()}
FROM {source} WHERE chat IS NOT NULL
GROUP BY organization_id, month, chat ORDER BY organization_id, month, chat
ON CONFLICT (organization_id, month, chat) DO UPDATE SET
    first_at = LEAST(r.first_at, excluded.first_at), last_at = GREATEST(r.last_at, excluded.last_at),
    title = CASE WHEN excluded.titled_at = r.titled_at THEN {newest}
                 WHEN r.titled_at IS NULL OR excluded.titled_at > r.titled_at THEN excluded.title ELSE r.title END,
    titled_at = GREATEST(r.titled_at, excluded.titled_at), {_add()}
"""


FILE_KEYS = ("month", "file", "chat")
FILE_VALUES = ("first_at", "last_at", "name", "named_at", "size_bytes", "tokens", *MEASURES, *FILE_MEASURES)


def sum_files(source: str, which: str = "true") -> str:
    """By month, file and chat ('' outside of chats). The row of ANY_FILE has sums only: each call counts there once."""
    newest = "array_agg(file_name ORDER BY occurred_at DESC, file_name DESC) FILTER (WHERE file_name IS NOT NULL)"
    is_file = "FILTER (WHERE file <> '')"
    return f"""
SELECT organization_id, month, file, in_chat, min(occurred_at) {is_file}, max(occurred_at) {is_file},
    ({newest})[1], max(occurred_at) FILTER (WHERE file_name IS NOT NULL), max(size_bytes), max(extracted),
    {_sums()}, {_sums(FILE_MEASURES)}
FROM {source} CROSS JOIN LATERAL {FILE_SHARES} WHERE {HAS_FILES} AND {which}
GROUP BY organization_id, month, file, in_chat"""


def roll_up_files(source: str, which: str = "true") -> str:
    """A file's name is the newest one told, its size and tokens the largest. `which` is a condition on the files."""
    newest = "GREATEST(r.name, excluded.name)"
    return f"""
INSERT INTO metering_usage_file AS r
    (organization_id, {", ".join(FILE_KEYS)}, {", ".join(FILE_VALUES)})
{sum_files(source, which)} ORDER BY 1, 2, 3, 4
ON CONFLICT (organization_id, {", ".join(FILE_KEYS)}) DO UPDATE SET
    first_at = LEAST(r.first_at, excluded.first_at), last_at = GREATEST(r.last_at, excluded.last_at),
    name = CASE WHEN excluded.named_at = r.named_at THEN {newest}
                WHEN r.named_at IS NULL OR excluded.named_at > r.named_at THEN excluded.name ELSE r.name END,
    named_at = GREATEST(r.named_at, excluded.named_at),
    size_bytes = GREATEST(r.size_bytes, excluded.size_bytes), tokens = GREATEST(r.tokens, excluded.tokens),
    {_add()}, {_add(FILE_MEASURES)}
"""


def roll_up_rates(source: str) -> str:
    keys = ", ".join(RATE_KEYS)
    places = ", ".join(str(at + 1) for at in range(1 + len(RATE_KEYS)))
    return f"""
INSERT INTO metering_usage_rate AS r (organization_id, {keys}, {MEASURE_LIST})
SELECT organization_id, {KEYS_SQL}, {_sums()} FROM {source} GROUP BY {places} ORDER BY {places}
ON CONFLICT (organization_id, {keys}) DO UPDATE SET {_add()}
"""


HAS_LATENCY = "duration_ms IS NOT NULL OR time_to_first_token_ms IS NOT NULL"


def sum_latencies(source: str) -> str:
    keys = ", ".join(LATENCY_KEYS)
    return f"""
SELECT organization_id, {keys},
    sum(sign * duration)::bigint AS durations, sum(sign * first_token)::bigint AS first_tokens
FROM {source} CROSS JOIN LATERAL (VALUES
    ({bucket_of("duration_ms")}, 1, 0), ({bucket_of("time_to_first_token_ms")}, 0, 1)
) AS moments (bucket, duration, first_token)
WHERE bucket IS NOT NULL GROUP BY organization_id, {keys}"""


def roll_up_latencies(source: str) -> str:
    keys = ", ".join(LATENCY_KEYS)
    return f"""
INSERT INTO metering_usage_latency AS r (organization_id, {keys}, {", ".join(LATENCY_MEASURES)})
{sum_latencies(source)} ORDER BY organization_id, {keys}
ON CONFLICT (organization_id, {keys}) DO UPDATE SET {_add(LATENCY_MEASURES)}
"""

"""The roll-ups' SQL: what is summed, and along which keys. One place for writing, correcting and rebuilding.

Each statement reads rows shaped like the event table with `sign`, `hour`, `day`, `month` and `chat_title` beside
it: the temporary table of a write, or events joined to their places for a rebuild.
"""

from __future__ import annotations

from metering.dimensions import DIMENSIONS, HOUR_DIMENSIONS
from metering.events import BUCKETS, COMPLETION_BUCKETS, PROMPT_BUCKETS

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

MEASURE_LIST = ", ".join(MEASURES)
HOUR_COLUMNS = ", ".join(DIMENSIONS[name].column for name in HOUR_DIMENSIONS)


def _sums() -> str:
    return ", ".join(f"sum(sign * ({expression}))" for expression in MEASURES.values())


def _add() -> str:
    return ", ".join(f"{name} = r.{name} + excluded.{name}" for name in MEASURES)


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

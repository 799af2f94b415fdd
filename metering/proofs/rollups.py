"""Each row of each roll-up = the events it sums: none missing, none too many, none different."""

# ruff: noqa: S608  (SQL is put together from our own names of columns)
from __future__ import annotations

from typing import Any

from django.db import connection

from metering.dimensions import DIMENSIONS, HOUR_DIMENSIONS, Kind
from metering.proofs.subject import MOST_LISTED, CheckResult, Difference, Subject
from metering.store.latency import BOUNDS
from metering.store.rates import KEYS_SQL, RATE_KEYS
from metering.store.rollups import (
    FILE_KEYS,
    FILE_VALUES,
    LATENCY_KEYS,
    LATENCY_MEASURES,
    MEASURES,
    sum_files,
    sum_latencies,
)

_SUMS = ", ".join(f"sum({expression})::bigint AS {name}" for name, expression in MEASURES.items())
_PLACED = """(
    SELECT e.*, 1 AS sign, (%(hours)s::timestamptz[])[at] AS hour, (%(days)s::date[])[at] AS day,
        %(month)s::date AS month,
        e.detail ->> 'chat_title' AS chat_title
    FROM metering_event e, width_bucket(e.occurred_at, %(hours)s::timestamptz[]) AS at
    WHERE e.organization_id = %(organization)s AND e.occurred_at >= %(start)s AND e.occurred_at < %(end)s
        AND e.superseded_by IS NULL
) AS events"""
_HOUR_KEYS = ("hour", *(DIMENSIONS[name].column for name in HOUR_DIMENSIONS))
_DAY_KEYS = ("kind", "day", "ref")
_CHAT_KEYS = ("chat",)
_CHAT_VALUES = ("first_at", "last_at", "title", "titled_at", *MEASURES)
_KIND_VALUES = ", ".join(f"({d.kind.value}, {d.column})" for d in DIMENSIONS.values())

_EXPECTED_HOURS = f"SELECT {', '.join(_HOUR_KEYS)}, {_SUMS} FROM {_PLACED} GROUP BY {', '.join(_HOUR_KEYS)}"
_EXPECTED_DAYS = f"""
SELECT v.kind, day, v.ref, {_SUMS} FROM {_PLACED} CROSS JOIN LATERAL (VALUES (0, 0), {_KIND_VALUES}) AS v (kind, ref)
GROUP BY v.kind, day, v.ref
"""
_EXPECTED_CHATS = f"""
SELECT chat, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
    (array_agg(chat_title ORDER BY occurred_at DESC, chat_title DESC)
        FILTER (WHERE chat_title IS NOT NULL))[1] AS title,
    max(occurred_at) FILTER (WHERE chat_title IS NOT NULL) AS titled_at, {_SUMS}
FROM {_PLACED} WHERE chat IS NOT NULL GROUP BY chat
"""
_EXPECTED_FILES = (
    f"SELECT * FROM ({sum_files(_PLACED)}) AS f (organization_id, {', '.join((*FILE_KEYS, *FILE_VALUES))})"
)
_EXPECTED_LATENCIES = f"""
SELECT * FROM ({sum_latencies(_PLACED)}) AS l (organization_id, {", ".join((*LATENCY_KEYS, *LATENCY_MEASURES))})
"""
_EXPECTED_RATES = f"""
SELECT * FROM (
    SELECT {KEYS_SQL}, {_SUMS} FROM {_PLACED} GROUP BY {", ".join(str(at + 1) for at in range(len(RATE_KEYS)))}
) AS q ({", ".join((*RATE_KEYS, *MEASURES))})
"""
_FOUND_RATES = """
SELECT * FROM metering_usage_rate WHERE organization_id = %(organization)s AND day >= %(month)s AND day < %(next_month)s
"""
_FOUND_HOURS = """
SELECT * FROM metering_usage_hour WHERE organization_id = %(organization)s AND hour >= %(start)s AND hour < %(end)s
"""
_FOUND_DAYS = """
SELECT * FROM metering_usage_day WHERE organization_id = %(organization)s AND day >= %(month)s AND day < %(next_month)s
"""
_FOUND_CHATS = "SELECT * FROM metering_usage_chat WHERE organization_id = %(organization)s AND month = %(month)s"

_FOUND_FILES = "SELECT * FROM metering_usage_file WHERE organization_id = %(organization)s AND month = %(month)s"
_FOUND_LATENCIES = """
SELECT * FROM metering_usage_latency
WHERE organization_id = %(organization)s AND day >= %(month)s AND day < %(next_month)s
"""


def check_hours(subject: Subject) -> CheckResult:
    return _check(
        subject,
        "hours",
        "Hour roll-up, row by row (hour × project × key × model × provider)",
        (_EXPECTED_HOURS, _FOUND_HOURS, _HOUR_KEYS, tuple(MEASURES)),
    )


def check_days(subject: Subject) -> CheckResult:
    return _check(
        subject,
        "days",
        f"Day cube, row by row ({len(DIMENSIONS) + 1} kinds of dimension)",
        (_EXPECTED_DAYS, _FOUND_DAYS, _DAY_KEYS, tuple(MEASURES)),
    )


def check_chats(subject: Subject) -> CheckResult:
    return _check(
        subject,
        "chats",
        "Chat roll-up, row by row, with titles and times",
        (_EXPECTED_CHATS, _FOUND_CHATS, _CHAT_KEYS, _CHAT_VALUES),
    )


def check_files(subject: Subject) -> CheckResult:
    return _check(
        subject,
        "files",
        "File roll-up, row by row (file × chat), with names, times and shares",
        (_EXPECTED_FILES, _FOUND_FILES, FILE_KEYS[1:], FILE_VALUES),
    )


def check_latencies(subject: Subject) -> CheckResult:
    return _check(
        subject,
        "latencies",
        "Latency histograms, row by row (day × integration × model × provider × bucket)",
        (_EXPECTED_LATENCIES, _FOUND_LATENCIES, LATENCY_KEYS, LATENCY_MEASURES),
    )


def check_rates(subject: Subject) -> CheckResult:
    return _check(
        subject,
        "rates",
        "Roll-up of rates, row by row (day × place × model × price × tier × length)",
        (_EXPECTED_RATES, _FOUND_RATES, RATE_KEYS, tuple(MEASURES)),
    )


Comparison = tuple[str, str, tuple[str, ...], tuple[str, ...]]


def _check(subject: Subject, name: str, words: str, comparison: Comparison) -> CheckResult:
    expected, found, keys, values = comparison
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({found}) AS f", subject.places)
        ((rows,),) = cursor.fetchall()
        cursor.execute(_unequal(expected, found, keys, values), {**subject.places, "most": MOST_LISTED})
        unequal = cursor.fetchall()
    differences: list[Difference] = []
    names = _names(subject, name, unequal)
    for row in unequal:
        where = _where(name, row[: len(keys)], names)
        is_expected, is_found, *pairs = row[len(keys) : -1]
        if not is_expected:
            differences.append(Difference(where, "row", None, "a row of " + _size(pairs, values, found=True)))
        elif not is_found:
            differences.append(Difference(where, "row", "a row of " + _size(pairs, values, found=False), None))
        else:
            differences += [
                Difference(where, value, str(pairs[2 * place]), str(pairs[2 * place + 1]))
                for place, value in enumerate(values)
                if pairs[2 * place] != pairs[2 * place + 1]
            ]
    count = unequal[0][-1] if unequal else 0
    return CheckResult(name, words, rows, "rows", count, tuple(differences[:MOST_LISTED]))


def _size(pairs: list[Any], values: tuple[str, ...], *, found: bool) -> str:
    if "requests" not in values:
        return ", ".join(f"{pairs[2 * place + found]} {name}" for place, name in enumerate(values))
    number = pairs[2 * values.index("requests") + found]
    return f"{number} request" if number == 1 else f"{number} requests"


def _unequal(expected: str, found: str, keys: tuple[str, ...], values: tuple[str, ...]) -> str:
    first = keys[0]
    pairs = ", ".join(f"w.{name}, h.{name}" for name in values)
    wanted, had = (", ".join(f"{side}.{name}" for name in values) for side in ("w", "h"))
    return f"""
SELECT {", ".join(keys)}, w.{first} IS NOT NULL, h.{first} IS NOT NULL, {pairs}, count(*) OVER ()
FROM ({expected}) AS w FULL JOIN ({found}) AS h USING ({", ".join(keys)})
WHERE w.{first} IS NULL OR h.{first} IS NULL OR ({wanted}) IS DISTINCT FROM ({had})
ORDER BY {", ".join(keys)} LIMIT %(most)s
"""


def _names(subject: Subject, name: str, rows: list[tuple[Any, ...]]) -> dict[int, str]:
    """Words for the references in the keys of a few rows."""
    if name in ("chats", "files"):
        return {}
    places = {"hours": (3, 4), "latencies": (1, 2, 3), "rates": (5, 6)}.get(name, (2,))
    return subject.labels({row[place] for row in rows for place in places})


def _where(name: str, keys: tuple[Any, ...], names: dict[int, str]) -> str:
    if name == "chats":
        return f"chat {keys[0]}"
    if name == "files":
        file, chat = keys
        return f"file {file or '(any)'}" + (f", chat {chat}" if chat else "")
    if name == "latencies":
        day, *refs, bucket = keys
        parts = [
            f"{LATENCY_KEYS[at].removesuffix('_id')} {names.get(ref, ref)}" for at, ref in enumerate(refs, 1) if ref
        ]
        return ", ".join([f"day {day}", *parts, f"from {BOUNDS[bucket - 1]} ms"])
    if name == "rates":
        day, *_, model, provider, price, tier, above, _kinds = keys
        parts = [f"day {day}", f"model {names.get(model, model)}", f"price #{price}"]
        parts += [f"provider {names.get(provider, provider)}"] if provider else []
        parts += [f"tier {tier}"] if tier else []
        return ", ".join([*parts, *([f"above {above} tokens"] if above else [])])
    if name == "hours":
        hour, project, key, model, provider = keys
        parts = [f"hour {hour:%Y-%m-%dT%H:%MZ}", f"model {names.get(model, model)}"]
        parts += [f"provider {names.get(provider, provider)}"] if provider else []
        parts += [f"project #{project}"] if project else []
        parts += [f"key #{key}"] if key else []
        return ", ".join(parts)
    kind, day, ref = keys
    dimension = next((d for d in DIMENSIONS.values() if d.kind == kind), None)
    if dimension is None:
        return f"day {day}, {'total' if kind == Kind.TOTAL else f'kind {kind}'}"
    value = "none" if ref == 0 else names.get(ref, f"#{ref}") if dimension.is_label else f"#{ref}"
    return f"day {day}, {dimension.name} {value}"

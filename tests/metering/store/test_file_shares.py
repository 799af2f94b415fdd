"""What of a call its files were, held against the rule written once more in Python (docs/algorithms/files.md)."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Organization
from core.tenancy import organization_scope
from metering.events import Usage
from metering.store.file_shares import ANY_FILE, FILE_SHARES
from tests.metering.query.usage import make_event, write

AT = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)
Share = tuple[int | None, int | None]


def shares(
    prompt: int, input_cost: int | None, files: list[tuple[str, int | None]], told: int | None
) -> dict[str, Share]:
    """File → (tokens, nano-dollars); None where they are unknown."""
    tokens: dict[str, int | None] = {}
    for file, size in files:
        told_sizes = [n for n in (tokens.get(file), size) if n is not None]
        tokens[file] = max(told_sizes) if told_sizes else None
    if list(tokens.values()) == [None] and told is not None:
        weights: dict[str, int | None] = dict.fromkeys(tokens, 1)
        of_files = min(prompt, told)
    else:
        weights = tokens
        known = sum(n for n in tokens.values() if n is not None)
        if None in tokens.values():
            of_files = min(prompt, known, *([] if told is None else [told]))
        else:
            of_files = min(prompt, known if told is None else told)
    whole = sum(n for n in weights.values() if n is not None)
    found: dict[str, Share] = {}
    upto = 0
    for file in sorted(weights):
        weight = weights[file]
        if weight is None:
            found[file] = (None, None)
            continue
        before, upto = upto, upto + weight
        part = of_files * upto // whole - of_files * before // whole if whole else 0
        below = prompt * whole
        nanos = None
        if input_cost is not None:
            nanos = input_cost * of_files * upto // below - input_cost * of_files * before // below if below else 0
        found[file] = (part, nanos)
    return found


def asked(
    prompt: int, input_cost: int | None, files: list[tuple[str, int | None]], told: int | None
) -> dict[str, Share]:
    """The same from the statement that the roll-up is written with."""
    detail: dict[str, Any] = {
        "files": [{"id": file} | ({} if size is None else {"tokens": size}) for file, size in files],
        "input_parts": {} if told is None else {"files": told},
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT file, share_tokens, share_nanos FROM (SELECT
                %s::int AS input, 0 AS cache_read, 0 AS cache_write_5m, 0 AS cache_write_1h, 0 AS audio_input,
                0 AS image_input, %s::bigint AS input_cost_nanos, true AS is_usage_known, NULL::text AS chat,
                %s::jsonb AS detail) AS event CROSS JOIN LATERAL {FILE_SHARES}""",
            [prompt, input_cost, json.dumps(detail)],
        )
        return {row[0]: (_whole(row[1]), _whole(row[2])) for row in cursor.fetchall()}


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


counts = st.one_of(st.integers(0, 50), st.integers(0, 2**31 - 1))
calls = st.tuples(
    counts,
    st.one_of(st.none(), st.integers(0, 100), st.integers(0, 10**15)),
    st.lists(
        st.tuples(st.sampled_from(["a", "B", "é", "z/1", "b"]), st.one_of(st.none(), counts)), min_size=1, max_size=6
    ),
    st.one_of(st.none(), counts),
)


@pytest.mark.django_db
@settings(max_examples=400, deadline=None)
@given(calls)
def test_shares_follow_the_rule_and_never_exceed_the_call(
    call: tuple[int, int | None, list[tuple[str, int | None]], int | None],
) -> None:
    prompt, input_cost, files, told = call
    found = asked(prompt, input_cost, files, told)
    of_any = found.pop(ANY_FILE)
    assert found == shares(prompt, input_cost, files, told)
    tokens = [share[0] for share in found.values() if share[0] is not None]
    nanos = [share[1] for share in found.values() if share[1] is not None]
    assert all(n >= 0 for n in (*tokens, *nanos))
    assert sum(tokens) <= prompt
    assert sum(nanos) <= (input_cost or 0)
    assert of_any == (sum(tokens) if tokens else None, sum(nanos) if nanos else None)


@pytest.mark.django_db
def test_the_worked_example() -> None:
    """docs/algorithms/files.md."""
    assert asked(20_000, 50_000_000, [("report", 12_500), ("brief", 1_720)], None) == {
        "brief": (1_720, 4_300_000),
        "report": (12_500, 31_250_000),
        ANY_FILE: (14_220, 35_550_000),
    }
    # Two passages were looked up: the prompt has 1,000 tokens of both files.
    assert asked(1_200, 3_000_000, [("report", 12_500), ("brief", 1_720)], 1_000) == {
        "brief": (120, 302_390),
        "report": (880, 2_197_610),
        ANY_FILE: (1_000, 2_500_000),
    }


def test_a_roll_up_row_is_a_file_in_a_chat_of_a_month(db: None, acme: Organization) -> None:
    report = {"id": "f1", "name": "Annual_Report.pdf", "size_bytes": 2_300_000, "tokens": 400}
    renamed = report | {"name": "Annual_Report_v2.pdf"}
    usage = Usage(input=1_000, output=10)
    moments = [AT + dt.timedelta(minutes=n) for n in range(4)]
    write(
        acme.pk,
        [
            make_event("1", moments[0], usage=usage, chat="c1", detail={"files": [report]}),
            make_event("2", moments[1], usage=usage, chat="c1", detail={"files": [renamed, {"id": "f2"}]}),
            make_event("3", moments[2], usage=usage, detail={"files": [report]}),
            make_event("4", moments[3], usage=usage),
        ],
    )
    with organization_scope(acme.pk), connection.cursor() as cursor:
        cursor.execute(
            "SELECT file, chat, first_at, last_at, name, requests, file_tokens, file_cost_nanos, untold_requests"
            " FROM metering_usage_file ORDER BY file, chat"
        )
        rows = cursor.fetchall()
    cost = 400 * 2_501
    assert rows == [
        ("", "", None, None, None, 3, 1_200, 3 * cost, 0),
        ("f1", "", moments[2], moments[2], "Annual_Report.pdf", 1, 400, cost, 0),
        ("f1", "c1", moments[0], moments[1], "Annual_Report_v2.pdf", 2, 800, 2 * cost, 0),
        ("f2", "c1", moments[1], moments[1], None, 1, 0, 0, 1),
    ]


def test_the_index_of_calls_with_files_is_used_behind_row_security(db: None, acme: Organization) -> None:
    with organization_scope(acme.pk), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT count(*) FROM metering_event WHERE organization_id = %s AND occurred_at >= %s"
            " AND occurred_at < %s AND detail ? 'files'",
            [acme.pk, AT, AT + dt.timedelta(days=1)],
        )
        assert "metering_event_2026_11_organization_id_occurred_at_idx" in str(cursor.fetchall())

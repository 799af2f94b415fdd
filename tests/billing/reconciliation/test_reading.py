from __future__ import annotations

import datetime as dt
import json

import pytest

from billing.reconciliation.reading import read_statement
from billing.reconciliation.statement import StatementError, covered, family

from . import exports

FIRST = dt.date(2026, 11, 1)


@pytest.mark.parametrize(
    ("export", "provider", "model", "requests", "tokens", "cost_nanos"),
    [
        (exports.OPENAI_USAGE_CSV, "openai", "gpt-4o", 4, 3_500_150, None),
        (exports.OPENAI_USAGE_JSON, "openai", "gpt-4o", 50, 15_000, None),
        (exports.OPENAI_COSTS_CSV, "openai", "gpt-4o", None, None, 12_500_123_457),
        (exports.OPENAI_COSTS_JSON, "openai", "gpt-4o", None, None, 60_000_000),
        (exports.ANTHROPIC_USAGE_CSV, "anthropic", "claude-sonnet-4-5", None, 5_730, None),
        (exports.ANTHROPIC_USAGE_JSON, "anthropic", "claude-sonnet-4-5", None, 3_700, None),
        (exports.ANTHROPIC_COSTS_CSV, "anthropic", "claude-sonnet-4-5", None, None, 1_230_000_000),
        (exports.ANTHROPIC_COSTS_JSON, "anthropic", "claude-sonnet-4-5", None, None, 1_237_891_200),
    ],
)
def test_exports_are_told_apart_and_read(
    export: str, provider: str, model: str, requests: int | None, tokens: int | None, cost_nanos: int | None
) -> None:
    statement = read_statement(export.encode())
    assert statement.provider == provider
    assert statement.first_day == FIRST
    rows = [row for row in statement.rows if family(row.model) == model]
    assert rows

    def total(name: str) -> int | None:
        found = [getattr(row, name) for row in rows if getattr(row, name) is not None]
        return sum(found) if found else None

    assert (total("requests"), total("tokens"), total("cost_nanos")) == (requests, tokens, cost_nanos)


def test_costs_of_tools_are_of_no_model() -> None:
    rows = read_statement(exports.OPENAI_COSTS_CSV.encode()).rows
    assert [(row.model, row.item) for row in rows if not row.model] == [("", "web search tool calls")]


def test_pages_may_follow_each_other() -> None:
    for text in (
        f"[{exports.ANTHROPIC_USAGE_JSON},{exports.ANTHROPIC_USAGE_JSON}]",
        f"{exports.ANTHROPIC_USAGE_JSON}\n{exports.ANTHROPIC_USAGE_JSON}\n",
    ):
        assert len(read_statement(text.encode()).rows) == 2


@pytest.mark.parametrize("export", [exports.OPENAI_USAGE_JSON, exports.ANTHROPIC_USAGE_JSON, exports.OPENAI_COSTS_JSON])
def test_a_page_that_others_follow_is_not_the_whole_bill(export: str) -> None:
    whole = json.loads(export)
    first = whole | {"has_more": True, "next_page": "page_2"}
    for pages in (first, [first], [whole, first]):
        with pytest.raises(StatementError, match="as one file"):
            read_statement(json.dumps(pages).encode())
    assert len(read_statement(json.dumps([first, whole]).encode()).rows) == 2 * len(
        read_statement(export.encode()).rows
    )


def test_how_much_of_a_day_is_there() -> None:
    assert covered(read_statement(exports.OPENAI_USAGE_JSON.encode()).rows) == {FIRST: dt.timedelta(hours=10)}
    assert covered(read_statement(exports.ANTHROPIC_USAGE_CSV.encode()).rows) == {FIRST: dt.timedelta(days=1)}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("gpt-4o", "gpt-4o"),
        ("o3-2025", "o3-2025"),
    ],
)
def test_families(model: str, name: str) -> None:
    assert family(model) == name


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\xff\xfe\x00", "no text"),
        (b"a,b\n1,2\n", "no usage or cost export"),
        (b"{}", "no usage or cost export"),
        (b"[1,2]", "no usage or cost export"),
        (b"{nonsense", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (exports.OPENAI_USAGE_CSV.split("\n")[0].encode(), "no usage and no costs"),
        (exports.OPENAI_COSTS_CSV.replace("usd", "eur").encode(), "EUR"),
        (exports.OPENAI_COSTS_CSV.replace("7.5001234567891", "NaN").encode(), "no amount"),
        (exports.OPENAI_USAGE_CSV.replace("3000000", "many").encode(), "no number"),
        (exports.OPENAI_USAGE_CSV.replace("1793577600,2026", "1793490000,2026", 1).encode(), "before it begins"),
        (exports.OPENAI_USAGE_CSV.replace("1793577600,2026", "1799999999,2026", 1).encode(), "by day"),
        (exports.ANTHROPIC_USAGE_JSON.replace('"model": "claude-sonnet-4-5"', '"model": null').encode(), "by model"),
        (exports.ANTHROPIC_COSTS_CSV.replace("2026-11-01", "yesterday").encode(), "no time"),
        (exports.ANTHROPIC_USAGE_JSON.replace("[{", "[7, {", 1).encode(), "a part of it is missing"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, words: str) -> None:
    with pytest.raises(StatementError, match=words):
        read_statement(content)

"""Typed files: read back as anybody would, they have the dashboard's totals to the last digit."""

from __future__ import annotations

import datetime as dt
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from django.test import Client
from pyarrow import parquet

from accounts.models import Organization
from core.errors import ApiError
from core.money import NANOS_PER_USD, usd_from_nanos
from metering.query import parquet as parquet_files
from metering.query import spreadsheet
from metering.query.export import FORMATS, make_export
from metering.query.run import run
from metering.query.spec import UsageQuery
from metering.query.spreadsheet import write_xlsx
from metering.query.tables import Cell, Column, Table, write_csv, write_json, write_jsonl
from tests.metering.query.usage import make_event, write

START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 4, 1, tzinfo=dt.UTC)
COLUMNS = ("timestamp", "model", "chat", "requests", "total_tokens", "cost_usd", "average_latency_ms")


@pytest.fixture
def month(acme: Organization) -> Organization:
    models = ["gpt-4o", "odd-one", "free-one"]
    write(acme.id, [make_event(f"e{n}", START + n * n * dt.timedelta(seconds=29), models[n % 3],
                               chat=f"c{n % 7}" if n % 5 else None, duration_ms=n or None)
                    for n in range(300)])  # fmt: skip
    return acme


def asked(organization: Organization) -> UsageQuery:
    return UsageQuery(organization.id, START, END, ZoneInfo("Europe/Berlin"))


def sheet_rows(content: bytes) -> tuple[str, list[list[tuple[str, str]]]]:
    """The sheet as XML, and its rows as (type, text) of each cell that is filled; texts stand in the sheet itself."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        xml = archive.read("xl/worksheets/sheet1.xml").decode()
    cell = re.compile(r'<c r="[A-Z]+\d+"(?: s="\d+")?(?: t="(\w+)")?><(?:v|is><t[^>]*)>([^<]*)<')
    return xml, [cell.findall(row) for row in re.findall(r"<row.*?</row>", xml, re.DOTALL)]


# ── Parquet ──


def test_parquet_is_typed_and_sums_to_the_query(month: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_files, "GROUP_ROWS", 64)
    chunks = list(FORMATS["parquet"].write(make_export(asked(month), COLUMNS)))
    file = parquet.ParquetFile(io.BytesIO(b"".join(chunks)))
    assert len(chunks) == file.num_row_groups + 1 > 3, "a group leaves when it is made"
    table = file.read()
    assert {field.name: str(field.type) for field in table.schema} == {
        "timestamp": "timestamp[us, tz=UTC]",
        "model": "dictionary<values=string, indices=int32, ordered=0>",
        "chat": "dictionary<values=string, indices=int32, ordered=0>",
        "requests": "int64",
        "total_tokens": "int64",
        "cost_usd": "decimal128(38, 9)",
        "average_latency_ms": "double",
    }
    assert all(field.nullable for field in table.schema)
    rows = table.to_pylist()
    totals = run(asked(month)).totals
    assert sum((row["cost_usd"] or Decimal() for row in rows), Decimal()) == usd_from_nanos(totals.known_cost_nanos)
    assert sum(row["total_tokens"] for row in rows) == totals.total_tokens
    assert sum(row["requests"] for row in rows) == totals.requests == 300
    assert {row["cost_usd"] for row in rows if row["model"] == "odd-one"} == {None}, "unknown is no zero"
    assert {row["cost_usd"] for row in rows if row["model"] == "free-one"} == {Decimal()}
    assert None in {row["chat"] for row in rows}
    assert table.schema.metadata[b"timezone"] == b"Europe/Berlin"


def test_every_format_says_the_same(month: Organization, acme_api: Client) -> None:
    period = {"from": "2025-03-01T00:00:00Z", "to": "2025-04-01T00:00:00Z", "columns": ",".join(COLUMNS)}

    def fetched(name: str) -> bytes:
        response = acme_api.get("/v1/usage/export", {**period, "format": name})
        assert response["Content-Type"] == FORMATS[name].content_type
        assert response["Content-Disposition"].endswith(f'.{name}"')
        return b"".join(response.streaming_content)  # type: ignore[attr-defined]

    rows = parquet.read_table(io.BytesIO(fetched("parquet"))).to_pylist()
    text = [
        [f"{row['timestamp']:%Y-%m-%dT%H:%M:%SZ}", *("" if row[name] is None else row[name] for name in COLUMNS[1:])]
        for row in rows
    ]
    lines = [line.split(",") for line in fetched("csv").decode().splitlines()[1:]]
    assert len(lines) == len(text)
    for line, expected in zip(lines, text, strict=True):
        assert line[:3] == expected[:3]
        assert [Decimal(cell) if cell else "" for cell in line[3:]] == [
            Decimal(str(cell)) if cell != "" else "" for cell in expected[3:]
        ]
    _, sheet = sheet_rows(fetched("xlsx"))
    assert len(sheet) == len(lines) + 1


def test_nothing_makes_an_empty_file_of_the_same_columns(acme: Organization) -> None:
    content = b"".join(FORMATS["parquet"].write(make_export(asked(acme), COLUMNS)))
    table = parquet.read_table(io.BytesIO(content))
    assert (table.num_rows, table.column_names) == (0, list(COLUMNS))


def test_processes_that_write_no_file_do_not_load_what_writes_them() -> None:
    program = (
        "import django, sys; django.setup(); import metering.query.export_api, config.edge; "
        "print(sorted({'pyarrow', 'xlsxwriter'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ── Any table ──


class Some:
    """Money of more digits than a float has, texts that would be formulas, and nothing."""

    period = None
    about: dict[str, str] = {}
    columns = (
        Column("at", "time"),
        Column("name"),
        Column("n", "count"),
        Column("usd", "decimal", 15),
        Column("r", "number"),
    )

    def __init__(self, *rows: Sequence[Cell]) -> None:
        self._rows = rows

    def pages(self) -> Iterator[Sequence[Sequence[Cell]]]:
        yield self._rows


DIGITS = 12_345_678_901_234_567_890_123
ROWS = (
    (START, "=1+1", 2**62, DIGITS, 0.5),
    (START, 'a"b,\n<ü>', -1, -1, None),
    (None, None, None, None, None),
)


def test_amounts_keep_every_digit_everywhere() -> None:
    table: Table = Some(*ROWS)
    exact, least = "12345678.901234567890123", "-0.000000000000001"
    assert b"".join(write_csv(table)).decode().splitlines()[1].split(",")[3] == exact
    assert f'"usd": "{exact}"' in b"".join(write_jsonl(table)).decode()
    assert b"".join(write_json(table)).startswith(b'{"period": null, "data": [\n')
    read = parquet.read_table(io.BytesIO(b"".join(FORMATS["parquet"].write(table))))
    assert read["usd"].type == pa.decimal128(38, 15)
    assert read["usd"].to_pylist() == [Decimal(exact), Decimal(least), None]
    assert read["name"].to_pylist() == ["=1+1", 'a"b,\n<ü>', None]
    assert read["at"].to_pylist() == [START, START, None]


def test_a_spreadsheet_is_typed_with_the_heading_frozen() -> None:
    xml, rows = sheet_rows(b"".join(write_xlsx(Some(*ROWS))))
    assert 'state="frozen"' in xml
    assert 'ySplit="1"' in xml
    assert [text for _, text in rows[0]] == ["at", "name", "n", "usd", "r", "usd (exact)"]
    kinds, texts = zip(*rows[1], strict=True)
    assert kinds == ("", "inlineStr", "", "", "", "inlineStr"), "an amount is a number, its digits a text"
    assert texts[1] == "=1+1", "a text stays one, and is no formula"
    assert "<f>" not in xml
    assert float(texts[0]) == 45717, "1 March 2025 as a spreadsheet counts days"
    assert float(texts[3]) == pytest.approx(12_345_678.901234567890123, rel=1e-15)
    assert texts[5] == "12345678.901234567890123"
    assert rows[3:] in ([], [[]]), "a row of nothing has no cells"


def test_a_spreadsheet_that_would_be_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 2)
    with pytest.raises(ApiError, match="Parquet"):
        next(iter(write_xlsx(Some(*ROWS))))


def test_money_below_a_million_is_whole_in_a_float() -> None:
    """Fifteen digits: what is written as a number is read as the same number of nano-dollars."""
    for nanos in (1, 999_999 * NANOS_PER_USD + 999_999_999, 123_456_789_012_345):
        amount: Any = float(str(usd_from_nanos(nanos)))
        assert Decimal(f"{amount:.9f}") == usd_from_nanos(nanos)

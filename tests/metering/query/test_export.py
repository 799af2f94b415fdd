"""Files: whole, safe, equal to every other answer, and never held as a whole."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from pyarrow import parquet

from accounts.models import Organization
from core.csvcells import csv_text
from metering.query import export
from metering.query.export import DEFAULT_COLUMNS, export_rows, make_export
from metering.query.export_api import for_asgi
from metering.query.metrics import Figures
from metering.query.run import run
from metering.query.spec import UsageQuery
from metering.query.tables import write_csv
from tests.cast import Key
from tests.metering.query.usage import make_event, write

START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 4, 1, tzinfo=dt.UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def month(acme: Organization) -> Organization:
    """300 calls of three models through March, unevenly."""
    models = ["gpt-4o", "odd-one", "free-one"]
    write(acme.id, [make_event(f"e{n}", START + n * n * dt.timedelta(seconds=29), models[n % 3], chat=f"c{n % 7}")
                    for n in range(300)])  # fmt: skip
    return acme


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_sums_are_those_of_the_query(month: Organization, acme_api: Client) -> None:
    columns = "timestamp,model,chat,requests,total_tokens,cost_usd"
    period = {"from": "2025-03-01T00:00:00Z", "to": "2025-04-01T00:00:00Z"}
    for interval in ("15m", "hour", "day", "week", "month", "none"):
        given = {**period, "interval": interval, "columns": columns}
        text = b"".join(acme_api.get("/v1/usage/export", given).streaming_content).decode()  # type: ignore[attr-defined]
        totals = acme_api.get("/v1/usage/query", {**period, "interval": "none"}).json()["totals"]
        rows = rows_of(text)
        assert sum(int(row["requests"]) for row in rows) == totals["requests"] == 300
        assert sum(int(row["total_tokens"]) for row in rows) == totals["total_tokens"]
        assert sum((Decimal(row["cost_usd"] or 0) for row in rows), Decimal()) == Decimal(totals["cost_usd"])
        assert rows == sorted(rows, key=lambda row: (row["timestamp"], row["model"], row["chat"]))
        assert {row["cost_usd"] for row in rows if row["model"] == "odd-one"} == {""}


@pytest.mark.parametrize(("page", "segment", "chunk"), [(1, 1, 1), (2, 5, 7), (3, 1000, 50), (1000, 10, 1000)])
def test_however_it_is_cut(
    month: Organization, monkeypatch: pytest.MonkeyPatch, page: int, segment: int, chunk: int
) -> None:
    asked = make_export(UsageQuery(month.id, START, END, BERLIN), ("timestamp", "chat", "model", "requests"))
    expected = b"".join(write_csv(asked))
    monkeypatch.setattr(export, "PAGE_ROWS", page)
    monkeypatch.setattr(export, "SEGMENT_REQUESTS", segment)
    monkeypatch.setattr(export, "_CHUNK_BUCKETS", chunk)
    assert b"".join(write_csv(asked)) == expected


def test_a_file_may_be_longer_than_an_answer(month: Organization, acme_api: Client) -> None:
    period = {"from": "2019-01-01", "to": "2025-12-31"}
    assert acme_api.get("/v1/usage/query", {**period, "interval": "hour"}).status_code == 422
    text = b"".join(acme_api.get("/v1/usage/export", period).streaming_content).decode()  # type: ignore[attr-defined]
    assert sum(int(row["requests"]) for row in rows_of(text)) == 300


def test_it_is_read_as_it_is_written(month: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE_ROWS", 5)
    monkeypatch.setattr(export, "SEGMENT_REQUESTS", 20)
    pages = export_rows(make_export(UsageQuery(month.id, START, END, BERLIN), DEFAULT_COLUMNS))
    with CaptureQueriesContext(connection) as first:
        assert len(next(pages)) == 5
    with CaptureQueriesContext(connection) as rest:
        assert all(len(page) <= 5 for page in pages)
    assert len(rest) > 10 * len(first)


def test_formulas_are_texts_and_numbers_are_numbers(acme: Organization, acme_api: Client) -> None:
    for number, start in enumerate(("=1+1", "+x", "-x", "@x", "\tx", "\rx", "-5", 'a"b,c\n')):
        write(acme.id, [make_event(f"e{number}", START, feature=start)])
    response = acme_api.get(
        "/v1/usage/export", {"from": "2025-03-01", "to": "2025-03-01", "columns": "feature,requests"}
    )
    features = {row["feature"] for row in rows_of(b"".join(response.streaming_content).decode())}  # type: ignore[attr-defined]
    assert features == {"'=1+1", "'+x", "'-x", "'@x", "'\tx", "'\rx", "-5", 'a"b,c\n'}
    assert csv_text([("=x", -1, None, "1.5")]) == "'=x,-1,,1.5\n"


def test_what_goes_wrong_on_the_way_breaks_it_off(month: Organization, acme_api: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(export, "PAGE_ROWS", 5)

    def fail(rows: Iterator[Any]) -> Iterator[Any]:
        yield from (next(rows), next(rows))
        raise RuntimeError("the database is gone")

    monkeypatch.setattr(export, "export_rows", lambda asked: fail(export_rows(asked)))
    monkeypatch.setattr("metering.query.parquet.GROUP_ROWS", 5)
    for name in export.FORMATS.keys() - {"xlsx"}:
        response = acme_api.get("/v1/usage/export", {"from": "2025-03-01", "to": "2025-03-31", "format": name})
        assert response.status_code == 200
        received: list[bytes] = []
        with pytest.raises(RuntimeError, match="gone"):
            received.extend(response.streaming_content)  # type: ignore[attr-defined]
        assert received
        if name == "parquet":
            with pytest.raises(pa.ArrowInvalid, match="footer"):
                parquet.ParquetFile(io.BytesIO(b"".join(received)))
    # A spreadsheet is an archive that is made before it is sent: the error still is an answer.
    acme_api.raise_request_exception = False
    given = {"from": "2025-03-01", "to": "2025-03-31", "format": "xlsx"}
    assert acme_api.get("/v1/usage/export", given).status_code == 500
    monkeypatch.undo()


def test_what_goes_wrong_at_once_is_an_error(acme_api: Client, monkeypatch: Any) -> None:
    def fail(_asked: Any) -> Iterator[bytes]:
        raise RuntimeError
        yield b""

    monkeypatch.setitem(export.FORMATS, "csv", export.Format("CSV", "text/csv", fail))
    acme_api.raise_request_exception = False
    response = acme_api.get("/v1/usage/export")
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "api_error"


def test_headers(acme_api: Client) -> None:
    response = acme_api.get(
        "/v1/usage/export?from=2025-03-01&to=2025-03-31&format=jsonl", headers={"accept": "text/csv"}
    )
    assert response["Content-Type"] == "application/x-ndjson"
    assert response["Content-Disposition"] == 'attachment; filename="acme-usage-2025-03-01-2025-03-31.jsonl"'
    assert "no-store" in response["Cache-Control"]
    assert b"".join(response.streaming_content) == b""  # type: ignore[attr-defined]


def test_without_dimensions_every_bucket_is_there(month: Organization, acme_api: Client) -> None:
    given = {"from": "2025-03-01", "to": "2025-03-31", "interval": "day", "columns": "timestamp,requests"}
    text = b"".join(acme_api.get("/v1/usage/export", given).streaming_content).decode()  # type: ignore[attr-defined]
    assert len(rows_of(text)) == 31


# ── Under ASGI ──


@pytest.mark.django_db(transaction=True)
def test_under_asgi_it_is_streamed_too(month: Organization, acme_key: Key) -> None:
    async def download() -> tuple[bool, bytes]:
        headers = {"authorization": f"Bearer {acme_key.secret}"}
        response = await AsyncClient().get("/v1/usage/export?from=2025-03-01&to=2025-03-31", headers=headers)
        assert response.status_code == 200
        content = b"".join([chunk async for chunk in response.streaming_content])  # type: ignore[attr-defined]
        await sync_to_async(connections.close_all)()  # this test's thread would keep it
        return response.is_async, content

    is_async, content = asyncio.run(download())
    assert is_async
    plain = acme_key.client.get("/v1/usage/export?from=2025-03-01&to=2025-03-31")
    assert content == b"".join(plain.streaming_content)  # type: ignore[attr-defined]


def test_a_chunk_is_made_when_it_is_asked_for() -> None:
    made: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield b"%d" % number

    async def read_one() -> bytes:
        async for chunk in for_asgi(chunks()):
            return chunk
        return b""

    assert asyncio.run(read_one()) == b"0"
    assert made == [0]


def test_json_is_one_object_however_little_there_is(acme_api: Client) -> None:
    response = acme_api.get("/v1/usage/export?format=json&from=2025-03-01&to=2025-03-01")
    answer = json.loads(b"".join(response.streaming_content))  # type: ignore[attr-defined]
    assert answer["data"] == []


def test_pages_sum_up(month: Organization) -> None:
    asked = make_export(UsageQuery(month.id, START, END, BERLIN), ("timestamp", "model", "requests"))
    figures = sum((row.figures for page in export_rows(asked) for row in page), Figures())
    assert figures == run(UsageQuery(month.id, START, END, BERLIN)).totals


@pytest.mark.parametrize("name", list(export.FORMATS))
@pytest.mark.parametrize("wrong", [{"team": "no-such"}, {"api_key": "zz"}])
def test_a_filter_nobody_has_is_refused_and_no_file_that_breaks_off(
    month: Organization, acme_api: Client, name: str, wrong: dict[str, str]
) -> None:
    for path in ("/v1/usage/export", "/api/usage/export"):
        response = acme_api.get(path, {"from": "2025-03-01", "to": "2025-04-01", "format": name, **wrong})
        assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_parameter")

"""Parquet, a group of rows at a time: typed, exact, and no valid file before its last byte.

pyarrow is loaded by the first file that is written, not by the processes that write none (docs/decisions has the
numbers). A file that breaks off lacks its footer, which every reader takes for what it is: no Parquet file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from io import RawIOBase
from typing import TYPE_CHECKING, Any

from core.money import exact_decimal
from metering.query.tables import Cell, Column, Table, begun

if TYPE_CHECKING:
    import pyarrow as pa

# A group is held as Python's own values, then once more as columns: some megabytes.
GROUP_ROWS = 10_000
# The widest that every reader knows: 38 digits, of which `scale` stand behind the point.
_DIGITS = 38


def write_parquet(table: Table) -> Iterator[bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    groups = begun(_groups(table))
    schema = pa.schema([(column.name, _type(pa, column)) for column in table.columns], metadata=dict(table.about))
    sink = _Sink()
    writer = parquet.ParquetWriter(sink, schema, compression="zstd")
    for rows in groups:
        writer.write_batch(_batch(pa, schema, table.columns, rows))
        yield sink.taken()
    writer.close()
    yield sink.taken()


def _groups(table: Table) -> Iterator[list[Sequence[Cell]]]:
    rows: list[Sequence[Cell]] = []
    for page in table.pages():
        rows += page
        while len(rows) >= GROUP_ROWS:
            yield rows[:GROUP_ROWS]
            del rows[:GROUP_ROWS]
    if rows:
        yield rows


def _type(pa: Any, column: Column) -> pa.DataType:
    if column.kind == "time":
        return pa.timestamp("us", tz="UTC")
    if column.kind == "text":
        return pa.dictionary(pa.int32(), pa.string())
    if column.kind == "decimal":
        return pa.decimal128(_DIGITS, column.scale)
    return pa.int64() if column.kind == "count" else pa.float64()


def _batch(pa: Any, schema: pa.Schema, columns: Sequence[Column], rows: list[Sequence[Cell]]) -> pa.RecordBatch:
    arrays = []
    for at, column in enumerate(columns):
        cells: list[Cell | Decimal] = [row[at] for row in rows]
        if column.kind == "decimal":
            cells = [exact_decimal(cell, column.scale) if isinstance(cell, int) else None for cell in cells]
        arrays.append(pa.array(cells, schema.field(at).type))
    return pa.record_batch(arrays, schema=schema)


class _Sink(RawIOBase):
    """What was written since it was last taken."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)

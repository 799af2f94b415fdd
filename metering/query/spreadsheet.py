"""XLSX: typed cells, the heading frozen; rows go through a file on disk, not through memory.

A spreadsheet counts in binary floats of 15 digits. Amounts are numbers, so that they can be summed there, and stand a
second time at the right end as texts with every digit: what is read by programs is read from these.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from core.errors import ApiError
from metering.query.tables import Cell, Column, Table, written

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

# The first row is the heading.
MOST_ROWS = 1_048_575
LONGEST_TEXT = 32_767
EXACT = "{name} (exact)"
_CHUNK_BYTES = 64 * 1024
_OPTIONS = {
    "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
    "remove_timezone": True,
}  # fmt: skip


def write_xlsx(table: Table) -> Iterator[bytes]:
    """Times are in UTC; a text is a text, whatever it begins with. Raises ApiError 422 for more rows than it holds."""
    from xlsxwriter import Workbook

    with tempfile.NamedTemporaryFile(suffix=".xlsx") as file:
        with Workbook(file.name, _OPTIONS) as book:
            formats = {
                "head": book.add_format({"bold": True}),
                "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
                "count": book.add_format({"num_format": "#,##0"}),
            }
            sheet = book.add_worksheet()
            _head(sheet, table.columns, formats["head"])
            for number, row in enumerate((row for page in table.pages() for row in page), start=1):
                if number > MOST_ROWS:
                    raise too_long()
                _row(sheet, number, table.columns, row, formats)
        with open(file.name, "rb") as made:  # noqa: PTH123 – reopened: the writer made it by its name
            while chunk := made.read(_CHUNK_BYTES):
                yield chunk


def too_long() -> ApiError:
    return ApiError(
        422, "too_long", f"A spreadsheet has at most {MOST_ROWS:,} rows; take Parquet, CSV or a longer interval.",
        param="format",
    )  # fmt: skip


def _head(sheet: Worksheet, columns: tuple[Column, ...], bold: Any) -> None:
    names = [column.name for column in columns]
    names += [EXACT.format(name=column.name) for column in columns if column.kind == "decimal"]
    sheet.freeze_panes(1, 0)
    for at, name in enumerate(names):
        sheet.set_column(at, at, max(12, min(40, len(name) + 2)))
        sheet.write_string(0, at, name, bold)


def _row(sheet: Worksheet, number: int, columns: tuple[Column, ...], row: Any, formats: dict[str, Any]) -> None:
    exact = len(columns)
    for at, (column, cell) in enumerate(zip(columns, row, strict=True)):
        _cell(sheet, number, at, column, cell, formats)
        if column.kind == "decimal":
            if cell is not None:
                sheet.write_string(number, exact, str(written(column, cell)))
            exact += 1


def _cell(sheet: Worksheet, number: int, at: int, column: Column, cell: Cell, formats: dict[str, Any]) -> None:
    if cell is None:
        return
    if isinstance(cell, dt.datetime):
        sheet.write_datetime(number, at, cell.astimezone(dt.UTC), formats["time"])
    elif isinstance(cell, str):
        sheet.write_string(number, at, cell[:LONGEST_TEXT])
    elif column.kind == "decimal":
        # Not money any more: the exact amount stands beside it.
        sheet.write_number(number, at, float(str(written(column, cell))))
    else:
        sheet.write_number(number, at, cell, formats["count"] if column.kind == "count" else None)

"""CSV that a spreadsheet can open without running what somebody else wrote into it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

Cell = str | int | float | Decimal | None

# A spreadsheet takes a cell that begins like this for a formula; full-width forms are folded by some.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_SPECIAL = re.compile(r'[",\r\n]')
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def safe_cell(value: Cell) -> str | int | float | Decimal:
    """A text that would be a formula gets an apostrophe in front, which spreadsheets hide. Numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv_text(rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as CSV, each line ended by a line feed. The standard writer would then leave a carriage return unquoted."""
    return "".join(",".join(map(_quoted, row)) + "\n" for row in rows)


def _quoted(cell: Cell) -> str:
    text = str(safe_cell(cell))
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text

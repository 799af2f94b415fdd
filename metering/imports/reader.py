"""A file's rows, one after the other: CSV and JSONL, plain or gzip, in constant memory."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from metering.store.base import Problem

FORMATS = ("csv", "jsonl")
DELIMITERS = (",", ";", "\t", "|")
LONGEST_LINE = 1 << 20
MOST_COLUMNS = 500

_GZIP = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_PEEK = 1 << 16
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class FileError(Exception):
    """The file cannot be read, or not any further; the message says what to do."""


class Row(msgspec.Struct):
    """One row: its values by column, or why it has none.

    `number` is what an editor or a spreadsheet shows: a CSV file's header is row 1.
    """

    number: int
    values: dict[str, Any]
    problem: Problem | None = None


class _Counted(io.RawIOBase):
    """A file that knows how much of it was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self.bytes_read += len(data)
        return len(data)


class Reader:
    """Rows of a file that is open in binary mode. Iterate once.

    Raises FileError where nothing sensible can follow; what is wrong with one row alone is that row's problem.
    """

    def __init__(self, file: BinaryIO, file_format: str | None = None) -> None:
        self._counted = _Counted(file)
        self._bytes: io.BufferedReader = io.BufferedReader(self._counted, _PEEK)
        if self._bytes.peek(2)[:2] == _GZIP:
            unpacked = gzip.GzipFile(fileobj=self._bytes)
            self._bytes = io.BufferedReader(unpacked, _PEEK)
        start = self._peek()
        self._encoding = "utf-16" if start[:2] in _UTF16_MARKS else "utf-8-sig"
        self.format = file_format or _recognized(start)
        if self.format not in FORMATS:
            raise FileError(f"The format is one of {', '.join(FORMATS)}.")
        self.columns: tuple[str, ...] = ()
        if self.format == "csv":
            self._open_csv()
        elif start[:2] in _UTF16_MARKS:
            raise FileError("JSON lines are UTF-8; this file is UTF-16.")

    @property
    def bytes_read(self) -> int:
        """Of the file as it lies on disk, compressed or not."""
        return self._counted.bytes_read

    def __iter__(self) -> Iterator[Row]:
        rows = self._csv_rows() if self.format == "csv" else self._json_rows()
        try:
            yield from rows
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileError(f"The compressed file is damaged or cut short: {error}.") from error

    def _peek(self) -> bytes:
        try:
            start = self._bytes.peek(_PEEK)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileError(f"The compressed file is damaged or cut short: {error}.") from error
        if not start.strip():
            raise FileError("The file is empty.")
        return start

    # ── CSV ──

    def _open_csv(self) -> None:
        self._text = io.TextIOWrapper(self._bytes, self._encoding, errors="surrogateescape", newline="")
        self._skipped = 0
        first = self._text.readline(LONGEST_LINE)
        while first and not first.strip():
            self._skipped += 1
            first = self._text.readline(LONGEST_LINE)
        delimiter = max(DELIMITERS, key=lambda mark: (_outside_quotes(first).count(mark), mark == ","))
        if first.lower().startswith("sep=") and len(first.strip()) == 5:
            # A spreadsheet's hint to itself.
            delimiter = first[4]
            self._skipped += 1
            first = self._text.readline(LONGEST_LINE)
        self._csv = csv.reader(self._lines(first), delimiter=delimiter, strict=False)
        try:
            header = [name.strip() for name in next(self._csv, [])]
        except csv.Error as error:
            raise FileError(f"The header cannot be read: {error}.") from error
        self.columns = _checked_header(header)

    def _lines(self, first: str) -> Iterator[str]:
        line = first
        while line:
            if len(line) > LONGEST_LINE:
                raise FileError(
                    f"Row {self._csv.line_num + 1 + self._skipped} is longer than {LONGEST_LINE:,} characters."
                )
            yield line
            line = self._text.readline(LONGEST_LINE + 1)

    def _csv_rows(self) -> Iterator[Row]:
        columns, number = self.columns, 1 + self._skipped
        while True:
            number += 1
            try:
                cells = next(self._csv, None)
            except csv.Error as error:
                yield Row(number, {}, Problem("unreadable_row", f"The row cannot be read: {error}."))
                continue
            if cells is None:
                return
            if not any(cells):
                continue
            if len(cells) != len(columns):
                message = f"The row has {len(cells)} cells, the header {len(columns)}."
                yield Row(number, dict(zip(columns, cells, strict=False)), Problem("wrong_cells", message))
                continue
            values = dict(zip(columns, cells, strict=True))
            yield Row(number, values, None if _is_text("".join(cells)) else _NOT_TEXT)

    # ── JSON lines ──

    def _json_rows(self) -> Iterator[Row]:
        number = 0
        while True:
            line = self._bytes.readline(LONGEST_LINE + 1)
            if not line:
                return
            number += 1
            if len(line) > LONGEST_LINE:
                while line and not line.endswith(b"\n"):
                    line = self._bytes.readline(LONGEST_LINE)
                message = f"The line is longer than {LONGEST_LINE:,} bytes."
                yield Row(number, {}, Problem("too_long", message))
                continue
            if number == 1:
                line = line.removeprefix(_UTF8_MARK)
            if not line.strip():
                continue
            try:
                yield Row(number, _OBJECT.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield Row(number, {}, Problem("invalid_json", f"The line is no JSON object: {error}."))


_NOT_TEXT = Problem("not_utf8", "The row holds bytes that are not UTF-8.")


def _recognized(start: bytes) -> str:
    begin = start.removeprefix(_UTF8_MARK).lstrip()[:1]
    if begin == b"[":
        raise FileError("The file is one JSON array. Make it lines: jq -c '.[]' FILE > FILE.jsonl")
    return "jsonl" if begin == b"{" else "csv"


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _checked_header(header: list[str]) -> tuple[str, ...]:
    if not header:
        raise FileError("The file is empty.")
    if len(header) > MOST_COLUMNS:
        raise FileError(f"The file has {len(header)} columns; at most {MOST_COLUMNS} are read.")
    if not _is_text("".join(header)) or "\0" in "".join(header):
        raise FileError("The header is not UTF-8 text. Save the file as CSV UTF-8.")
    if all(_is_number(name) for name in header if name):
        raise FileError("The first row must name the columns; here it holds figures.")
    named = [name or f"column {place}" for place, name in enumerate(header, 1)]
    twice = {name for name in named if named.count(name) > 1}
    if twice:
        raise FileError(f"Two columns are called {min(twice)}.")
    return tuple(named)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_text(text: str) -> bool:
    """Whether it was UTF-8: foreign bytes come in as lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""An uploaded export: told apart by its columns or keys, read into a statement. Raises StatementError, in words."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from billing.reconciliation import anthropic, openai
from billing.reconciliation.statement import DAY, Stated, Statement, StatementError

MOST_BYTES = 20 * 1024 * 1024
_MOST_ROWS = 500_000
_READERS = (openai, anthropic)
_UNKNOWN = "This is no usage or cost export of OpenAI or Anthropic that is known here."


def read_statement(content: bytes) -> Statement:
    if len(content) > MOST_BYTES:
        raise StatementError("The export is larger than 20 MB: export a shorter time.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StatementError("The file is no text in UTF-8.") from None
    if not text.strip():
        raise StatementError("The file is empty.")
    try:
        return _from_json(text) if text.lstrip()[0] in "{[" else _from_csv(text)
    except (KeyError, AttributeError, TypeError):
        raise StatementError("The export is cut off, or was changed: a part of it is missing.") from None


def _from_csv(text: str) -> Statement:
    lines = csv.DictReader(io.StringIO(text), restval="")
    columns = frozenset(lines.fieldnames or ())
    for reader in _READERS:
        if reader.is_csv(columns):
            try:
                return _statement(reader.PROVIDER, reader.from_csv(lines))
            except csv.Error as wrong:
                raise StatementError(f"The file is no CSV: {wrong}.") from None
    raise StatementError(_UNKNOWN)


def _from_json(text: str) -> Statement:
    """One page of an API, a list of pages, or pages line by line."""
    pages = _pages(text)
    if pages and pages[-1].get("has_more"):
        raise StatementError(
            'The export goes on: its last page says "has_more". Fetch the pages that follow with its next_page, and '
            "upload all of them as one file, one after the other."
        )
    for reader in _READERS:
        if any(reader.is_json(page) for page in pages):
            return _statement(reader.PROVIDER, (row for page in pages for row in reader.from_json(page)))
    raise StatementError(_UNKNOWN)


def _pages(text: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError) as wrong:
            raise StatementError(f"The file is no JSON: {wrong}.") from None
    if isinstance(found, list) and all(isinstance(part, dict) and "data" not in part for part in found):
        found = {"data": found}
    pages = found if isinstance(found, list) else [found]
    if not all(isinstance(page, dict) for page in pages):
        raise StatementError(_UNKNOWN)
    return pages


def _statement(provider: str, rows: Iterable[Stated]) -> Statement:
    kept = []
    for row in rows:
        if row.end <= row.start:
            raise StatementError(f"A row ends on {row.end:%Y-%m-%d %H:%M} before it begins.")
        if row.end - row.start > DAY:
            raise StatementError("The export tells weeks or months apart, not days: export it by day.")
        kept.append(row)
        if len(kept) > _MOST_ROWS:
            raise StatementError("The export has too many rows: export it by day and model.")
    return Statement(provider, tuple(kept))

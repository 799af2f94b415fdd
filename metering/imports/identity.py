"""Ids for rows that have none.

The id is made from the row's content and from how many identical rows came before it in the file. So two calls
that look alike both count, and the same row has the same id in a second run, in a compressed copy, in a file with
its columns in another order and in a longer export that overlaps. A row that was edited is another row.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

PREFIX = "row_"
_CACHE_KIB = 16_384
_ENCODER = msgspec.json.Encoder(order="sorted")


def fingerprint(values: Mapping[str, Any], context: str = "") -> bytes:
    """What identical rows share. Empty cells say nothing, so a column without values changes nothing.

    `context` is what a row's meaning depends on besides itself: the start its offsets count from.
    """
    body = {column: value for column, value in values.items() if value not in ("", None)}
    return hashlib.blake2b(_ENCODER.encode([context, body]), digest_size=16).digest()


class Occurrences:
    """How often each fingerprint came up, exactly and in bounded memory: beyond a cache SQLite keeps it in a file.

    The file is temporary and SQLite's own: it has no name and goes with the process.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute("CREATE TABLE seen (name BLOB PRIMARY KEY, times INT, body BLOB) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def next(self, name: bytes) -> int:
        """1 for the first time, 2 for the second, …"""
        row = self._database.execute(
            "INSERT INTO seen VALUES (?, 1, NULL) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times", (name,)
        ).fetchone()
        return int(row[0])

    def first_body(self, name: bytes, body: bytes) -> bytes:
        """The body that first came under this name: a dry run's memory of ids."""
        row = self._database.execute(
            "INSERT INTO seen VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING body", (name, body)
        ).fetchone()
        return bytes(row[0])

    def has(self, name: bytes) -> bool:
        return self._database.execute("SELECT 1 FROM seen WHERE name = ?", (name,)).fetchone() is not None

    def close(self) -> None:
        self._database.close()


def row_id(name: bytes, occurrence: int) -> str:
    return PREFIX + hashlib.blake2b(name + occurrence.to_bytes(8, "big"), digest_size=16).hexdigest()

"""What the server remembers: objects as JSON documents in SQLite, committed once per request."""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
  number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS object_kind ON object (kind, number);
CREATE TABLE IF NOT EXISTS answer (
  key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS delivery (
  number INTEGER PRIMARY KEY, event TEXT NOT NULL, endpoint TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  due_at REAL NOT NULL, status INTEGER, is_done INTEGER NOT NULL DEFAULT 0
);
"""
_LETTERS = string.ascii_letters + string.digits


class State:
    """Not for several threads: the server handles one request after the other, so that each is a transaction."""

    def __init__(self, path: Path | None = None) -> None:
        self.database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self.database.executescript(_SCHEMA)
        if path is not None:
            self.database.execute("PRAGMA journal_mode = WAL")

    def begin(self) -> None:
        self.database.execute("BEGIN")

    def commit(self) -> None:
        self.database.execute("COMMIT")

    def rollback(self) -> None:
        self.database.execute("ROLLBACK")

    def close(self) -> None:
        self.database.close()

    @staticmethod
    def new_id(prefix: str) -> str:
        return f"{prefix}_{''.join(secrets.choice(_LETTERS) for _ in range(24))}"

    def now(self, clock: str | None = None) -> int:
        """Unix seconds: of a test clock, or the machine's."""
        found = self.find(clock) if clock else None
        return int(found["frozen_time"]) if found else int(time.time())

    # ── Objects ──

    def put(self, document: Document) -> Document:
        kind, body = document["object"], json.dumps(document)
        self.database.execute(
            "INSERT INTO object (id, kind, body) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (document["id"], kind, body),
        )
        return document

    def find(self, id: str) -> Document | None:  # noqa: A002
        row = self.database.execute("SELECT body FROM object WHERE id = ?", (id,)).fetchone()
        return json.loads(row[0]) if row else None

    def forget(self, id: str) -> None:  # noqa: A002
        self.database.execute("DELETE FROM object WHERE id = ?", (id,))

    def newest(self, kind: str, wanted: Callable[[Document], bool] = lambda _: True) -> Iterator[Document]:
        rows = self.database.execute("SELECT body FROM object WHERE kind = ? ORDER BY number DESC", (kind,)).fetchall()
        return (document for (body,) in rows if wanted(document := json.loads(body)))

    def count(self, kind: str) -> int:
        (number,) = self.database.execute("SELECT count(*) FROM object WHERE kind = ?", (kind,)).fetchone()
        return int(number)

    # ── Answers by idempotency key ──

    def remembered(self, key: str) -> tuple[str, int, str] | None:
        row = self.database.execute("SELECT request, status, body FROM answer WHERE key = ?", (key,)).fetchone()
        return (row[0], row[1], row[2]) if row else None

    def remember(self, key: str, request: str, status: int, body: str) -> None:
        self.database.execute("INSERT OR IGNORE INTO answer VALUES (?, ?, ?, ?)", (key, request, status, body))

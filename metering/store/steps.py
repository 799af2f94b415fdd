"""Database work written once, run by synchronous and by asynchronous connections.

A function that needs the database is a generator: it yields `Execute` and `Copy` steps and is sent the rows
they return. `run` drives it on a psycopg connection (commands, tasks, tests), `run_async` on an asynchronous
one (the edge). Transactions are the driver's caller's business.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import psycopg

T = TypeVar("T")


class Execute(msgspec.Struct, frozen=True):
    """A statement; the generator receives its rows, or [] when it returns none."""

    sql: str
    params: Sequence[Any] | Mapping[str, Any] | None = None


class Copy(msgspec.Struct, frozen=True):
    """Rows into a table by binary COPY; `types` are PostgreSQL type names, one a column."""

    sql: str
    types: tuple[str, ...]
    rows: Iterable[tuple[Any, ...]]


Steps = Generator[Execute | Copy, list[tuple[Any, ...]], T]


def run(connection: psycopg.Connection[Any], steps: Steps[T]) -> T:
    """Drive `steps` to their result on a synchronous connection."""
    rows: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        step = _advance(steps, None)
        while not isinstance(step, _Done):
            if isinstance(step, Copy):
                with cursor.copy(step.sql) as copy:
                    copy.set_types(step.types)
                    for row in step.rows:
                        copy.write_row(row)
                rows = []
            else:
                cursor.execute(step.sql, step.params, prepare=True)  # type: ignore[arg-type]
                rows = cursor.fetchall() if cursor.description else []
            step = _advance(steps, rows)
    return step.value


async def run_async(connection: psycopg.AsyncConnection[Any], steps: Steps[T]) -> T:
    """Drive `steps` to their result on an asynchronous connection."""
    rows: list[tuple[Any, ...]] = []
    async with connection.cursor() as cursor:
        step = _advance(steps, None)
        while not isinstance(step, _Done):
            if isinstance(step, Copy):
                async with cursor.copy(step.sql) as copy:
                    copy.set_types(step.types)
                    for row in step.rows:
                        await copy.write_row(row)
                rows = []
            else:
                await cursor.execute(step.sql, step.params, prepare=True)  # type: ignore[arg-type]
                rows = await cursor.fetchall() if cursor.description else []
            step = _advance(steps, rows)
    return step.value


class _Done(msgspec.Struct, frozen=True):
    value: Any


def _advance(steps: Steps[T], rows: list[tuple[Any, ...]] | None) -> Execute | Copy | _Done:
    try:
        return next(steps) if rows is None else steps.send(rows)
    except StopIteration as stop:
        return _Done(stop.value)

"""Database work written once, run by synchronous and by asynchronous connections.

A function that needs the database is a generator: it yields `Execute` and `Copy` steps and is sent the rows
they return. `run` drives it inside the caller's transaction (commands, tasks, tests), `run_async` in a
transaction of its own (the edge).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import psycopg

T = TypeVar("T")


class Execute(msgspec.Struct, frozen=True):
    """A statement; the generator receives its rows, or [] when it returns none.

    With parameters (perhaps none: `()`) it is prepared. Without, it may be several statements; the last one answers.
    """

    sql: str
    params: Sequence[Any] | Mapping[str, Any] | None = None


class Copy(msgspec.Struct, frozen=True):
    """Rows into a table by binary COPY; `types` are PostgreSQL type names, one a column."""

    sql: str
    types: tuple[str, ...]
    rows: Iterable[tuple[Any, ...]]


Steps = Generator[Execute | Copy, list[tuple[Any, ...]], T]


def run(connection: psycopg.Connection[Any], steps: Steps[T]) -> T:
    """Drive `steps` to their result on a synchronous connection, inside the transaction it is in."""
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
                cursor.execute(step.sql, step.params, prepare=step.params is not None)
                while cursor.nextset():
                    pass
                rows = cursor.fetchall() if cursor.description else []
            step = _advance(steps, rows)
    value: T = step.value
    return value


async def run_async(connection: psycopg.AsyncConnection[Any], steps: Steps[T]) -> T:
    """Drive `steps` to their result in a transaction of their own; `connection` is in autocommit mode.

    BEGIN travels with the first statement when that takes no parameters: a round trip is dear where all wait for it.
    """
    rows: list[tuple[Any, ...]] = []
    try:
        async with connection.cursor() as cursor:
            step = _advance(steps, None)
            begin = "BEGIN;"
            if not isinstance(step, Execute) or step.params is not None:
                await cursor.execute(begin)
                begin = ""
            while not isinstance(step, _Done):
                if isinstance(step, Copy):
                    async with cursor.copy(step.sql) as copy:
                        copy.set_types(step.types)
                        # A coroutine for each row would cost as much as the row.
                        for row in step.rows:
                            block = copy.formatter.write_row(row)
                            if block:
                                await copy.write(block)
                    rows = []
                else:
                    await cursor.execute(begin + step.sql, step.params, prepare=step.params is not None)
                    begin = ""
                    while cursor.nextset():
                        pass
                    rows = await cursor.fetchall() if cursor.description else []
                step = _advance(steps, rows)
            await cursor.execute("COMMIT")
    except BaseException:
        await connection.rollback()
        raise
    value: T = step.value
    return value


class _Done(msgspec.Struct, frozen=True):
    value: Any


def _advance(steps: Steps[T], rows: list[tuple[Any, ...]] | None) -> Execute | Copy | _Done:
    try:
        return next(steps) if rows is None else steps.send(rows)
    except StopIteration as stop:
        return _Done(stop.value)

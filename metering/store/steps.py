"""Database work told in steps, so that it knows neither whose connection it runs on nor whose transaction it is in.

A function that needs the database is a generator: it yields `Execute` and `Copy` steps and is sent the rows they
return. `run` drives it inside the caller's transaction (commands, tasks, tests), `transact` in one of its own (the
edge).
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
    """Drive `steps` to their result, inside the transaction that the caller has opened."""
    with connection.cursor() as cursor:
        return _drive(cursor, steps, begin="")


def transact(connection: psycopg.Connection[Any], steps: Steps[T]) -> T:
    """Drive `steps` to their result in a transaction of their own; `connection` is in autocommit mode.

    BEGIN travels with the first statement: a round trip is dear where many wait for it.
    """
    try:
        with connection.cursor() as cursor:
            value = _drive(cursor, steps, begin="BEGIN;")
            cursor.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return value


def _drive(cursor: psycopg.Cursor[Any], steps: Steps[T], begin: str) -> T:
    rows: list[tuple[Any, ...]] | None = None
    while not isinstance(step := _advance(steps, rows), _Done):
        if isinstance(step, Copy):
            with cursor.copy(step.sql) as copy:
                copy.set_types(step.types)
                for row in step.rows:
                    copy.write_row(row)
            rows = []
            continue
        if begin and step.params is not None:
            cursor.execute(begin)
            begin = ""
        cursor.execute(begin + step.sql, step.params, prepare=step.params is not None)
        begin = ""
        while cursor.nextset():
            pass
        rows = cursor.fetchall() if cursor.description else []
    value: T = step.value
    return value


class _Done(msgspec.Struct, frozen=True):
    value: Any


def _advance(steps: Steps[T], rows: list[tuple[Any, ...]] | None) -> Execute | Copy | _Done:
    try:
        return next(steps) if rows is None else steps.send(rows)
    except StopIteration as stop:
        return _Done(stop.value)

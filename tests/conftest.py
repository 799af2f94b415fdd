"""Databases for the tests, and the cast (tests/cast.py).

Databases are made and migrated by the owner of the tables; tests run as the role `tokenledger_app`, so that
row-level security binds them as it binds the product.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.db.backends.postgresql.operations import DatabaseOperations
from hypothesis import HealthCheck, settings

from core.facts import Fact
from core.ownership import as_owner
from core.signals import fact_happened

pytest_plugins = ["tests.cast"]

# How long an example takes says how busy the machine is, not whether a property holds.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> Iterator[ExitStack]:
    """From here until `django_db_setup` is done, the connection is the owner's."""
    with ExitStack() as ownership:
        ownership.enter_context(as_owner())
        yield ownership


@pytest.fixture(scope="session")
def django_db_setup(django_db_modify_db_settings: ExitStack, django_db_setup: None) -> Iterator[None]:
    ownership = django_db_modify_db_settings
    ownership.close()
    yield
    ownership.enter_context(as_owner())


# Events have a partition for each month: truncating all of them, empty as they are, would take longer than most tests.
# What takes no room has no rows; asking each for its first row took as long as the rest of emptying.
_EMPTY = """
DO $$
DECLARE
    used text;
BEGIN
    SELECT string_agg(leaf::text, ', ') INTO used FROM (
        SELECT coalesce(tree.relid, name::regclass) AS leaf FROM unnest(ARRAY[{tables}]) AS name
        LEFT JOIN LATERAL pg_partition_tree(name::regclass) AS tree ON true WHERE tree.isleaf IS NOT false
    ) AS leaves WHERE pg_relation_size(leaf) > 0;
    IF used IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || used || ' CASCADE';
    END IF;
END $$
"""


@pytest.fixture(scope="session", autouse=True)
def _flush_what_is_used() -> Iterator[None]:
    """Behind a transactional test only tables with rows are emptied."""

    def execute_sql_flush(operations: DatabaseOperations, statements: Iterable[str]) -> None:
        tables = sorted(set(re.findall('"([^"]+)"', " ".join(statements))))
        emptying = _EMPTY.format(tables=", ".join(f"'{name}'" for name in tables))
        for attempt in range(10):
            try:
                with operations.connection.cursor() as cursor:
                    cursor.execute(emptying)
            except OperationalError:
                # A request of a page that was closed a moment ago may still be answered.
                if attempt == 9:
                    raise
                time.sleep(0.2)
            else:
                return

    with patch.object(DatabaseOperations, "execute_sql_flush", execute_sql_flush):
        yield


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Rate limits and cached figures of one test are nobody else's business."""
    yield
    cache.clear()


@pytest.fixture(scope="session", autouse=True)
def _facts_say_what_their_kind_says() -> Iterator[None]:
    """Whatever is told in any test is held to the catalogue: programs of others read it."""
    from alerts import catalogue

    def hold(fact: Fact, **_: object) -> None:
        catalogue.check(fact.kind, fact.data)

    fact_happened.connect(hold, weak=False)
    yield
    fact_happened.disconnect(hold)


@pytest.fixture
def tasks_at_once() -> Iterator[None]:
    """What is handed to the queue is done at once; a task that fails fails by itself, as in a worker."""
    from config.celery import app

    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


@pytest.fixture
def told_facts() -> Iterator[list[Fact]]:
    """Every fact that is told while the test runs."""
    found: list[Fact] = []

    def hear(fact: Fact, **_: object) -> None:
        found.append(fact)

    fact_happened.connect(hear, weak=False)
    yield found
    fact_happened.disconnect(hear)

"""Databases for the tests, and the cast (tests/cast.py).

Databases are made and migrated by the owner of the tables; tests run as the role `tokenledger_app`, so that
row-level security binds them as it binds the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.core.cache import cache

from core.ownership import as_owner

pytest_plugins = ["tests.cast"]


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


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Rate limits and cached figures of one test are nobody else's business."""
    yield
    cache.clear()

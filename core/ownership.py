"""Work that the owner of the tables does: migrating, granting, truncating in tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from core.tenancy import APP_ROLE


@contextmanager
def as_owner() -> Iterator[None]:
    """Connect without assuming the application role, which owns nothing and therefore may change no table."""
    options: dict[str, Any] = connection.settings_dict["OPTIONS"]
    if "assume_role" not in options:
        yield
        return
    connection.close()
    del options["assume_role"]
    try:
        yield
    finally:
        connection.close()
        options["assume_role"] = APP_ROLE


def grant_everyday_rights() -> None:
    """After each migration: the application role may use every table, as far as row-level security lets it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            GRANT USAGE ON SCHEMA public TO {APP_ROLE};
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP_ROLE};
            GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE};
            """
        )

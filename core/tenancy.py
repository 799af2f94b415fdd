"""Which organizations the running code may see.

`organization_scope(id)` opens a transaction, tells PostgreSQL's row-level security whose rows exist, and lets
the managers of tenant models answer. Outside of a scope those managers raise and the database shows no row.
A scope usually names one organization; the shared write of a group commit names several. `unscoped(reason)`
sees everything and marks the few places that must: key look-up, beat's loop, operator pages.

The database side is made by migration accounts/0002: the role `tokenledger_app`, which owns nothing and which
every connection assumes, and the functions the policies call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

from django.db import connection, models, transaction
from psycopg.pq import TransactionStatus

APP_ROLE = "tokenledger_app"
SETTING = "tokenledger.organizations"
EVERYTHING = "*"

_scope: ContextVar[str | None] = ContextVar("tokenledger_scope", default=None)


class ScopeError(RuntimeError):
    """A tenant's rows were asked for without saying whose."""


def setting_value(organization_ids: Iterable[int]) -> str:
    """What the database setting holds for these organizations: a PostgreSQL array literal."""
    return "{" + ",".join(str(int(i)) for i in sorted(set(organization_ids))) + "}"


@contextmanager
def organization_scope(*organization_ids: int) -> Iterator[None]:
    """Work inside these organizations, in one transaction."""
    with _scoped(setting_value(organization_ids)):
        yield


@contextmanager
def unscoped(reason: str) -> Iterator[None]:
    """Work across all organizations, in one transaction. `reason` is for the reader of the call."""
    if not reason:
        raise ValueError("say why every organization must be seen")
    with _scoped(EVERYTHING):
        yield


@contextmanager
def _scoped(value: str) -> Iterator[None]:
    before = _scope.get()
    with transaction.atomic():
        _tell_database(value)
        token = _scope.set(value)
        try:
            yield
        finally:
            _scope.reset(token)
            # After an error the transaction is about to be rolled back, and the setting with it.
            if not connection.needs_rollback and _is_in_transaction():
                _tell_database(before or "")


def _tell_database(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, value])


def _is_in_transaction() -> bool:
    """Whether the database still takes statements: connected, and none failed since the last savepoint."""
    raw = connection.connection
    return raw is not None and raw.info.transaction_status == TransactionStatus.INTRANS


def is_scoped() -> bool:
    return _scope.get() is not None


def current_organization_id() -> int:
    """The one organization of the scope. Raises ScopeError when there is none or more than one."""
    value = _scope.get()
    if value is None or value == EVERYTHING or "," in value or value == "{}":
        raise ScopeError("This needs the scope of exactly one organization: use organization_scope(id).")
    return int(value.strip("{}"))


class TenantManager(models.Manager[Any]):
    """The manager of every model that belongs to an organization: filters inside a scope, raises outside."""

    scope_field = "organization_id"

    def get_queryset(self) -> models.QuerySet[Any]:
        value = _scope.get()
        if value is None:
            raise ScopeError(
                f"{self.model.__name__} was queried outside of a scope: use organization_scope(id) or unscoped(reason)."
            )
        queryset = super().get_queryset()
        if value == EVERYTHING:
            return queryset
        ids = [int(i) for i in value.strip("{}").split(",") if i]
        return queryset.filter(**{f"{self.scope_field}__in": ids})


class TenantModel(models.Model):
    """Base of every model whose rows belong to one organization."""

    objects: ClassVar[models.Manager[Any]] = TenantManager()

    class Meta:
        abstract = True

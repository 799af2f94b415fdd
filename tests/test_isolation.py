"""The database itself keeps organizations apart: raw SQL as the application role, on every table, also future ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import (
    APIKey,
    AuditEntry,
    Department,
    IdempotentAnswer,
    Impersonation,
    Invitation,
    Membership,
    Organization,
    Project,
    Team,
    TeamMembership,
    User,
)
from core.tenancy import ScopeError, current_organization_id, is_scoped, organization_scope, unscoped


def rows(sql: str, *params: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def tenant_models() -> list[type[models.Model]]:
    return [
        model
        for model in apps.get_models()
        if model is Organization
        or any(field.name in ("organization", "organization_id") for field in model._meta.fields)
    ]


TENANT_TABLES = """
    SELECT c.relname::text, c.relrowsecurity,
           (SELECT string_agg(concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)), ' ')
              FROM pg_policy WHERE polrelid = c.oid)
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
       AND (c.relname = 'accounts_organization' OR EXISTS (
            SELECT FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = 'organization_id' AND NOT a.attisdropped))
       AND (has_table_privilege('tokenledger_app', c.oid, 'SELECT') OR NOT c.relispartition)
     ORDER BY 1
"""
INSERT_ENTRY = """
    INSERT INTO accounts_auditentry
           (organization_id, actor_label, action, target, target_id, target_label, changes, request_id)
    VALUES (%s, '', '', '', '', '', '{}', '') RETURNING id
"""


@pytest.mark.django_db
def test_every_table_with_an_organization_is_protected() -> None:
    tables = rows(TENANT_TABLES)
    assert {model._meta.db_table for model in tenant_models()} <= {name for name, _, _ in tables}
    unprotected = [name for name, has_security, _ in tables if not has_security]
    assert not unprotected, "put core.row_security.protect(…) into the migration that creates these"
    lax = [name for name, _, policy in tables if "tokenledger_scope()" not in (policy or "")]
    assert not lax, "the policies of these do not ask for the scope"


@pytest.mark.django_db
def test_the_application_role_cannot_lift_the_protection() -> None:
    assert rows("SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user") == [
        (False, False, False)
    ]
    assert rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user") == [(0,)]
    with pytest.raises(DatabaseError), transaction.atomic():
        rows("ALTER TABLE accounts_apikey DISABLE ROW LEVEL SECURITY")


@pytest.mark.django_db
@pytest.mark.parametrize("model", tenant_models(), ids=lambda model: model._meta.label)
def test_managers_refuse_to_answer_outside_of_a_scope(model: type[models.Model]) -> None:
    with pytest.raises(ScopeError):
        model._default_manager.count()


# ── Rows of this app, by raw SQL ──


def furnish(organization: Organization, owner: User) -> None:
    """One row in each of this app's tables."""
    with organization_scope(organization.id):
        membership = Membership.objects.get(user=owner)
        department = Department.objects.create(organization=organization, name="D")
        team = Team.objects.create(organization=organization, name="T", slug="t", department=department)
        TeamMembership.objects.create(organization=organization, team=team, membership=membership)
        Project.objects.create(organization=organization, name="P", slug="p")
        Invitation.objects.create(
            organization=organization, email="x@y.test", digest=organization.slug, expires_at=now() + timedelta(1)
        )
        APIKey.objects.create(
            organization=organization, name="K", prefix=organization.slug, digest="", scopes=["admin"]
        )
        Impersonation.objects.create(
            organization=organization,
            membership=membership,
            operator=owner,
            reason="r",
            expires_at=now() + timedelta(hours=1),
        )
        IdempotentAnswer.objects.create(organization=organization, key="k", fingerprint="f")
        audit.record(Actor.of_command("test"), "test", team)


@pytest.fixture
def furnished(acme: Organization, globex: Organization, alice: User, charlie: User) -> tuple[int, int]:
    furnish(acme, alice)
    furnish(globex, charlie)
    return acme.id, globex.id


OWN_MODELS = [model for model in tenant_models() if model._meta.app_label == "accounts"]


@pytest.mark.parametrize("model", OWN_MODELS, ids=lambda model: model.__name__)
def test_raw_sql_sees_one_organization(model: type[models.Model], furnished: tuple[int, int]) -> None:
    acme, globex = furnished
    table = model._meta.db_table
    column = "id" if model is Organization else "organization_id"
    everything = f"SELECT DISTINCT {column} FROM {table} ORDER BY 1"
    assert rows(everything) == []
    with organization_scope(acme):
        assert rows(everything) == [(acme,)]
        assert rows(f"SELECT count(*) FROM {table} WHERE {column} = %s", globex) == [(0,)]
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET id = id WHERE {column} = %s", [globex])
            assert cursor.rowcount == 0
            cursor.execute(f"DELETE FROM {table} WHERE {column} = %s", [globex])
            assert cursor.rowcount == 0
        if model is not Organization:
            # A row cannot be moved or added to another organization either.
            move = INSERT_ENTRY if model is AuditEntry else f"UPDATE {table} SET organization_id = %s RETURNING id"
            with pytest.raises(DatabaseError), transaction.atomic():
                rows(move, globex)
    with organization_scope(acme, globex):
        assert rows(everything) == [(i,) for i in sorted(furnished)]
    with unscoped("test"):
        assert rows(everything) == [(i,) for i in sorted(furnished)]
    assert rows(everything) == []


def test_the_audit_log_only_grows(furnished: tuple[int, int]) -> None:
    with organization_scope(furnished[0]), connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_auditentry SET action = 'nothing'")
        assert cursor.rowcount == 0
        cursor.execute("DELETE FROM accounts_auditentry")
        assert cursor.rowcount == 0


# ── The scope itself ──


def test_scopes_nest_and_close(furnished: tuple[int, int]) -> None:
    acme, globex = furnished
    assert not is_scoped()
    with organization_scope(acme):
        assert current_organization_id() == acme
        with organization_scope(globex):
            assert rows("SELECT id FROM accounts_organization") == [(globex,)]
        assert rows("SELECT id FROM accounts_organization") == [(acme,)]
        with unscoped("test"):
            assert len(rows("SELECT id FROM accounts_organization")) == 2
        with pytest.raises(ZeroDivisionError), unscoped("test"):
            raise ZeroDivisionError
        assert rows("SELECT id FROM accounts_organization") == [(acme,)]
    assert not is_scoped()
    assert rows("SELECT id FROM accounts_organization") == []


def test_a_failed_statement_shows_its_own_error(furnished: tuple[int, int]) -> None:
    with pytest.raises(DatabaseError, match="no_such_table"), organization_scope(furnished[0]):
        rows("SELECT * FROM no_such_table")
    assert rows("SELECT id FROM accounts_organization") == []


@pytest.mark.django_db
def test_the_current_organization_needs_exactly_one() -> None:
    with pytest.raises(ScopeError):
        current_organization_id()
    for scope in (organization_scope(), organization_scope(1, 2), unscoped("test")):
        with scope, pytest.raises(ScopeError):
            current_organization_id()
    with pytest.raises(ValueError, match="why"), unscoped(""):
        pass

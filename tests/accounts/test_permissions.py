"""The table of rights, and the guards that read it."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from accounts.api import OrganizationAPIView
from accounts.models import Role, Scope
from accounts.permissions import RIGHTS, Right, may, needed_scope, require


def test_every_role_has_a_row() -> None:
    assert set(RIGHTS) == set(Role)


def test_an_owner_may_everything_and_an_admin_all_but_ownership_and_plan() -> None:
    assert RIGHTS[Role.OWNER] == set(Right)
    assert RIGHTS[Role.OWNER] - RIGHTS[Role.ADMIN] == {Right.MANAGE_OWNERS, Right.MANAGE_PLAN}


@pytest.mark.parametrize(
    ("role", "may_do", "may_not"),
    [
        (Role.FINANCE, [Right.SEE_MONEY, Right.SEE_USAGE, Right.SEE_KEYS], [Right.MANAGE_KEYS, Right.MANAGE_OWN_KEYS]),
        (
            Role.MEMBER,
            [Right.SEE_OWN_USAGE, Right.MANAGE_OWN_KEYS],
            [Right.SEE_USAGE, Right.SEE_MONEY, Right.SEE_MEMBERS],
        ),
        (Role.VIEWER, [Right.SEE_USAGE], [Right.SEE_MONEY, Right.SEE_KEYS, Right.MANAGE_OWN_KEYS]),
    ],
)
def test_roles_as_promised(role: Role, may_do: list[Right], may_not: list[Right]) -> None:
    assert all(may(role, right) for right in may_do)
    assert not any(may(role, right) for right in may_not)


def test_nobody_but_admins_and_owners_changes_people() -> None:
    for right in (
        Right.MANAGE_MEMBERS,
        Right.MANAGE_KEYS,
        Right.MANAGE_TEAMS,
        Right.SEE_AUDIT,
        Right.MANAGE_ORGANIZATION,
    ):
        assert {role for role in Role if may(role, right)} == {Role.ADMIN, Role.OWNER}


def test_guards_must_name_something() -> None:
    with pytest.raises(ImproperlyConfigured):
        require()
    with pytest.raises(ImproperlyConfigured):
        needed_scope(OrganizationAPIView(), "GET")


def test_a_method_without_a_scope_needs_admin() -> None:
    class View(OrganizationAPIView):
        required_scopes = {"GET": Scope.USAGE_READ, "POST": None}

    assert needed_scope(View(), "GET") == needed_scope(View(), "HEAD") == Scope.USAGE_READ
    assert needed_scope(View(), "POST") is None
    assert needed_scope(View(), "PUT") == Scope.ADMIN


def test_a_forbidden_page_says_why(vera_client: Client) -> None:
    response = vera_client.get("/o/acme/settings/")
    assert response.status_code == 403
    assert b"<h1" in response.content

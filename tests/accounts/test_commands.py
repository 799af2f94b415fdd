"""create_organization and create_key, as api.md has them."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.keys import authenticate
from accounts.models import AuditEntry, Membership, Organization, Project, Scope, User
from accounts.signals import organization_created
from core.tenancy import organization_scope, unscoped
from tests.cast import membership_of


def run(*arguments: str) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


@pytest.mark.django_db
def test_an_organization_with_owner_and_key(client: Client) -> None:
    answer = json.loads(
        run("create_organization", "Initech", "--owner", "Dora@initech.test", "--password", "tr0ub4dor&3", "--json")
    )
    assert set(answer) == {"organization", "slug", "owner", "api_key"}
    assert (answer["organization"], answer["slug"], answer["owner"]) == ("Initech", "initech", "dora@initech.test")
    assert authenticate(answer["api_key"]).scopes == set(Scope.values)
    response = client.post("/accounts/login/", {"login": "dora@initech.test", "password": "tr0ub4dor&3"})
    assert (response.status_code, response.url) == (302, "/")  # type: ignore[attr-defined]
    with unscoped("test"):
        assert {entry.actor_label for entry in AuditEntry.objects.all()} == {"command create_organization"}


def test_an_existing_person_becomes_owner(alice: User) -> None:
    text = run("create_organization", "Zeta", "--owner", alice.email, "--timezone", "Asia/Kolkata")
    assert "tl_" in text
    with unscoped("test"):
        zeta = Organization.objects.get(slug="zeta")
    assert zeta.timezone == "Asia/Kolkata"
    assert membership_of(alice, zeta).role == "owner"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Zeta", "--owner", "nonsense"], "valid email"),
        (["Zeta", "--owner", "dora@acme.test", "--timezone", "Mars/Base"], "IANA"),
        (["Zeta", "--owner", "dora@acme.test", "--password", "123"], "short"),
        (["", "--owner", "dora@acme.test"], "blank"),
        (["Zeta", "--owner", "alice@acme.test", "--password", "x"], "already"),
    ],
)
def test_a_wrong_organization_leaves_nothing(alice: User, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("create_organization", *arguments)
    assert not User.objects.filter(email="dora@acme.test").exists()
    with unscoped("test"):
        assert Organization.objects.count() == 1


@pytest.mark.django_db
def test_the_plan_is_passed_on(django_capture_on_commit_callbacks: Any) -> None:
    heard: list[str | None] = []

    def listen(plan: str | None, **_: Any) -> None:
        heard.append(plan)

    organization_created.connect(listen)
    with django_capture_on_commit_callbacks(execute=True):
        run("create_organization", "Zeta", "--owner", "dora@acme.test", "--plan", "free")
    organization_created.disconnect(listen)
    assert heard == ["free"]


def test_a_key_is_printed_once(acme: Organization, bob: User, website: Project) -> None:
    grant = authenticate(run("create_key", "acme").strip())
    assert grant.scopes == {"usage:write", "usage:read", "gateway"}
    answer = json.loads(
        run("create_key", "acme", "--name", "CI", "--project", "website", "--member", "bob@acme.test", "--scopes",
            "gateway", "usage:read,usage:write", "--json")
    )  # fmt: skip
    grant = authenticate(answer["api_key"])
    assert (grant.project_id, grant.member_id) == (website.pk, membership_of(bob, acme).pk)
    assert answer["scopes"] == ["usage:write", "usage:read", "gateway"]
    assert answer["name"] == "CI"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no organization nowhere"),
        (["acme", "--project", "nowhere"], "no project nowhere"),
        (["acme", "--member", "eve@acme.test"], "no member eve@acme.test"),
        (["acme", "--scopes", "everything"], "Unknown scope everything"),
        (["acme", "--name", " "], "blank"),
    ],
)
def test_a_wrong_key_is_refused(acme: Organization, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("create_key", *arguments)
    with organization_scope(acme.id):
        assert not AuditEntry.objects.exists()
        assert not Membership.objects.exists()

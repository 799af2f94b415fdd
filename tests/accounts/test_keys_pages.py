"""Keys on the pages: shown once, rotated, revoked; a member's own keys and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from accounts.keys import authenticate
from accounts.models import APIKey, Organization, Project, User
from core.errors import ApiError
from core.tenancy import organization_scope
from tests.cast import Key, membership_of

PAGE = "/o/acme/settings/keys/"


def secret_on(content: bytes) -> str:
    found = re.search(rb'<code id="secret"[^>]*>(tl_\w{40})</code>', content)
    assert found
    return found[1].decode()


def test_the_secret_is_shown_once(acme: Organization, website: Project, alice_client: Client) -> None:
    body = {
        "name": "prod",
        "scopes": ["usage:write", "usage:read"],
        "project": website.pk,
        "expires_on": "2099-12-31",
        "requests_per_minute": 60,
    }
    response = alice_client.post(f"{PAGE}new/", body)
    assert response.status_code == 200
    assert "no-store" in response.headers["cache-control"]
    secret = secret_on(response.content)
    grant = authenticate(secret)
    assert (grant.scopes, grant.project_id, grant.rpm) == ({"usage:write", "usage:read"}, website.pk, 60)
    with organization_scope(acme.id):
        # The end of the last day in Berlin.
        assert APIKey.objects.get().expires_at.isoformat() == "2099-12-31T23:00:00+00:00"
    listing = alice_client.get(PAGE).content
    assert secret[:12].encode() in listing
    assert secret.encode() not in listing


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"project": 999999}, "project"),
        ({"expires_on": "2020-01-01"}, None),
        ({"expires_on": "9999-12-31"}, "expires_on"),
        ({"requests_per_minute": -1}, "requests_per_minute"),
        ({"tokens_per_minute": 10**12}, "tokens_per_minute"),
    ],
)
def test_errors_stand_beside_their_field(alice_client: Client, body: dict[str, object], field: str | None) -> None:
    response = alice_client.post(f"{PAGE}new/", {"name": "prod", "scopes": ["gateway"], **body})
    assert response.status_code == 422
    if field:
        assert f'id="id_{field}_error"'.encode() in response.content


def test_another_organizations_project_cannot_be_chosen(globex: Organization, alice_client: Client) -> None:
    with organization_scope(globex.id):
        theirs = Project.objects.create(organization=globex, name="Theirs", slug="theirs")
    response = alice_client.post(f"{PAGE}new/", {"name": "x", "scopes": ["gateway"], "project": theirs.pk})
    assert response.status_code == 422
    assert b"Theirs" not in response.content


def test_changing_rotating_revoking(acme: Organization, adam_client: Client, new_key: Callable[..., Key]) -> None:
    key = new_key("gateway", name="prod")
    page = f"{PAGE}{key.row.pk}/"
    assert adam_client.post(page, {"name": "prod-2", "scopes": ["usage:read"]}).status_code == 302
    assert authenticate(key.secret).scopes == {"usage:read"}
    assert adam_client.post(page, {"name": "", "scopes": ["usage:read"]}).status_code == 422
    rotated = adam_client.post(f"{page}rotate/", {"overlap": "3600"})
    assert authenticate(secret_on(rotated.content)).scopes == {"usage:read"}
    assert authenticate(key.secret)
    assert b"has a successor already" in adam_client.post(f"{page}rotate/", {"overlap": "0"}).content
    assert b"stop at once" in adam_client.get(f"{page}revoke/").content
    assert authenticate(key.secret)
    adam_client.post(f"{page}revoke/")
    with pytest.raises(ApiError, match="revoked"):
        authenticate(key.secret)
    assert b"prod-2" in adam_client.get(f"{PAGE}?state=ended").content


def test_a_member_has_keys_of_their_own(
    acme: Organization, bob: User, bob_client: Client, new_key: Callable[..., Key]
) -> None:
    service = new_key(name="service-key")
    form = bob_client.get(f"{PAGE}new/").content
    assert b'value="usage:read"' not in form
    assert b'value="admin"' not in form
    for scope in ("usage:read", "admin", "billing:read"):
        assert bob_client.post(f"{PAGE}new/", {"name": "mine", "scopes": [scope]}).status_code == 422
    secret = secret_on(bob_client.post(f"{PAGE}new/", {"name": "mine", "scopes": ["gateway"]}).content)
    grant = authenticate(secret)
    assert grant.member_id == membership_of(bob, acme).pk
    listing = bob_client.get(PAGE).content
    assert b"mine" in listing
    assert b"service-key" not in listing
    for action in ("", "rotate/", "revoke/"):
        assert bob_client.get(f"{PAGE}{service.row.pk}/{action}").status_code == 404
        assert bob_client.get(f"{PAGE}{grant.key_id}/{action}").status_code == 200


def test_finance_sees_keys_and_changes_none(fiona_client: Client, new_key: Callable[..., Key]) -> None:
    new_key(name="service-key")
    listing = fiona_client.get(PAGE).content
    assert b"service-key" in listing
    assert b"Revoke" not in listing
    assert b"New key" not in listing


def test_an_empty_list_says_what_to_do(alice_client: Client, bob_client: Client) -> None:
    assert b"A program needs one" in alice_client.get(PAGE).content
    assert b"No key has ended" in alice_client.get(f"{PAGE}?state=ended").content

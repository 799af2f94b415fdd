"""/v1/keys and what every endpoint shares: authentication, scopes, error shape, lists, idempotency."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.keys import LATEST_EXPIRY, authenticate, new_secret
from accounts.models import APIKey, AuditEntry, Organization, Project, Scope, User
from core.errors import ApiError
from core.facts import Fact
from core.tenancy import organization_scope
from tests.accounts.calling import error, post
from tests.cast import Key, membership_of

BODY = {"name": "search-prod", "scopes": ["usage:write", "gateway"]}


# ── Authentication ──


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"authorization": "Basic Zm9v"}, "invalid_authorization"),
        ({"authorization": "Bearer"}, "invalid_authorization"),
        ({"authorization": "Bearer tl_short"}, "invalid_api_key"),
        ({"authorization": "Bearer tl_" + "é" * 40}, "invalid_api_key"),
        ({"authorization": "Bearer tl_" + "0" * 40}, "invalid_api_key"),
        ({"x-api-key": "tl_" + "0" * 40}, "invalid_api_key"),
    ],
)
def test_a_missing_or_wrong_key_is_refused(client: Client, headers: dict[str, str], code: str) -> None:
    response = client.get("/v1/keys", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert error(response)["code"] == code


def test_both_headers_carry_a_key(client: Client, acme_key: Key) -> None:
    assert client.get("/v1/keys", headers={"authorization": f"bearer {acme_key.secret}"}).status_code == 200
    assert client.get("/v1/keys", headers={"x-api-key": acme_key.secret}).status_code == 200


def test_a_right_prefix_with_a_wrong_rest_is_an_unknown_key(client: Client, acme_key: Key) -> None:
    forged = acme_key.secret[:12] + new_secret()[12:]
    response = client.get("/v1/keys", headers={"authorization": f"Bearer {forged}"})
    assert error(response)["code"] == "invalid_api_key"


def test_revoked_and_expired_keys_say_so(acme_key: Key, new_key: Callable[..., Key]) -> None:
    revoked = new_key(revoked_at=now())
    expired = new_key(expires_at=now() - timedelta(seconds=1))
    assert error(revoked.client.get("/v1/keys"))["code"] == "revoked_api_key"
    assert error(expired.client.get("/v1/keys"))["code"] == "expired_api_key"
    assert new_key(expires_at=now() + timedelta(minutes=1)).client.get("/v1/keys").status_code == 200


def test_the_grant_says_what_the_key_may(
    acme: Organization, bob: User, website: Project, new_key: Callable[..., Key]
) -> None:
    membership = membership_of(bob, acme)
    key = new_key(Scope.GATEWAY, project=website, member=membership, requests_per_minute=60, tokens_per_minute=9000)
    grant = authenticate(key.secret)
    assert (grant.organization_id, grant.key_id, grant.scopes) == (acme.id, key.row.id, frozenset({"gateway"}))
    assert (grant.project_id, grant.member_id, grant.rpm, grant.tpm) == (website.id, membership.id, 60, 9000)
    assert grant.allows(Scope.GATEWAY)
    assert not grant.allows(Scope.USAGE_READ)


def test_last_use_is_noted_at_most_once_a_minute(acme: Organization, acme_key: Key) -> None:
    authenticate(acme_key.secret)
    with organization_scope(acme.id):
        first = APIKey.objects.get().last_used_at
    assert first is not None
    authenticate(acme_key.secret)
    with organization_scope(acme.id):
        assert APIKey.objects.get().last_used_at == first
        APIKey.objects.update(last_used_at=now() - timedelta(minutes=2))
    authenticate(acme_key.secret)
    with organization_scope(acme.id):
        assert APIKey.objects.get().last_used_at > now() - timedelta(seconds=30)


# ── Scopes ──


@pytest.mark.parametrize("scope", [s for s in Scope.values if s != "admin"])
def test_keys_are_managed_with_the_scope_admin_only(new_key: Callable[..., Key], scope: str) -> None:
    client = new_key(scope).client
    for response in (client.get("/v1/keys"), post(client, "/v1/keys", BODY), client.delete("/v1/keys/1")):
        assert response.status_code == 403
        assert error(response)["type"] == "permission_error"


# ── Create, list, change, end ──


def test_a_created_key_works_and_shows_its_secret_once(acme: Organization, acme_api: Client) -> None:
    response = post(acme_api, "/v1/keys", {**BODY, "requests_per_minute": 60, "tokens_per_minute": 0})
    assert response.status_code == 201, response.content
    body = response.json()
    secret = body.pop("secret")
    assert secret.startswith(body["prefix"])
    assert len(secret) == 43
    assert authenticate(secret).scopes == {"usage:write", "gateway"}
    assert acme_api.get(f"/v1/keys/{body['id']}").json() == {
        **body,
        "last_used_at": acme_api.get(f"/v1/keys/{body['id']}").json()["last_used_at"],
    }
    with organization_scope(acme.id):
        entry = AuditEntry.objects.get(action="key.create")
        assert secret not in str(entry.changes)
    assert entry.actor_label.startswith("key tl_")
    assert entry.changes["scopes"] == [None, ["gateway", "usage:write"]]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({**BODY, "name": ""}, "name"),
        ({**BODY, "name": "x" * 121}, "name"),
        ({**BODY, "scopes": []}, "scopes"),
        ({**BODY, "scopes": ["everything"]}, "scopes.0"),
        ({**BODY, "requests_per_minute": -1}, "requests_per_minute"),
        ({**BODY, "tokens_per_minute": 10**12}, "tokens_per_minute"),
        ({**BODY, "project": "nowhere"}, "project"),
        ({**BODY, "project": 7}, "project"),
        ({**BODY, "project": "a\0b"}, "project"),
        ({**BODY, "member": "\ud800"}, "member"),
        ({**BODY, "expires_at": "3000-01-01T00:00:00Z"}, "expires_at"),
        ({**BODY, "member": "nobody@acme.test"}, "member"),
        ({**BODY, "expires_at": "yesterday"}, "expires_at"),
        ({**BODY, "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ([], None),
    ],
)
def test_a_wrong_key_is_refused_by_field(acme_api: Client, body: Any, param: str | None) -> None:
    response = post(acme_api, "/v1/keys", body)
    assert response.status_code == 422, response.content
    assert error(response)["param"] == param


def test_a_body_that_is_no_json_is_malformed(acme_api: Client) -> None:
    response = acme_api.post("/v1/keys", "{", content_type="application/json")
    assert response.status_code == 400
    assert error(response)["type"] == "invalid_request_error"
    assert acme_api.post("/v1/keys", "a=b", content_type="text/plain").status_code == 415
    assert acme_api.post("/v1/keys", "[" * 100_000, content_type="application/json").status_code == 400


def test_a_body_beyond_all_measure_is_too_large(acme_api: Client) -> None:
    response = acme_api.post("/v1/keys", "x" * (17 * 2**20), content_type="application/json")
    assert response.status_code == 413
    assert error(response)["code"] == "body_too_large"


def test_no_cache_keeps_what_a_key_reads(client: Client, acme_key: Key) -> None:
    assert client.get("/v1/keys", headers={"x-api-key": acme_key.secret}).headers["cache-control"] == "no-store"


def test_another_organizations_project_does_not_exist(acme_api: Client, globex: Organization) -> None:
    with organization_scope(globex.id):
        Project.objects.create(organization=globex, name="Secret", slug="secret")
    assert error(post(acme_api, "/v1/keys", {**BODY, "project": "secret"}))["param"] == "project"


def test_a_key_is_changed(acme_api: Client, acme: Organization, website: Project, new_key: Callable[..., Key]) -> None:
    key = new_key()
    path = f"/v1/keys/{key.row.id}"
    response = acme_api.patch(path, {"name": "b", "scopes": ["usage:read"], "project": "website"}, "application/json")
    assert response.status_code == 200, response.content
    assert (response.json()["name"], response.json()["scopes"], response.json()["project"]) == (
        "b",
        ["usage:read"],
        "website",
    )
    assert authenticate(key.secret).scopes == {"usage:read"}
    with organization_scope(acme.id):
        assert AuditEntry.objects.get(action="key.update").changes["name"] == ["Test key", "b"]
    assert acme_api.patch(path, {"scopes": ["nonsense"]}, "application/json").status_code == 422
    assert acme_api.patch(path, {"project": None}, "application/json").json()["project"] is None


def test_a_revoked_key_stops_at_once_and_stays_listed(acme_api: Client, new_key: Callable[..., Key]) -> None:
    key = new_key()
    assert key.client.get("/v1/keys").status_code == 200
    response = acme_api.delete(f"/v1/keys/{key.row.id}")
    assert (response.status_code, response.json()["status"]) == (200, "revoked")
    assert acme_api.delete(f"/v1/keys/{key.row.id}").json() == response.json()
    assert key.client.get("/v1/keys").status_code == 401
    assert key.row.id in [row["id"] for row in acme_api.get("/v1/keys").json()["data"]]
    assert key.row.id not in [row["id"] for row in acme_api.get("/v1/keys?status=active").json()["data"]]
    assert acme_api.patch(f"/v1/keys/{key.row.id}", {"name": "x"}, "application/json").status_code == 409
    assert post(acme_api, f"/v1/keys/{key.row.id}/rotate", {}).status_code == 409


def test_rotation_overlaps(
    acme_api: Client, acme: Organization, new_key: Callable[..., Key], told_facts: list[Fact]
) -> None:
    key = new_key(Scope.GATEWAY, name="prod", requests_per_minute=7)
    response = post(acme_api, f"/v1/keys/{key.row.id}/rotate", {"overlap_seconds": 3600})
    assert response.status_code == 201, response.content
    successor = response.json()
    grant = authenticate(successor["secret"])
    assert (grant.scopes, grant.rpm, successor["name"]) == ({"gateway"}, 7, "prod")
    assert authenticate(key.secret).key_id == key.row.id
    old = acme_api.get(f"/v1/keys/{key.row.id}").json()
    assert old["replaced_by"] == successor["id"]
    assert old["expires_at"] is not None
    [fact] = told_facts
    assert (fact.kind, fact.data["prefix"], fact.data["replaces"]) == (
        "key.created",
        successor["prefix"],
        key.row.prefix,
    )
    assert successor["secret"] not in str(fact.data)
    assert error(post(acme_api, f"/v1/keys/{key.row.id}/rotate", {}))["code"] == "key_already_rotated"
    again = post(acme_api, f"/v1/keys/{successor['id']}/rotate", {"overlap_seconds": 0})
    assert again.status_code == 201
    with pytest.raises(ApiError, match="expired"):
        authenticate(successor["secret"])
    for overlap in (-1, 31 * 86400, "soon"):
        assert post(acme_api, f"/v1/keys/{again.json()['id']}/rotate", {"overlap_seconds": overlap}).status_code == 422


def test_a_key_for_ages_can_be_rotated(acme_api: Client, new_key: Callable[..., Key]) -> None:
    key = new_key("gateway", expires_at=LATEST_EXPIRY)
    successor = post(acme_api, f"/v1/keys/{key.row.id}/rotate", {})
    assert successor.status_code == 201
    assert successor.json()["expires_at"] == "2999-12-31T00:00:00Z"


def test_other_organizations_keys_are_not_found(globex_api: Client, acme_key: Key) -> None:
    path = f"/v1/keys/{acme_key.row.id}"
    for response in (
        globex_api.get(path),
        globex_api.patch(path, {"name": "x"}, "application/json"),
        globex_api.delete(path),
        post(globex_api, f"{path}/rotate", {}),
        globex_api.get("/v1/keys/99999999999999999999999"),
    ):
        assert response.status_code == 404
        assert error(response)["code"] == "not_found"
    assert [row["id"] for row in globex_api.get("/v1/keys").json()["data"]] != [acme_key.row.id]


# ── Lists ──


def test_pages_follow_each_other_without_gap(acme_api: Client, new_key: Callable[..., Key]) -> None:
    made = [new_key(name=f"k{i}").row.id for i in range(7)]
    seen: list[int] = []
    url = "/v1/keys?limit=3"
    while True:
        body = acme_api.get(url).json()
        seen += [row["id"] for row in body["data"]]
        assert body["has_more"] == (body["next_cursor"] is not None)
        if not body["has_more"]:
            break
        url = f"/v1/keys?limit=3&cursor={body['next_cursor']}"
    assert seen[:-1] == sorted(made, reverse=True)
    assert len(seen) == len(set(seen)) == 8


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5", "٣", "9" * 30])
def test_limits_are_bounded(acme_api: Client, limit: str) -> None:
    response = acme_api.get("/v1/keys", {"limit": limit})
    assert response.status_code == 422
    assert error(response)["param"] == "limit"


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "e30",
        "W10",
        "W251bGxd",
        "WyJhIl0",
        "WzFlNDAwXQ",
        "W1sxXV0",
        "!!!",
        "é",
        "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMF0",
        "W1tb" * 10_000,
    ],
)
def test_a_made_up_cursor_is_refused(acme_api: Client, cursor: str) -> None:
    response = acme_api.get("/v1/keys", {"cursor": cursor})
    assert response.status_code == 422
    assert error(response)["code"] == "invalid_cursor"

"""Founding and describing organizations: functions, pages, start page, switch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.audit import Actor
from accounts.models import AuditEntry, Membership, Organization, Role, User
from accounts.organizations import create_organization, update_organization
from accounts.signals import organization_created, organization_zone_changed
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped
from tests.cast import make_user

BY = Actor.of_command("test")


@pytest.fixture
def dora(db: None) -> User:
    """She belongs to nothing yet."""
    return make_user("dora")


@pytest.fixture
def heard() -> Iterator[list[tuple[Any, dict[str, Any]]]]:
    calls: list[tuple[Any, dict[str, Any]]] = []

    def listen(sender: object, signal: Any, **kwargs: Any) -> None:
        calls.append((signal, kwargs))

    for signal in (organization_created, organization_zone_changed):
        signal.connect(listen)
    yield calls
    for signal in (organization_created, organization_zone_changed):
        signal.disconnect(listen)


def test_the_founder_becomes_owner(dora: User, heard: list[Any], django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        organization = create_organization("  Initech GmbH ", dora, by=BY, timezone="Asia/Kathmandu", plan="startup")
    assert (organization.name, organization.slug) == ("Initech GmbH", "initech-gmbh")
    with organization_scope(organization.id):
        assert Membership.objects.get().role == Role.OWNER
        assert sorted(AuditEntry.objects.values_list("action", flat=True)) == [
            "member.join",
            "organization.create",
            "subscription.start",
        ]
    assert heard == [(organization_created, {"organization_id": organization.id, "plan": "startup"})]


def test_slugs_are_unique_and_never_empty(dora: User, acme: Organization) -> None:
    slugs = [create_organization(name, dora, by=BY).slug for name in ("ACME", "Acme!", "株式会社", "???", "a" * 120)]
    assert slugs == ["acme-2", "acme-3", "organization", "organization-2", "a" * 50]


@pytest.mark.parametrize(
    ("values", "param"),
    [({"name": " "}, "name"), ({"name": "x" * 121}, "name"), ({"timezone": "Mars/Base"}, "timezone")],
)
def test_a_wrong_organization_is_refused(dora: User, values: dict[str, str], param: str) -> None:
    with pytest.raises(ApiError) as refusal:
        create_organization(**{"name": "Initech", "owner": dora, "by": BY} | values)  # type: ignore[arg-type]
    assert (refusal.value.status, refusal.value.param) == (422, param)
    with unscoped("test"):
        assert not Organization.objects.exists()


def test_a_change_is_recorded_with_before_and_after(
    acme: Organization, heard: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True), organization_scope(acme.id):
        changed = update_organization(acme, {"name": "Acme Inc", "timezone": "Asia/Kolkata", "country": "DE"}, by=BY)
        entry = AuditEntry.objects.get()
    assert changed == ["name", "timezone"]
    assert entry.changes == {"name": ["Acme", "Acme Inc"], "timezone": ["Europe/Berlin", "Asia/Kolkata"]}
    assert heard == [
        (organization_zone_changed, {"organization_id": acme.id, "before": "Europe/Berlin", "after": "Asia/Kolkata"})
    ]
    with organization_scope(acme.id):
        assert update_organization(acme, {"name": "Acme Inc"}, by=BY) == []
        assert AuditEntry.objects.count() == 1
        with pytest.raises(ValueError, match="slug"):
            update_organization(acme, {"slug": "other"}, by=BY)


# ── Pages ──


def test_the_start_page_leads_on(client: Client, alice_client: Client, dora: User) -> None:
    assert client.get("/").url == "/accounts/login/?next=/"  # type: ignore[attr-defined]
    assert alice_client.get("/").url.startswith("/o/acme/")  # type: ignore[attr-defined]
    client.force_login(dora)
    assert client.get("/").url == "/organizations/new/"  # type: ignore[attr-defined]


def test_the_start_page_remembers_the_last_organization(alice: User, alice_client: Client) -> None:
    second = create_organization("Zeta", alice, by=BY)
    assert alice_client.get("/").url.startswith("/o/acme/")  # type: ignore[attr-defined]
    response = alice_client.post(f"/o/{second.slug}/switch/")
    assert response.url.startswith("/o/zeta/")  # type: ignore[attr-defined]
    assert alice_client.get("/").url.startswith("/o/zeta/")  # type: ignore[attr-defined]
    with organization_scope(second.id):
        Membership.objects.update(ended_at="2026-01-01T00:00:00Z")
    assert alice_client.get("/").url.startswith("/o/acme/")  # type: ignore[attr-defined]


def test_founding_on_the_page(client: Client, dora: User) -> None:
    client.force_login(dora)
    response = client.post("/organizations/new/", {"name": "", "timezone": "UTC"})
    assert response.status_code == 422
    response = client.post("/organizations/new/", {"name": "Initech", "timezone": "Europe/Paris"})
    assert response.status_code == 302
    with unscoped("test"):
        assert Organization.objects.get(slug="initech").timezone == "Europe/Paris"


def test_settings_are_saved_and_errors_stand_beside_the_field(acme: Organization, alice_client: Client) -> None:
    page = alice_client.get("/o/acme/settings/")
    assert page.status_code == 200
    body = {"name": "Acme AG", "timezone": "Europe/Zurich", "country": "CH", "billing_email": "bills@acme.test"}
    assert alice_client.post("/o/acme/settings/", body).status_code == 302
    with organization_scope(acme.id):
        acme.refresh_from_db()
    assert (acme.name, acme.timezone, acme.country, acme.billing_email) == (
        "Acme AG",
        "Europe/Zurich",
        "CH",
        "bills@acme.test",
    )
    response = alice_client.post("/o/acme/settings/", {**body, "billing_email": "nonsense", "timezone": "Mars/Base"})
    assert response.status_code == 422
    assert b"id_billing_email_error" in response.content
    assert b"id_timezone_error" in response.content


def test_an_alias_of_a_zone_stays_chosen(acme: Organization, alice_client: Client) -> None:
    with organization_scope(acme.id):
        Organization.objects.update(timezone="US/Eastern")
    assert b'value="US/Eastern" selected' in alice_client.get("/o/acme/settings/").content


def test_htmx_requests_without_log_in_reload_the_log_in_page(client: Client, acme: Organization) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/o/acme/settings/members/"}
    response = client.get("/o/acme/settings/", headers=headers)
    assert response.headers["HX-Redirect"] == "/accounts/login/?next=/o/acme/settings/members/"


def test_a_former_member_is_a_stranger(acme: Organization, alice: User, bob: User, bob_client: Client) -> None:
    assert bob_client.get("/o/acme/settings/keys/").status_code == 200
    with organization_scope(acme.id):
        Membership.objects.filter(user=bob).update(ended_at="2026-01-01T00:00:00Z")
    assert bob_client.get("/o/acme/settings/keys/").status_code == 404

"""Departments, teams, places and projects: functions, pages, API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts import teams
from accounts.audit import Actor
from accounts.models import (
    AuditEntry,
    Department,
    Organization,
    Project,
    Role,
    Scope,
    Team,
    TeamMembership,
    User,
)
from accounts.permissions import administered_team_ids
from core.errors import ApiError
from core.tenancy import organization_scope
from tests.cast import Key, membership_of

BY = Actor("adam@acme.test", Role.ADMIN)
PAGES = "/o/acme/settings"


def refused(code: str, act: Callable[[], Any]) -> None:
    with pytest.raises(ApiError) as refusal:
        act()
    assert refusal.value.code == code


def test_departments(in_acme: Organization) -> None:
    sales = teams.create_department(in_acme, " Sales ", by=BY, cost_center="CC-7")
    assert (sales.name, sales.cost_center) == ("Sales", "CC-7")
    refused("already_exists", lambda: teams.create_department(in_acme, "SALES", by=BY))
    refused("invalid_parameter", lambda: teams.create_department(in_acme, " ", by=BY))
    other = teams.create_department(in_acme, "Support", by=BY)
    refused("already_exists", lambda: teams.update_department(other, {"name": "sales"}, by=BY))
    assert other.name == "Support"
    team = teams.create_team(in_acme, "Field", by=BY, department=sales)
    teams.delete_department(sales, by=BY)
    team.refresh_from_db()
    assert team.department is None


def test_teams_and_places(in_acme: Organization, alice: User, bob: User) -> None:
    bobs = membership_of(bob, in_acme)
    first, second = (teams.create_team(in_acme, "R & D", by=BY) for _ in range(2))
    assert (first.slug, second.slug) == ("r-d", "r-d-2")
    place = teams.add_to_team(first, bobs, by=BY)
    refused("already_exists", lambda: teams.add_to_team(first, bobs, by=BY))
    assert administered_team_ids(bobs) == frozenset()
    teams.set_team_admin(place, True, by=BY)
    teams.set_team_admin(place, True, by=BY)
    assert administered_team_ids(bobs) == {first.pk}
    teams.remove_from_team(place, by=BY)
    assert administered_team_ids(bobs) == frozenset()
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["team.create"] * 2 + ["team.add_member", "team.change_member", "team.remove_member"]


def test_projects(in_acme: Organization, search: Team) -> None:
    project = teams.create_project(in_acme, "Web Site", by=BY, team=search)
    assert project.slug == "web-site"
    assert teams.create_project(in_acme, "Web Site", by=BY).slug == "web-site-2"
    refused("already_exists", lambda: teams.create_project(in_acme, "Other", by=BY, slug="web-site"))
    refused("invalid_parameter", lambda: teams.create_project(in_acme, "Other", by=BY, slug="no spaces"))
    teams.update_project(project, {"name": "Site", "slug": "site"}, by=BY)
    refused("already_exists", lambda: teams.update_project(project, {"slug": "web-site-2"}, by=BY))
    assert project.slug == "site"
    teams.archive_project(project, by=BY)
    teams.archive_project(project, by=BY)
    assert project.archived_at is not None
    teams.restore_project(project, by=BY)
    assert project.archived_at is None
    assert AuditEntry.objects.filter(action="project.archive").count() == 1
    changes = AuditEntry.objects.get(action="project.update").changes
    assert changes == {"name": ["Web Site", "Site"], "slug": ["web-site", "site"]}


# ── Pages ──


def test_pages_begin_empty_and_fill(acme: Organization, bob: User, adam_client: Client) -> None:
    with organization_scope(acme.id):
        Team.objects.all().delete()
        Department.objects.all().delete()
    empty = adam_client.get(f"{PAGES}/teams/").content
    assert all(words in empty for words in (b"No teams yet", b"No projects yet", b"No departments yet"))
    adam_client.post(f"{PAGES}/departments/new/", {"name": "Sales", "cost_center": "CC-7"})
    with organization_scope(acme.id):
        sales = Department.objects.get()
    response = adam_client.post(f"{PAGES}/teams/new/", {"name": "Field", "department": sales.pk})
    page = response.url  # type: ignore[attr-defined]
    bobs = membership_of(bob, acme)
    assert b"Nobody is in this team yet" in adam_client.get(page).content
    adam_client.post(f"{page}members/", {"member": bobs.pk, "is_admin": "on"})
    with organization_scope(acme.id):
        place = TeamMembership.objects.get()
    assert place.is_admin
    assert b"Team admin" in adam_client.get(page).content
    refusal = adam_client.post(f"{page}members/", {"member": bobs.pk}, follow=True)
    assert b"Choose a member who is not in the team yet" in refusal.content
    adam_client.post(f"{page}members/{place.pk}/", {"do": "member"})
    with organization_scope(acme.id):
        assert not TeamMembership.objects.get().is_admin
    adam_client.post(f"{page}members/{place.pk}/", {"do": "remove"})
    assert adam_client.post(f"{page}members/{place.pk}/", {"do": "remove"}).status_code == 404
    adam_client.post(f"{page}change/", {"name": "Outdoor", "department": ""})
    adam_client.post(f"{PAGES}/projects/new/", {"name": "Site", "slug": ""})
    full = adam_client.get(f"{PAGES}/teams/").content
    assert all(words in full for words in (b"Outdoor", b"CC-7", b"site"))
    adam_client.post(f"{page}delete/")
    adam_client.post(f"{PAGES}/departments/{sales.pk}/delete/")
    with organization_scope(acme.id):
        assert not Team.objects.exists()
        assert not Department.objects.exists()


def test_a_taken_name_is_said_beside_the_field(adam_client: Client, website: Project, engineering: Department) -> None:
    response = adam_client.post(f"{PAGES}/projects/new/", {"name": "X", "slug": "website"})
    assert response.status_code == 422
    assert b"There is a project website already" in response.content
    response = adam_client.post(f"{PAGES}/departments/new/", {"name": "engineering"})
    assert b"There is a department engineering already" in response.content


def test_archiving_on_the_page(acme: Organization, adam_client: Client, website: Project) -> None:
    page = f"{PAGES}/projects/{website.pk}/"
    adam_client.post(f"{page}archive/")
    assert b"Archived" in adam_client.get(f"{PAGES}/teams/").content
    adam_client.post(f"{page}archive/")
    assert adam_client.post(page, {"name": "Shop", "slug": "website", "team": ""}).status_code == 302
    with organization_scope(acme.id):
        website.refresh_from_db()
    assert (website.name, website.team, website.archived_at) == ("Shop", None, None)


# ── API ──


def test_teams_by_api(acme_api: Client, engineering: Department) -> None:
    made = acme_api.post("/v1/teams", {"name": "Search", "department": "engineering"}, content_type="application/json")
    assert made.status_code == 201, made.content
    assert (made.json()["slug"], made.json()["department"]) == ("search", "Engineering")
    assert acme_api.get("/v1/teams/search").json() == made.json()
    assert acme_api.get("/v1/teams").json()["data"] == [made.json()]
    changed = acme_api.patch("/v1/teams/search", {"department": None}, "application/json")
    assert changed.json()["department"] is None
    wrong = acme_api.patch("/v1/teams/search", {"department": "nowhere"}, "application/json")
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "department")
    assert acme_api.delete("/v1/teams/search").status_code == 204
    assert acme_api.get("/v1/teams/search").status_code == 404


def test_projects_by_api(acme_api: Client, search: Team) -> None:
    made = acme_api.post("/v1/projects", {"name": "Site", "team": "search"}, content_type="application/json")
    assert made.status_code == 201, made.content
    again = acme_api.post("/v1/projects", {"name": "Site", "slug": "site"}, content_type="application/json")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_exists")
    archived = acme_api.patch("/v1/projects/site", {"is_archived": True}, "application/json")
    assert archived.json()["archived_at"] is not None
    assert acme_api.get("/v1/projects").json()["data"] == []
    assert len(acme_api.get("/v1/projects?archived=true").json()["data"]) == 1
    assert acme_api.patch("/v1/projects/site", {"is_archived": False}, "application/json").json()["archived_at"] is None


def test_reading_needs_the_scope_usage_read(new_key: Callable[..., Key], website: Project) -> None:
    reader, writer = new_key(Scope.USAGE_READ).client, new_key(Scope.USAGE_WRITE).client
    assert reader.get("/v1/projects").status_code == 200
    assert writer.get("/v1/projects").status_code == 403
    assert reader.post("/v1/projects", {"name": "x"}, content_type="application/json").status_code == 403

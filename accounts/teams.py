"""How an organization is divided: departments with cost centers, teams in them, places in teams, projects."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Department, Membership, Organization, Project, Team, TeamMembership
from accounts.organizations import free_slug, validated
from core.errors import ApiError

# ── Departments ──


def create_department(organization: Organization, name: str, *, by: Actor, cost_center: str = "") -> Department:
    department = Department(organization=organization, name=name.strip(), cost_center=cost_center.strip())
    _insert(department, "name", f"There is a department {department.name} already.")
    audit.record(by, "department.create", department, audit.creation(department, ("name", "cost_center")))
    return department


def update_department(department: Department, values: Mapping[str, Any], *, by: Actor) -> None:
    _update(by, "department.update", department, values, "name", "There is a department of this name already.")


def delete_department(department: Department, *, by: Actor) -> None:
    """Its teams stay, without a department."""
    audit.record(by, "department.delete", department, {"name": (department.name, None)})
    department.delete()


# ── Teams ──


def create_team(organization: Organization, name: str, *, by: Actor, department: Department | None = None) -> Team:
    taken = set(Team.objects.values_list("slug", flat=True))
    team = Team(
        organization=organization, name=name.strip(), slug=free_slug(name, taken, "team"), department=department
    )
    _insert(team, "name", f"There is a team {team.name} already.")
    audit.record(by, "team.create", team, audit.creation(team, ("name", "slug", "department")))
    return team


def update_team(team: Team, values: Mapping[str, Any], *, by: Actor) -> None:
    _update(by, "team.update", team, values, "name", "There is a team of this name already.")


def delete_team(team: Team, *, by: Actor) -> None:
    """Its projects stay, without a team."""
    audit.record(by, "team.delete", team, {"name": (team.name, None)})
    team.delete()


def add_to_team(team: Team, membership: Membership, *, by: Actor, is_admin: bool = False) -> TeamMembership:
    place = TeamMembership(organization=team.organization, team=team, membership=membership, is_admin=is_admin)
    _insert(place, "member", f"{membership.user} is in {team.name} already.")
    audit.record(by, "team.add_member", team, {"member": (None, str(membership.user)), "is_admin": (None, is_admin)})
    return place


def set_team_admin(place: TeamMembership, is_admin: bool, *, by: Actor) -> None:
    if place.is_admin == is_admin:
        return
    before, place.is_admin = place.is_admin, is_admin
    place.save(update_fields=["is_admin"])
    changes = {"member": (str(place.membership.user),) * 2, "is_admin": (before, is_admin)}
    audit.record(by, "team.change_member", place.team, changes)


def remove_from_team(place: TeamMembership, *, by: Actor) -> None:
    audit.record(by, "team.remove_member", place.team, {"member": (str(place.membership.user), None)})
    place.delete()


# ── Projects ──


def create_project(
    organization: Organization, name: str, *, by: Actor, team: Team | None = None, slug: str = ""
) -> Project:
    """A project; programs call it by its slug, made from the name unless given."""
    if not slug:
        taken = set(Project.objects.values_list("slug", flat=True))
        slug = free_slug(name, taken, "project")
    project = Project(organization=organization, name=name.strip(), slug=slug, team=team)
    _insert(project, "slug", f"There is a project {slug} already.")
    audit.record(by, "project.create", project, audit.creation(project, ("name", "slug", "team")))
    return project


def update_project(project: Project, values: Mapping[str, Any], *, by: Actor) -> None:
    _update(by, "project.update", project, values, "slug", "There is a project of this slug already.")


def archive_project(project: Project, *, by: Actor) -> None:
    """It takes no new keys and is left out of lists; its usage stays."""
    if project.archived_at is None:
        audit.change(by, "project.archive", project, {"archived_at": now()})


def restore_project(project: Project, *, by: Actor) -> None:
    if project.archived_at is not None:
        audit.change(by, "project.restore", project, {"archived_at": None})


# ── Both ──


def _insert(instance: Department | Team | Project | TeamMembership, param: str, taken: str) -> None:
    validated(instance, exclude=("organization", "department", "team", "membership"))
    try:
        with transaction.atomic():
            instance.save(force_insert=True)
    except IntegrityError as error:
        raise ApiError(409, "already_exists", taken, param=param) from error


def _update(
    by: Actor, action: str, instance: Department | Team | Project, values: Mapping[str, Any], param: str, taken: str
) -> None:
    values = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
    draft = copy.copy(instance)
    for name, value in values.items():
        setattr(draft, name, value)
    validated(draft, exclude=("organization", "department", "team"))
    try:
        with transaction.atomic():
            audit.change(by, action, instance, values)
    except IntegrityError as error:
        instance.refresh_from_db()
        raise ApiError(409, "already_exists", taken, param=param) from error

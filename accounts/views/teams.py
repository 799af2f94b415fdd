"""/o/<organization>/settings/teams/: teams, the departments they are in, and projects."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count, Prefetch, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import teams
from accounts.forms.organization import DepartmentForm, PlaceForm, ProjectForm, TeamForm, refusals_in
from accounts.models import Department, Project, Team, TeamMembership
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import act_and_return, confirm_page, form_page, to

PAGE = "accounts:teams"


@require_safe
@require(Right.MANAGE_TEAMS, Right.SEE_MEMBERS)
def index(request: OrganizationRequest) -> HttpResponse:
    present = Q(places__membership__ended_at=None)
    context = {
        "page": {"title": "Teams and projects"},
        "departments": Department.objects.annotate(team_count=Count("teams")).order_by("name"),
        "teams": Team.objects.select_related("department")
        .annotate(
            member_count=Count("places", filter=present, distinct=True), project_count=Count("projects", distinct=True)
        )
        .order_by("name"),
        "projects": Project.objects.select_related("team").order_by("archived_at", "name"),
        "may_manage": may(request.role, Right.MANAGE_TEAMS),
    }
    return render(request, "accounts/teams.html", context)


# ── Departments ──


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_TEAMS)
def create_department(request: OrganizationRequest) -> HttpResponse:
    form = DepartmentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            department = teams.create_department(request.organization, by=request.actor, **form.cleaned_data)
            messages.success(request, f"Department {department.name} created.")
            return redirect(to(request, PAGE))
    return form_page(request, form, "New department", submit="Create department", back=to(request, PAGE))


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_TEAMS)
def change_department(request: OrganizationRequest, department: int) -> HttpResponse:
    row = get_object_or_404(Department.objects.all(), pk=department)
    form = DepartmentForm(request.POST or None, instance=Department.objects.get(pk=row.pk))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            teams.update_department(row, form.cleaned_data, by=request.actor)
            messages.success(request, f"Department {row.name} saved.")
            return redirect(to(request, PAGE))
    delete = to(request, "accounts:department-delete", row.pk)
    return form_page(
        request, form, row.name, submit="Save department", back=to(request, PAGE), delete=("Delete department", delete)
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_TEAMS)
def delete_department(request: OrganizationRequest, department: int) -> HttpResponse:
    row = get_object_or_404(Department.objects.all(), pk=department)
    return confirm_page(
        request,
        f"Delete department {row.name}?",
        "Its teams stay, without a department.",
        submit="Delete department",
        back=to(request, PAGE),
        act=lambda: teams.delete_department(row, by=request.actor),
        done=f"Department {row.name} deleted.",
    )


# ── Teams ──


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_TEAMS)
def create_team(request: OrganizationRequest) -> HttpResponse:
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            team = teams.create_team(request.organization, by=request.actor, **form.cleaned_data)
            messages.success(request, f"Team {team.name} created.")
            return redirect(to(request, "accounts:team", team.pk))
    return form_page(request, form, "New team", submit="Create team", back=to(request, PAGE))


@require_safe
@require(Right.MANAGE_TEAMS, Right.SEE_MEMBERS)
def team(request: OrganizationRequest, team: int) -> HttpResponse:
    places = TeamMembership.objects.filter(membership__ended_at=None).select_related("membership__user")
    rows = Team.objects.select_related("department").prefetch_related(
        Prefetch("places", queryset=places.order_by("membership__user__email"))
    )
    row = get_object_or_404(rows, pk=team)
    may_manage = may(request.role, Right.MANAGE_TEAMS)
    context = {
        "page": {"title": row.name},
        "team": row,
        "may_manage": may_manage,
        "form": PlaceForm(team=row) if may_manage else None,
    }
    return render(request, "accounts/team.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_TEAMS)
def change_team(request: OrganizationRequest, team: int) -> HttpResponse:
    row = get_object_or_404(Team.objects.select_related("department"), pk=team)
    form = TeamForm(request.POST or None, instance=Team.objects.get(pk=row.pk))
    back = to(request, "accounts:team", row.pk)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            teams.update_team(row, form.cleaned_data, by=request.actor)
            messages.success(request, f"Team {row.name} saved.")
            return redirect(back)
    delete = to(request, "accounts:team-delete", row.pk)
    return form_page(request, form, row.name, submit="Save team", back=back, delete=("Delete team", delete))


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_TEAMS)
def delete_team(request: OrganizationRequest, team: int) -> HttpResponse:
    row = get_object_or_404(Team.objects.all(), pk=team)
    return confirm_page(
        request,
        f"Delete team {row.name}?",
        "Its members and projects stay, without this team.",
        submit="Delete team",
        back=to(request, PAGE),
        act=lambda: teams.delete_team(row, by=request.actor),
        done=f"Team {row.name} deleted.",
    )


@require_POST
@require(Right.MANAGE_TEAMS)
def add_place(request: OrganizationRequest, team: int) -> HttpResponse:
    row = get_object_or_404(Team.objects.all(), pk=team)
    form = PlaceForm(request.POST, team=row)
    back = to(request, "accounts:team", row.pk)
    if not form.is_valid():
        messages.error(request, "Choose a member who is not in the team yet.")
        return redirect(back)
    member, is_admin = form.cleaned_data["member"], form.cleaned_data["is_admin"]
    return act_and_return(
        request,
        lambda: (teams.add_to_team(row, member, by=request.actor, is_admin=is_admin), None)[1],
        back,
        f"{member.user} is in {row.name} now.",
    )


@require_POST
@require(Right.MANAGE_TEAMS)
def change_place(request: OrganizationRequest, team: int, place: int) -> HttpResponse:
    """`do` is admin, member or remove."""
    rows = TeamMembership.objects.select_related("team", "membership__user")
    row = get_object_or_404(rows, pk=place, team_id=team)
    back = to(request, "accounts:team", team)
    who = row.membership.user
    if request.POST.get("do") == "remove":
        return act_and_return(
            request,
            lambda: teams.remove_from_team(row, by=request.actor),
            back,
            f"{who} is not in {row.team} any more.",
        )
    is_admin = request.POST.get("do") == "admin"
    done = f"{who} is {'an admin' if is_admin else 'a member'} of {row.team} now."
    return act_and_return(request, lambda: teams.set_team_admin(row, is_admin, by=request.actor), back, done)


# ── Projects ──


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_TEAMS)
def create_project(request: OrganizationRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            project = teams.create_project(request.organization, by=request.actor, **form.cleaned_data)
            messages.success(request, f"Project {project.name} created.")
            return redirect(to(request, PAGE))
    return form_page(request, form, "New project", submit="Create project", back=to(request, PAGE))


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_TEAMS)
def change_project(request: OrganizationRequest, project: int) -> HttpResponse:
    row = get_object_or_404(Project.objects.select_related("team"), pk=project)
    form = ProjectForm(request.POST or None, instance=Project.objects.get(pk=row.pk))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            teams.update_project(row, form.cleaned_data, by=request.actor)
            messages.success(request, f"Project {row.name} saved.")
            return redirect(to(request, PAGE))
    return form_page(request, form, row.name, submit="Save project", back=to(request, PAGE))


@require_POST
@require(Right.MANAGE_TEAMS)
def archive_project(request: OrganizationRequest, project: int) -> HttpResponse:
    """Archives, or takes out of the archive again."""
    row = get_object_or_404(Project.objects.all(), pk=project)
    act, word = (teams.archive_project, "archived") if row.archived_at is None else (teams.restore_project, "restored")
    return act_and_return(request, lambda: act(row, by=request.actor), to(request, PAGE), f"Project {row.name} {word}.")

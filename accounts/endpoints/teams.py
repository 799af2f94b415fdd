"""/v1/teams and /v1/projects"""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import teams
from accounts.api import OrganizationAPIView, answers
from accounts.endpoints.fields import DepartmentField, TeamField, page_of
from accounts.endpoints.keys import LISTING
from accounts.models import Project, Scope, Team
from core.pagination import PAGE_PARAMETERS, paginate

TEAM = {"id": 2, "name": "Search", "slug": "search", "department": "Engineering", "created_at": "2026-01-05T08:00:00Z"}
PROJECT = {
    "id": 5,
    "name": "Website",
    "slug": "website",
    "team": "search",
    "created_at": "2026-01-05T08:00:00Z",
    "archived_at": None,
}
# Whoever reads usage needs to know what it is divided by.
SCOPES: dict[str, Scope | None] = {
    "GET": Scope.USAGE_READ,
    "POST": Scope.ADMIN,
    "PATCH": Scope.ADMIN,
    "DELETE": Scope.ADMIN,
}


class TeamSerializer(serializers.ModelSerializer[Team]):
    department = DepartmentField(allow_null=True, required=False)

    class Meta:
        model = Team
        fields = tuple(TEAM)
        read_only_fields = ("slug", "created_at")


class ProjectSerializer(serializers.ModelSerializer[Project]):
    team = TeamField(allow_null=True, required=False)
    slug = serializers.SlugField(max_length=60, required=False)

    class Meta:
        model = Project
        fields = tuple(PROJECT)
        read_only_fields = ("created_at", "archived_at")


class ProjectChangeSerializer(ProjectSerializer):
    is_archived = serializers.BooleanField(required=False, write_only=True)

    class Meta(ProjectSerializer.Meta):
        fields = (*ProjectSerializer.Meta.fields, "is_archived")


def _valid(serializer: serializers.BaseSerializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


@extend_schema(tags=["Teams"])
class TeamsView(OrganizationAPIView):
    required_scopes = SCOPES
    query_parameters = PAGE_PARAMETERS

    @extend_schema(
        summary="List teams",
        operation_id="teams_list",
        parameters=LISTING,
        responses=answers(page_of("TeamPage", TeamSerializer(many=True))),
        examples=[OpenApiExample("Page", {"data": [TEAM], "has_more": False, "next_cursor": None}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        rows = Team.objects.select_related("department")
        return Response(paginate(rows, request.query_params).body(lambda row: TeamSerializer(row).data))

    @extend_schema(
        summary="Create a team",
        operation_id="teams_create",
        request=TeamSerializer,
        responses=answers(TeamSerializer, 201, also=(400, 409)),
        examples=[OpenApiExample("Request", {"name": "Search", "department": "Engineering"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        values = _valid(TeamSerializer(data=request.data))
        return Response(TeamSerializer(teams.create_team(self.organization, by=self.actor, **values)).data, status=201)


@extend_schema(tags=["Teams"])
class TeamView(OrganizationAPIView):
    required_scopes = SCOPES

    @extend_schema(summary="Get a team", operation_id="teams_get", responses=answers(TeamSerializer, also=(404,)))
    def get(self, _request: Request, team: str) -> Response:
        return Response(TeamSerializer(get_object_or_404(Team.objects.all(), slug=team)).data)

    @extend_schema(
        summary="Change a team",
        operation_id="teams_change",
        request=TeamSerializer(partial=True),
        responses=answers(TeamSerializer, also=(400, 404, 409)),
    )
    def patch(self, request: Request, team: str) -> Response:
        row = get_object_or_404(Team.objects.all(), slug=team)
        teams.update_team(row, _valid(TeamSerializer(row, data=request.data, partial=True)), by=self.actor)
        return Response(TeamSerializer(row).data)

    @extend_schema(summary="Delete a team", operation_id="teams_delete", responses=answers(None, 204, also=(404,)))
    def delete(self, _request: Request, team: str) -> Response:
        teams.delete_team(get_object_or_404(Team.objects.all(), slug=team), by=self.actor)
        return Response(status=204)


@extend_schema(tags=["Projects"])
class ProjectsView(OrganizationAPIView):
    required_scopes = SCOPES
    query_parameters = (*PAGE_PARAMETERS, "archived")

    @extend_schema(
        summary="List projects",
        operation_id="projects_list",
        parameters=[*LISTING, OpenApiParameter("archived", bool, description="true lists archived ones as well.")],
        responses=answers(page_of("ProjectPage", ProjectSerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [PROJECT], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        rows = Project.objects.select_related("team")
        if request.query_params.get("archived") != "true":
            rows = rows.filter(archived_at=None)
        return Response(paginate(rows, request.query_params).body(lambda row: ProjectSerializer(row).data))

    @extend_schema(
        summary="Create a project",
        operation_id="projects_create",
        request=ProjectSerializer,
        responses=answers(ProjectSerializer, 201, also=(400, 409)),
        examples=[OpenApiExample("Request", {"name": "Website", "team": "search"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        values = _valid(ProjectSerializer(data=request.data))
        project = teams.create_project(self.organization, by=self.actor, **values)
        return Response(ProjectSerializer(project).data, status=201)


@extend_schema(tags=["Projects"])
class ProjectView(OrganizationAPIView):
    required_scopes = SCOPES

    @extend_schema(
        summary="Get a project", operation_id="projects_get", responses=answers(ProjectSerializer, also=(404,))
    )
    def get(self, _request: Request, project: str) -> Response:
        return Response(ProjectSerializer(get_object_or_404(Project.objects.all(), slug=project)).data)

    @extend_schema(
        summary="Change or archive a project",
        operation_id="projects_change",
        request=ProjectChangeSerializer(partial=True),
        responses=answers(ProjectSerializer, also=(400, 404, 409)),
        examples=[OpenApiExample("Archive", {"is_archived": True}, request_only=True)],
    )
    def patch(self, request: Request, project: str) -> Response:
        row = get_object_or_404(Project.objects.all(), slug=project)
        values = _valid(ProjectChangeSerializer(row, data=request.data, partial=True))
        is_archived = values.pop("is_archived", None)
        teams.update_project(row, values, by=self.actor)
        if is_archived is not None:
            (teams.archive_project if is_archived else teams.restore_project)(row, by=self.actor)
        return Response(ProjectSerializer(row).data)

"""/v1/keys"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import keys
from accounts.api import OrganizationAPIView, answers
from accounts.endpoints.fields import MemberField, ProjectField, page_of
from accounts.models import APIKey, Scope
from core.pagination import PAGE_PARAMETERS, paginate

EXAMPLE = {
    "id": 12,
    "name": "search-prod",
    "prefix": "tl_4hT0vQx9a",
    "scopes": ["usage:write", "gateway"],
    "project": "search",
    "member": None,
    "requests_per_minute": 600,
    "tokens_per_minute": None,
    "status": "active",
    "created_at": "2026-11-02T09:30:00Z",
    "expires_at": None,
    "last_used_at": "2026-11-21T12:00:00Z",
    "revoked_at": None,
    "replaced_by": None,
}
LISTING = [
    OpenApiParameter("limit", int, description="1 to 100, 20 unless given."),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
]


class KeySerializer(serializers.ModelSerializer[APIKey]):
    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices), allow_empty=False)
    project = ProjectField(allow_null=True, required=False)
    member = MemberField(allow_null=True, required=False)
    status = serializers.CharField(read_only=True, help_text="active, expired or revoked")
    replaced_by = serializers.IntegerField(source="replaced_by_id", read_only=True, allow_null=True)

    class Meta:
        model = APIKey
        fields = tuple(EXAMPLE)
        read_only_fields = ("prefix", "created_at", "last_used_at", "revoked_at")
        extra_kwargs = {
            "requests_per_minute": {"min_value": 0},
            "tokens_per_minute": {"min_value": 0},
        }


class KeyChangeSerializer(KeySerializer):
    member = MemberField(read_only=True)


class NewKeySerializer(KeySerializer):
    secret = serializers.CharField(read_only=True, help_text="Shown in this answer and never again.")

    class Meta(KeySerializer.Meta):
        fields = (*KeySerializer.Meta.fields, "secret")


class RotationSerializer(serializers.Serializer[Any]):
    overlap_seconds = serializers.IntegerField(
        min_value=0,
        max_value=int(keys.LONGEST_OVERLAP.total_seconds()),
        default=int(keys.DEFAULT_OVERLAP.total_seconds()),
        help_text="How long the old key keeps working.",
    )


def _rows() -> QuerySet[APIKey]:
    return APIKey.objects.select_related("project", "member__user")


def _new(key: APIKey, secret: str) -> dict[str, Any]:
    return {**KeySerializer(key).data, "secret": secret}


@extend_schema(tags=["Keys"])
class KeysView(OrganizationAPIView):
    required_scopes = Scope.ADMIN
    query_parameters = (*PAGE_PARAMETERS, "status")

    @extend_schema(
        summary="List API keys",
        operation_id="keys_list",
        parameters=[*LISTING, OpenApiParameter("status", str, enum=["active"])],
        responses=answers(page_of("KeyPage", KeySerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [EXAMPLE], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        rows = _rows()
        if request.query_params.get("status") == "active":
            rows = rows.filter(pk__in=keys.active_keys())
        return Response(paginate(rows, request.query_params).body(lambda key: KeySerializer(key).data))

    @extend_schema(
        summary="Create an API key",
        operation_id="keys_create",
        request=NewKeySerializer,
        responses=answers(NewKeySerializer, 201, also=(400, 409)),
        examples=[
            OpenApiExample("Request", {"name": "search-prod", "scopes": ["usage:write"]}, request_only=True),
            OpenApiExample("Created", {**EXAMPLE, "secret": "tl_4hT0vQx9a…"}, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        body = NewKeySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        key, secret = keys.create_key(self.organization, by=self.actor, **body.validated_data)
        return Response(_new(key, secret), status=201)


@extend_schema(tags=["Keys"])
class KeyView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Get an API key", operation_id="keys_get", responses=answers(KeySerializer, also=(404,)),
        examples=[OpenApiExample("Key", EXAMPLE, response_only=True)],
    )  # fmt: skip
    def get(self, _request: Request, key: int) -> Response:
        return Response(KeySerializer(get_object_or_404(_rows(), pk=key)).data)

    @extend_schema(
        summary="Change an API key",
        operation_id="keys_change",
        request=KeyChangeSerializer(partial=True),
        responses=answers(KeySerializer, also=(400, 404, 409)),
        examples=[OpenApiExample("Request", {"name": "search-staging"}, request_only=True)],
    )
    def patch(self, request: Request, key: int) -> Response:
        row = get_object_or_404(_rows(), pk=key)
        body = KeyChangeSerializer(row, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        keys.update_key(row, body.validated_data, by=self.actor)
        return Response(KeySerializer(get_object_or_404(_rows(), pk=key)).data)

    @extend_schema(
        summary="Revoke an API key",
        operation_id="keys_revoke",
        description="Calls with it stop at once. Its usage stays in every report. Revoking again changes nothing.",
        responses=answers(KeySerializer, also=(404,)),
    )
    def delete(self, _request: Request, key: int) -> Response:
        row = get_object_or_404(_rows(), pk=key)
        keys.revoke_key(row, by=self.actor)
        return Response(KeySerializer(row).data)


@extend_schema(tags=["Keys"])
class KeyRotationView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Rotate an API key",
        operation_id="keys_rotate",
        description="Makes a successor with the same powers; the old key keeps working for the overlap.",
        request=RotationSerializer,
        responses=answers(NewKeySerializer, 201, also=(400, 404, 409)),
        examples=[OpenApiExample("Request", {"overlap_seconds": 3600}, request_only=True)],
    )
    def post(self, request: Request, key: int) -> Response:
        body = RotationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        overlap = timedelta(seconds=body.validated_data["overlap_seconds"])
        successor, secret = keys.rotate_key(get_object_or_404(_rows(), pk=key), by=self.actor, overlap=overlap)
        return Response(_new(successor, secret), status=201)

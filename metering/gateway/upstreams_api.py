"""/v1/upstreams"""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.endpoints.fields import page_of
from accounts.endpoints.keys import LISTING
from accounts.models import Scope
from core.pagination import PAGE_PARAMETERS, paginate
from metering.gateway import upstreams
from metering.gateway.providers import provider_of
from metering.models import Protocol, Upstream

EXAMPLE = {
    "id": 3,
    "name": "OpenAI",
    "protocol": "openai",
    "base_url": "https://api.openai.com/v1",
    "credential_state": "stored",
    "credential_hint": "9fQz",
    "provider": "",
    "effective_provider": "openai",
    "models": ["gpt-*", "o3*", "text-embedding-3-*"],
    "position": 0,
    "timeout_seconds": 600,
    "is_active": True,
    "created_at": "2026-11-02T09:30:00Z",
    "updated_at": "2026-11-02T09:30:00Z",
}
NEW = {
    "name": "OpenAI",
    "protocol": "openai",
    "base_url": "https://api.openai.com/v1",
    "credential": "sk-proj-…",
    "models": ["gpt-*", "o3*", "text-embedding-3-*"],
}


class UpstreamSerializer(serializers.Serializer[Upstream]):
    id = serializers.IntegerField(read_only=True)
    name = serializers.CharField(max_length=60)
    protocol = serializers.ChoiceField(Protocol.choices, help_text="Which requests it understands.")
    base_url = serializers.CharField(
        max_length=500,
        help_text="With the version for openai (https://api.openai.com/v1), without for anthropic "
        "(https://api.anthropic.com).",
    )
    credential = serializers.CharField(
        write_only=True,
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=upstreams.LONGEST_CREDENTIAL,
        help_text="The provider's key. Never shown again; null removes it. A change of server needs it again.",
    )
    credential_state = serializers.SerializerMethodField(
        help_text="none, stored, or lost: stored with a SECRET_KEY that is gone"
    )
    credential_hint = serializers.CharField(read_only=True, help_text="Its last characters.")
    provider = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=60,
        help_text="Whose usage objects and prices apply. Empty: told by the address.",
    )
    effective_provider = serializers.SerializerMethodField(help_text="Empty where the address tells nothing.")
    models = serializers.ListField(
        child=serializers.CharField(max_length=200),
        allow_empty=False,
        required=False,
        max_length=upstreams.MOST_PATTERNS,
        help_text='Names of models it serves, with * for any characters. ["*"] unless given.',
    )
    position = serializers.IntegerField(
        min_value=0,
        max_value=upstreams.LAST_POSITION,
        required=False,
        help_text="Smaller is asked first. Last unless given.",
    )
    timeout_seconds = serializers.IntegerField(
        min_value=1, max_value=3600, required=False, help_text="How long it may be silent. 600 unless given."
    )
    is_active = serializers.BooleanField(required=False)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def get_credential_state(self, upstream: Upstream) -> str:
        return upstreams.credential_state(upstream)

    def get_effective_provider(self, upstream: Upstream) -> str:
        return provider_of(upstream)


def _valid(data: Any, *, partial: bool = False) -> dict[str, Any]:
    body = UpstreamSerializer(data=data, partial=partial)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


@extend_schema(tags=["Upstreams"])
class UpstreamsView(OrganizationAPIView):
    required_scopes = Scope.ADMIN
    query_parameters = PAGE_PARAMETERS

    @extend_schema(
        summary="List upstreams",
        operation_id="upstreams_list",
        description="In fallback order.",
        parameters=LISTING,
        responses=answers(page_of("UpstreamPage", UpstreamSerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [EXAMPLE], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        page = paginate(Upstream.objects.all(), request.query_params, order=("position", "id"))
        return Response(page.body(lambda row: UpstreamSerializer(row).data))

    @extend_schema(
        summary="Create an upstream",
        operation_id="upstreams_create",
        description="From now on the gateway sends calls of its models there.",
        request=UpstreamSerializer,
        responses=answers(UpstreamSerializer, 201, also=(400, 409)),
        examples=[
            OpenApiExample("Request", NEW, request_only=True),
            OpenApiExample("Created", EXAMPLE, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        row = upstreams.create_upstream(self.organization, by=self.actor, **_valid(request.data))
        return Response(UpstreamSerializer(row).data, status=201)


@extend_schema(tags=["Upstreams"])
class UpstreamView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Get an upstream", operation_id="upstreams_get", responses=answers(UpstreamSerializer, also=(404,)),
        examples=[OpenApiExample("Upstream", EXAMPLE, response_only=True)],
    )  # fmt: skip
    def get(self, _request: Request, upstream: int) -> Response:
        return Response(UpstreamSerializer(get_object_or_404(Upstream.objects.all(), pk=upstream)).data)

    @extend_schema(
        summary="Change an upstream",
        operation_id="upstreams_change",
        description="`is_active` pauses it. Another server needs the credential again.",
        request=UpstreamSerializer(partial=True),
        responses=answers(UpstreamSerializer, also=(400, 404, 409)),
        examples=[OpenApiExample("Pause", {"is_active": False}, request_only=True)],
    )
    def patch(self, request: Request, upstream: int) -> Response:
        row = get_object_or_404(Upstream.objects.all(), pk=upstream)
        upstreams.update_upstream(row, _valid(request.data, partial=True), by=self.actor)
        return Response(UpstreamSerializer(row).data)

    @extend_schema(
        summary="Delete an upstream",
        operation_id="upstreams_delete",
        description="What was metered through it stays in every report.",
        responses=answers(None, 204, also=(404,)),
    )
    def delete(self, _request: Request, upstream: int) -> Response:
        upstreams.delete_upstream(get_object_or_404(Upstream.objects.all(), pk=upstream), by=self.actor)
        return Response(status=204)

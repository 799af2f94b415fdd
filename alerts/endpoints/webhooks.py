"""/v1/webhooks"""

from __future__ import annotations

from datetime import timedelta
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
from alerts.catalogue import KINDS
from alerts.examples import EXAMPLES
from alerts.models import Webhook
from alerts.webhooks import messages, outbox, records
from core.pagination import PAGE_PARAMETERS, paginate

EXAMPLE = {
    "id": 2,
    "url": "https://example.com/hooks/tokenledger",
    "description": "Costs in the data warehouse",
    "events": ["usage.threshold", "credits.low", "invoice.finalized"],
    "settings": {"usage_threshold_percent": 80, "credits_low_threshold": 50_000},
    "is_enabled": True,
    "disabled_by": None,
    "disabled_at": None,
    "failing_since": None,
    "former_secret_until": None,
    "created_at": "2026-11-02T09:30:00Z",
}
NEW = {name: EXAMPLE[name] for name in ("url", "events", "settings")}


class SettingsSerializer(serializers.Serializer[Any]):
    usage_threshold_percent = serializers.IntegerField(
        min_value=1,
        max_value=records.LARGEST["usage_threshold_percent"],
        allow_null=True,
        required=False,
        help_text="Told usage.threshold when so much of the period's allowance is used.",
    )
    credits_low_threshold = serializers.IntegerField(
        min_value=1,
        max_value=records.LARGEST["credits_low_threshold"],
        allow_null=True,
        required=False,
        help_text="Told credits.low below so many credits, in place of what the organization calls low.",
    )


class WebhookSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=records.LONGEST_URL, help_text="An https address of the public Internet.")
    description = serializers.CharField(max_length=200, allow_blank=True, required=False)
    events = serializers.ListField(
        child=serializers.CharField(max_length=60),
        allow_empty=False,
        help_text="Names of the catalogue (GET /v1/webhooks/events); `*` is all, those to come included.",
    )
    settings = SettingsSerializer(required=False)


class WebhookChangeSerializer(WebhookSerializer):
    is_enabled = serializers.BooleanField(required=False)


class WrittenWebhookSerializer(WebhookSerializer):
    id = serializers.IntegerField()
    is_enabled = serializers.BooleanField()
    disabled_by = serializers.CharField(allow_null=True, help_text="person, failing (for days) or gone (410).")
    disabled_at = serializers.DateTimeField(allow_null=True)
    failing_since = serializers.DateTimeField(allow_null=True, help_text="The first failure since the last success.")
    former_secret_until = serializers.DateTimeField(allow_null=True, help_text="Until then two secrets sign.")
    created_at = serializers.DateTimeField()


class NewWebhookSerializer(WrittenWebhookSerializer):
    secret = serializers.CharField(help_text="Shown in this answer and never again.")


class RotationSerializer(serializers.Serializer[Any]):
    overlap_seconds = serializers.IntegerField(
        min_value=0,
        max_value=int(records.LONGEST_OVERLAP.total_seconds()),
        default=int(records.DEFAULT_OVERLAP.total_seconds()),
        help_text="How long the former secret signs, too.",
    )


class WebhookEventSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    description = serializers.CharField()
    data_schema = serializers.DictField(help_text="JSON Schema of `data`.")
    example = serializers.DictField(help_text="A whole message.")


class WebhookEventsSerializer(serializers.Serializer[Any]):
    data = WebhookEventSerializer(many=True)  # type: ignore[assignment]


@extend_schema(tags=["Webhooks"])
class WebhooksView(OrganizationAPIView):
    required_scopes = Scope.ADMIN
    query_parameters = PAGE_PARAMETERS

    @extend_schema(
        summary="List webhooks",
        operation_id="webhooks_list",
        parameters=LISTING,
        responses=answers(page_of("WebhookPage", WrittenWebhookSerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [EXAMPLE], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        return Response(paginate(Webhook.objects.all(), request.query_params, ("id",)).body(_write))

    @extend_schema(
        summary="Create a webhook",
        operation_id="webhooks_create",
        request=WebhookSerializer,
        responses=answers(NewWebhookSerializer, 201, also=(400, 409)),
        examples=[
            OpenApiExample("Request", NEW, request_only=True),
            OpenApiExample("Created", {**EXAMPLE, "secret": "whsec_…"}, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        body = WebhookSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        webhook, secret = records.create(self.organization, _read(body.validated_data), by=self.actor)
        return Response({**_write(webhook), "secret": secret}, status=201)


class OneWebhookView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    def found(self, webhook: int) -> Webhook:
        row: Webhook = get_object_or_404(Webhook.objects.select_related("organization"), pk=webhook)
        return row


@extend_schema(tags=["Webhooks"])
class WebhookView(OneWebhookView):
    @extend_schema(
        summary="Get a webhook", operation_id="webhooks_get",
        responses=answers(WrittenWebhookSerializer, also=(404,)),
        examples=[OpenApiExample("Webhook", EXAMPLE, response_only=True)],
    )  # fmt: skip
    def get(self, _request: Request, webhook: int) -> Response:
        return Response(_write(self.found(webhook)))

    @extend_schema(
        summary="Change a webhook",
        operation_id="webhooks_change",
        description="`is_enabled` switches it on and off. What waits is sent to the new address, and when it is on.",
        request=WebhookChangeSerializer(partial=True),
        responses=answers(WrittenWebhookSerializer, also=(400, 404)),
        examples=[OpenApiExample("Request", {"events": ["*"]}, request_only=True)],
    )
    def patch(self, request: Request, webhook: int) -> Response:
        row = self.found(webhook)
        body = WebhookChangeSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        is_enabled = given.pop("is_enabled", None)
        records.change(row, _read(given), by=self.actor)
        if is_enabled is not None:
            (records.enable if is_enabled else records.disable)(row, by=self.actor)
            outbox.hasten(row)
        return Response(_write(self.found(webhook)))

    @extend_schema(
        summary="Delete a webhook",
        operation_id="webhooks_delete",
        description="With its delivery log. Nothing is sent to it any more.",
        responses=answers(None, 204, also=(404,)),
    )
    def delete(self, _request: Request, webhook: int) -> Response:
        records.remove(self.found(webhook), by=self.actor)
        return Response(status=204)


@extend_schema(tags=["Webhooks"])
class RotationView(OneWebhookView):
    @extend_schema(
        summary="Rotate a webhook's secret",
        operation_id="webhooks_rotate",
        description="Messages are signed with both for the overlap.",
        request=RotationSerializer,
        responses=answers(NewWebhookSerializer, also=(400, 404)),
        examples=[OpenApiExample("Request", {"overlap_seconds": 3600}, request_only=True)],
    )
    def post(self, request: Request, webhook: int) -> Response:
        row = self.found(webhook)
        body = RotationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        overlap = timedelta(seconds=body.validated_data["overlap_seconds"])
        secret = records.rotate(row, by=self.actor, overlap=overlap)
        return Response({**_write(row), "secret": secret})


@extend_schema(tags=["Webhooks"])
class EventsView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="List the types of events",
        description="What webhooks can be told, with a schema of `data` and an example of each.",
        operation_id="webhooks_events",
        responses=answers(WebhookEventsSerializer),
    )
    def get(self, _request: Request) -> Response:
        return Response(
            {
                "data": [
                    {
                        "type": kind.name,
                        "description": kind.about,
                        "data_schema": messages.schema_of(kind),
                        "example": messages.example_of(kind.name, EXAMPLES[kind.name]),
                    }
                    for kind in KINDS.values()
                ]
            }
        )


def _read(given: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {name: given[name] for name in ("url", "description", "events") if name in given}
    return {**values, **given.get("settings", {})}


def _write(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.pk,
        "url": webhook.url,
        "description": webhook.description,
        "events": webhook.events,
        "settings": {name: getattr(webhook, name) for name in records.LARGEST},
        "is_enabled": webhook.disabled_at is None,
        "disabled_by": webhook.disabled_by or None,
        "disabled_at": webhook.disabled_at,
        "failing_since": webhook.failing_since,
        "former_secret_until": webhook.former_until,
        "created_at": webhook.created_at,
    }

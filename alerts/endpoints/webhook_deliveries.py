"""/v1/webhooks/{id}/deliveries, /test, /replay"""

from __future__ import annotations

import json
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import answers
from accounts.endpoints.fields import page_of
from accounts.endpoints.keys import LISTING
from alerts.catalogue import KINDS, TEST
from alerts.endpoints.webhooks import EXAMPLE, OneWebhookView
from alerts.models import DeliveryState, WebhookAttempt, WebhookDelivery
from alerts.webhooks import outbox
from alerts.webhooks.signing import public_id
from core.days import within_years
from core.pagination import PAGE_PARAMETERS, narrow, paginate

KINDS_SENT = [*KINDS, TEST.name]
DELIVERY = {
    "id": 812,
    "message_id": "msg_0191d0c27b6a4f0f9c1d2e3f4a5b6c7d",
    "type": "credits.low",
    "state": "waiting",
    "attempts": 1,
    "last_status": 503,
    "last_problem": "It answered 503.",
    "next_attempt_at": "2026-11-21T14:05:05Z",
    "created_at": "2026-11-21T14:05:00Z",
    "delivered_at": None,
}
ATTEMPT = {
    "number": 1,
    "url": EXAMPLE["url"],
    "started_at": "2026-11-21T14:05:00Z",
    "duration_ms": 182,
    "status": 503,
    "problem": "It answered 503.",
    "request_headers": {"webhook-id": DELIVERY["message_id"], "webhook-timestamp": "1795269900"},
    "response_headers": {"retry-after": "120"},
    "response_body": "busy",
}


class ReplayRangeSerializer(serializers.Serializer[Any]):
    since = serializers.DateTimeField(validators=[within_years])
    until = serializers.DateTimeField(required=False, allow_null=True, validators=[within_years])
    with_delivered = serializers.BooleanField(default=False, help_text="Also what was taken.")


class ReplayedSerializer(serializers.Serializer[Any]):
    messages = serializers.IntegerField()


class WebhookDeliverySerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    message_id = serializers.CharField(help_text="The header webhook-id, the same in every attempt.")
    type = serializers.CharField()
    state = serializers.ChoiceField(choices=DeliveryState.values)
    attempts = serializers.IntegerField()
    last_status = serializers.IntegerField(allow_null=True)
    last_problem = serializers.CharField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)


class WebhookAttemptSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    url = serializers.CharField()
    started_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField()
    status = serializers.IntegerField(allow_null=True, help_text="Null: no answer came.")
    problem = serializers.CharField()
    request_headers = serializers.DictField(child=serializers.CharField())
    response_headers = serializers.DictField(child=serializers.CharField())
    response_body = serializers.CharField(help_text="The first 2 KB.")


class WholeDeliverySerializer(WebhookDeliverySerializer):
    body = serializers.DictField(help_text="What is sent.")
    attempt_log = WebhookAttemptSerializer(many=True)


@extend_schema(tags=["Webhooks"])
class TestView(OneWebhookView):
    @extend_schema(
        summary="Send a test message",
        operation_id="webhooks_test",
        description="`webhook.test`, whatever its events are; tried once. What came of it is in the deliveries.",
        request=None,
        responses=answers(WebhookDeliverySerializer, 202, also=(404, 409)),
        examples=[OpenApiExample("On its way", DELIVERY, response_only=True, status_codes=["202"])],
    )
    def post(self, _request: Request, webhook: int) -> Response:
        return Response(_write_delivery(outbox.send_test(self.found(webhook), by=self.actor)), status=202)


@extend_schema(tags=["Webhooks"])
class ReplayView(OneWebhookView):
    @extend_schema(
        summary="Replay messages of a time",
        operation_id="webhooks_replay",
        description=(
            "What happened since and was not taken, also while the webhook was disabled. Ids stay what they were. "
            f"At most {outbox.MOST_REPLAYED:,} messages of the last {outbox.KEPT.days} days."
        ),
        request=ReplayRangeSerializer,
        responses=answers(ReplayedSerializer, 202, also=(400, 404, 409)),
        examples=[OpenApiExample("Request", {"since": "2026-11-21T00:00:00Z"}, request_only=True)],
    )
    def post(self, request: Request, webhook: int) -> Response:
        row = self.found(webhook)
        body = ReplayRangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        found = outbox.replay_since(
            row,
            given["since"],
            by=self.actor,
            until=given.get("until"),
            with_delivered=given["with_delivered"],
        )
        return Response({"messages": found}, status=202)


@extend_schema(tags=["Webhooks"])
class DeliveriesView(OneWebhookView):
    query_parameters = (*PAGE_PARAMETERS, "state", "type")

    @extend_schema(
        summary="List deliveries",
        description=f"Messages of the last {outbox.KEPT.days} days, the newest first.",
        operation_id="webhooks_deliveries",
        parameters=[
            *LISTING,
            OpenApiParameter("state", str, enum=DeliveryState.values),
            OpenApiParameter("type", str, enum=KINDS_SENT),
        ],
        responses=answers(page_of("WebhookDeliveryPage", WebhookDeliverySerializer(many=True)), also=(404,)),
        examples=[
            OpenApiExample("Page", {"data": [DELIVERY], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request, webhook: int) -> Response:
        known = {"state": ("state", DeliveryState.values), "type": ("kind", KINDS_SENT)}
        rows = narrow(WebhookDelivery.objects.filter(webhook=self.found(webhook)), request.query_params, known)
        return Response(paginate(rows, request.query_params).body(_write_delivery))


class _DeliveryView(OneWebhookView):
    def delivery(self, webhook: int, delivery: int) -> WebhookDelivery:
        rows = WebhookDelivery.objects.select_related("webhook__organization")
        row: WebhookDelivery = get_object_or_404(rows, pk=delivery, webhook=webhook)
        return row


@extend_schema(tags=["Webhooks"])
class DeliveryView(_DeliveryView):
    @extend_schema(
        summary="Get a delivery",
        description="With what was sent, and each attempt with what came back.",
        operation_id="webhooks_delivery",
        responses=answers(WholeDeliverySerializer, also=(404,)),
        examples=[OpenApiExample("Delivery", {**DELIVERY, "body": {}, "attempt_log": [ATTEMPT]}, response_only=True)],
    )
    def get(self, _request: Request, webhook: int, delivery: int) -> Response:
        row = self.delivery(webhook, delivery)
        log = [_write_attempt(attempt) for attempt in row.attempts.order_by("number")]
        return Response({**_write_delivery(row), "body": json.loads(row.body), "attempt_log": log})


@extend_schema(tags=["Webhooks"])
class DeliveryReplayView(_DeliveryView):
    @extend_schema(
        summary="Replay a delivery",
        description="The same message, from the beginning of the schedule.",
        operation_id="webhooks_delivery_replay",
        request=None,
        responses=answers(WebhookDeliverySerializer, 202, also=(404, 409)),
    )
    def post(self, _request: Request, webhook: int, delivery: int) -> Response:
        outbox.replay(self.delivery(webhook, delivery), by=self.actor)
        return Response(_write_delivery(self.delivery(webhook, delivery)), status=202)


def _write_delivery(delivery: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": delivery.pk,
        "message_id": public_id(delivery.message_id),
        "type": delivery.kind,
        "state": delivery.state,
        "attempts": delivery.attempts_made,
        "last_status": delivery.last_status,
        "last_problem": delivery.last_problem,
        "next_attempt_at": delivery.due_at if delivery.state == DeliveryState.WAITING else None,
        "created_at": delivery.created_at,
        "delivered_at": delivery.delivered_at,
    }


def _write_attempt(attempt: WebhookAttempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "url": attempt.url,
        "started_at": attempt.started_at,
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "problem": attempt.problem,
        "request_headers": attempt.sent_headers,
        "response_headers": attempt.headers,
        "response_body": attempt.answer,
    }

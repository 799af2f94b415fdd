"""/v1/alerts"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.endpoints.fields import page_of
from accounts.endpoints.keys import LISTING
from accounts.models import Scope
from alerts import acting
from alerts.conditions import CONDITIONS, condition
from alerts.evaluation.wording import about_of, sentence, unit_of
from alerts.models import Alert, AlertState, RuleScope
from alerts.rules.naming import name_of
from alerts.rules.reach import Reach
from core.days import within_years
from core.errors import ApiError
from core.pagination import PAGE_PARAMETERS, narrow, paginate

ALERT = {
    "id": 31,
    "rule": {"id": 4, "name": "Hourly spike"},
    "condition": "hourly_spike",
    "kind": "usage.threshold",
    "scope": "organization",
    "label": "Acme",
    "about": None,
    "state": "open",
    "summary": "Acme used 412,300 tokens in the hour from 14:00 on Monday 7 September, 341% of the usual 120,908.",
    "window": "hour",
    "window_start": "2026-09-07T12:00:00Z",
    "window_end": "2026-09-07T13:00:00Z",
    "unit": "tokens",
    "value": 412_300,
    "bound": 241_816,
    "expected": 120_908,
    "threshold": 200.0,
    "opened_at": "2026-09-07T12:31:09Z",
    "snoozed_until": None,
    "resolved_at": None,
    "resolution": None,
    "explanation": {
        "by": [
            {
                "dimension": "model",
                "parts": [
                    {"key": "gpt-4o", "label": "gpt-4o", "actual": 380_100, "expected": 90_800, "is_rest": False},
                    {
                        "key": "gpt-4o-mini",
                        "label": "gpt-4o-mini",
                        "actual": 32_200,
                        "expected": 30_108,
                        "is_rest": False,
                    },
                ],
            }
        ]
    },
}


class RuleNameSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()


class PartSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(allow_null=True, help_text="Goes back into a filter; null is usage without one.")
    label = serializers.CharField()  # type: ignore[assignment]
    actual = serializers.IntegerField()
    expected = serializers.IntegerField(allow_null=True)
    is_rest = serializers.BooleanField(help_text="All parts that are not listed, together.")


class PartsSerializer(serializers.Serializer[Any]):
    dimension = serializers.CharField()
    parts = PartSerializer(many=True, help_text="They sum to the value; money is in billionths of a dollar.")


class ExplanationSerializer(serializers.Serializer[Any]):
    by = PartsSerializer(many=True, required=False)


class AlertSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    rule = RuleNameSerializer()
    condition = serializers.ChoiceField(choices=list(CONDITIONS))
    kind = serializers.CharField(help_text="The kind of message it is told by.")
    scope = serializers.ChoiceField(choices=RuleScope.values)
    label = serializers.CharField(help_text="Whose usage it is about.")  # type: ignore[assignment]
    about = serializers.CharField(allow_null=True, help_text="The model, of rules that watch each by itself.")
    state = serializers.ChoiceField(choices=AlertState.values)
    summary = serializers.CharField()
    window = serializers.CharField()
    window_start = serializers.DateTimeField()
    window_end = serializers.DateTimeField()
    unit = serializers.CharField(help_text="Of value, bound and expected.")
    value = serializers.JSONField(help_text="The furthest it went; a decimal string where the unit is usd.")
    bound = serializers.JSONField(help_text="What the value was held against.")
    expected = serializers.JSONField(allow_null=True, help_text="What was usual, where the rule knows.")
    threshold = serializers.JSONField(help_text="The rule's, in its own unit.")
    opened_at = serializers.DateTimeField()
    snoozed_until = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolution = serializers.CharField(allow_null=True)
    explanation = ExplanationSerializer()


class SnoozeSerializer(serializers.Serializer[Any]):
    minutes = serializers.IntegerField(required=False, min_value=1, max_value=30 * 24 * 60)
    until = serializers.DateTimeField(required=False, validators=[within_years])


_SCOPES: dict[str, Scope | None] = {"GET": Scope.USAGE_READ, "POST": Scope.ADMIN}
# A key that may read or administer what is the organization's sees all of it.
_REACH = Reach.whole()


@extend_schema(tags=["Alerts"])
class AlertsView(OrganizationAPIView):
    required_scopes = _SCOPES
    query_parameters = (*PAGE_PARAMETERS, "state", "condition", "scope", "rule")

    @extend_schema(
        summary="List alerts",
        description="The newest first.",
        operation_id="alerts_list",
        parameters=[
            *LISTING,
            OpenApiParameter("state", str, enum=AlertState.values),
            OpenApiParameter("condition", str, enum=list(CONDITIONS)),
            OpenApiParameter("scope", str, enum=RuleScope.values),
            OpenApiParameter("rule", int, description="Of this rule alone."),
        ],
        responses=answers(page_of("AlertPage", AlertSerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [ALERT], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        known = {
            "state": ("state", AlertState.values),
            "condition": ("condition", list(CONDITIONS)),
            "scope": ("scope", RuleScope.values),
        }
        rows = narrow(Alert.objects.select_related("rule"), request.query_params, known)
        rule = request.query_params.get("rule")
        if rule is not None:
            if not (rule.isascii() and rule.isdigit() and len(rule) < 10):
                raise ApiError(422, "invalid_parameter", "rule is the number of a rule.", param="rule")
            rows = rows.filter(rule_id=int(rule))
        page = paginate(rows, request.query_params, ("-opened_at", "-id"))
        zone = self.organization.zone
        return Response(page.body(lambda alert: write_alert(alert, zone)))


@extend_schema(tags=["Alerts"])
class AlertView(OrganizationAPIView):
    required_scopes = _SCOPES

    @extend_schema(
        summary="Get an alert",
        operation_id="alerts_get",
        responses=answers(AlertSerializer, also=(404,)),
        examples=[OpenApiExample("Alert", ALERT, response_only=True)],
    )
    def get(self, _request: Request, alert: int) -> Response:
        return Response(write_alert(acting.find(alert, _REACH), self.organization.zone))


@extend_schema(tags=["Alerts"])
class AcknowledgeView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Acknowledge an alert",
        description="Somebody sees to it: it is not told again.",
        operation_id="alerts_acknowledge",
        request=None,
        responses=answers(AlertSerializer, also=(404, 409)),
        examples=[OpenApiExample("Alert", ALERT | {"state": "acknowledged"}, response_only=True)],
    )
    def post(self, _request: Request, alert: int) -> Response:
        found = acting.acknowledge(acting.find(alert, _REACH), _REACH, by=self.actor)
        return Response(write_alert(found, self.organization.zone))


@extend_schema(tags=["Alerts"])
class SnoozeView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Snooze an alert",
        description="Quiet for so many minutes, or until a time; told again then, if it still goes on.",
        operation_id="alerts_snooze",
        request=SnoozeSerializer,
        responses=answers(AlertSerializer, also=(400, 404, 409)),
        examples=[
            OpenApiExample("Request", {"minutes": 60}, request_only=True),
            OpenApiExample(
                "Alert", ALERT | {"state": "snoozed", "snoozed_until": "2026-09-07T13:40:00Z"}, response_only=True
            ),
        ],
    )
    def post(self, request: Request, alert: int) -> Response:
        body = SnoozeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given, at = dict(body.validated_data), now()
        if len(given) != 1:
            raise ApiError(422, "invalid_parameter", "Say either minutes or until.", param="minutes")
        until = given.get("until") or at + dt.timedelta(minutes=given["minutes"])
        found = acting.snooze(acting.find(alert, _REACH), until, _REACH, by=self.actor, at=at)
        return Response(write_alert(found, self.organization.zone))


@extend_schema(tags=["Alerts"])
class ResolveView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Resolve an alert",
        description="It is over for its window, whatever usage says.",
        operation_id="alerts_resolve",
        request=None,
        responses=answers(AlertSerializer, also=(404, 409)),
        examples=[OpenApiExample("Alert", ALERT | {"state": "resolved", "resolution": "by_hand"}, response_only=True)],
    )
    def post(self, _request: Request, alert: int) -> Response:
        found = acting.resolve(acting.find(alert, _REACH), _REACH, by=self.actor)
        return Response(write_alert(found, self.organization.zone))


def write_alert(alert: Alert, zone: Any) -> dict[str, Any]:
    judged_by = condition(alert.condition)
    unit = unit_of(alert)
    return {
        "id": alert.pk,
        "rule": {"id": alert.rule_id, "name": name_of(alert.rule)},
        "condition": alert.condition,
        "kind": judged_by.kind,
        "scope": alert.scope,
        "label": alert.label,
        "about": about_of(alert) or None,
        "state": alert.state,
        "summary": sentence(alert, zone),
        "window": alert.window,
        "window_start": alert.period_starts_at,
        "window_end": alert.period_ends_at,
        "unit": unit.value,
        "value": unit.written(alert.actual),
        "bound": unit.written(alert.bound),
        "expected": unit.written(alert.expected),
        "threshold": judged_by.unit.written(alert.threshold),
        "opened_at": alert.opened_at,
        "snoozed_until": alert.snoozed_until,
        "resolved_at": alert.resolved_at,
        "resolution": alert.resolution or None,
        "explanation": alert.explanation,
    }

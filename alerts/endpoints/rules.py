"""/v1/alert-rules"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from alerts.conditions import CONDITIONS, condition
from alerts.conditions.anomaly import UNITS
from alerts.models import AlertRule, RuleScope, Window
from alerts.models.rules import TEXT_SCOPES
from alerts.rules import records
from alerts.rules.naming import Named, name_of, name_subjects, subject_key, terms
from alerts.rules.preview import DAYS, Firing, preview
from alerts.rules.reach import Reach
from core.errors import ApiError
from metering.query.labels import resolve_filters

RULE = {
    "id": 4,
    "name": "",
    "title": "Hourly spike",
    "terms": "> 200% of the average of the same hours",
    "condition": "hourly_spike",
    "scope": "organization",
    "of": None,
    "label": "Acme",
    "window": "hour",
    "unit": "percent",
    "threshold": 200.0,
    "minimum": 100_000,
    "renotify_minutes": None,
    "is_enabled": True,
    "created_at": "2026-09-01T08:00:00Z",
}
NEW = {"condition": "daily_limit", "scope": "team", "of": "search", "threshold": 1_000_000}
PREVIEW = {
    "days": 90,
    "count": 1,
    "firings": [
        {
            "about": None,
            "window_start": "2026-09-07T00:00:00+02:00",
            "window_end": "2026-09-08T00:00:00+02:00",
            "value": 1_204_331,
            "bound": 1_000_000,
            "over_at": "2026-09-08T00:00:00+02:00",
            "text": None,
        }
    ],
}


class RuleSerializer(serializers.Serializer[Any]):
    condition = serializers.ChoiceField(choices=list(CONDITIONS))
    name = serializers.CharField(max_length=120, allow_blank=True, required=False)
    scope = serializers.ChoiceField(choices=RuleScope.values, required=False, help_text="organization unless given.")
    of = serializers.CharField(
        max_length=200,
        allow_null=True,
        required=False,
        help_text="Slug, name, e-mail, prefix or id; the text of a model, feature or integration; null for everything.",
    )
    window = serializers.ChoiceField(choices=Window.values, required=False, help_text="Those of the condition.")
    threshold = serializers.DecimalField(
        max_digits=24, decimal_places=9, required=False, help_text="In the condition's unit; its own unless given."
    )
    minimum = serializers.DecimalField(
        max_digits=24, decimal_places=9, allow_null=True, required=False,
        help_text="Windows with less are too small to be judged; of conditions that have such.",
    )  # fmt: skip
    renotify_minutes = serializers.IntegerField(
        allow_null=True,
        required=False,
        min_value=records.LEAST_RENOTIFY_MINUTES,
        max_value=records.MOST_RENOTIFY_MINUTES,
        help_text="Told again after so long while it goes on; null: told once.",
    )
    is_enabled = serializers.BooleanField(required=False)


class WrittenRuleSerializer(RuleSerializer):
    id = serializers.IntegerField()
    title = serializers.CharField()
    terms = serializers.CharField(help_text="What it fires at, in words.")
    label = serializers.CharField(allow_null=True, help_text="Whose usage it watches; null where that was deleted.")  # type: ignore[assignment]
    unit = serializers.CharField(help_text="Of the threshold.")
    threshold = serializers.JSONField(help_text="A decimal string where the unit is usd.")  # type: ignore[assignment]
    minimum = serializers.IntegerField(allow_null=True)  # type: ignore[assignment]
    created_at = serializers.DateTimeField()


class RulesSerializer(serializers.Serializer[Any]):
    data = WrittenRuleSerializer(many=True)  # type: ignore[assignment]


class FiringSerializer(serializers.Serializer[Any]):
    about = serializers.CharField(allow_null=True)
    window_start = serializers.DateTimeField()
    window_end = serializers.DateTimeField()
    value = serializers.JSONField()
    bound = serializers.JSONField()
    over_at = serializers.DateTimeField(allow_null=True, help_text="Null: it would still hold.")
    text = serializers.CharField(allow_null=True, help_text="What was unusual, where that is what the rule watches.")


class PreviewSerializer(serializers.Serializer[Any]):
    days = serializers.IntegerField()
    count = serializers.IntegerField()
    firings = FiringSerializer(many=True)


_SCOPES: dict[str, Scope | None] = {
    "GET": Scope.USAGE_READ,
    "POST": Scope.ADMIN,
    "PATCH": Scope.ADMIN,
    "DELETE": Scope.ADMIN,
}
_REACH = Reach.whole()


@extend_schema(tags=["Alerts"])
class RulesView(OrganizationAPIView):
    required_scopes = _SCOPES

    @extend_schema(
        summary="List rules",
        operation_id="alert_rules_list",
        responses=answers(RulesSerializer),
        examples=[OpenApiExample("Rules", {"data": [RULE]}, response_only=True)],
    )
    def get(self, _request: Request) -> Response:
        rules = records.open_rules(_REACH)
        named = name_subjects(self.organization, rules)
        return Response({"data": [write_rule(rule, named[subject_key(rule)]) for rule in rules]})

    @extend_schema(
        summary="Create a rule",
        operation_id="alert_rules_create",
        request=RuleSerializer,
        responses=answers(WrittenRuleSerializer, 201, also=(400, 409)),
        examples=[
            OpenApiExample("Request", NEW, request_only=True),
            OpenApiExample("Created", RULE, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        rule = records.create_rule(self.organization, self._values(request), _REACH, by=self.actor)
        return Response(_one(rule), status=201)

    def _values(self, request: Request) -> dict[str, Any]:
        body = RuleSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return _read(self.organization.pk, dict(body.validated_data), body.validated_data["condition"])


@extend_schema(tags=["Alerts"])
class RulePreviewView(RulesView):
    http_method_names = ["post"]

    @extend_schema(
        summary="Preview a rule",
        description="When it would have fired in the last 90 days, had it been there. Nothing is saved.",
        operation_id="alert_rules_preview",
        request=RuleSerializer,
        responses=answers(PreviewSerializer, also=(400,)),
        examples=[
            OpenApiExample("Request", NEW, request_only=True),
            OpenApiExample("Preview", PREVIEW, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        values = self._values(request)
        draft = records.draft_rule(self.organization, values, _REACH)
        found = preview(self.organization, draft, now())
        return Response(
            {
                "days": DAYS,
                "count": len(found.firings),
                "firings": [_write_firing(draft, firing) for firing in found.firings],
            }
        )


@extend_schema(tags=["Alerts"])
class RuleView(OrganizationAPIView):
    required_scopes = _SCOPES

    @extend_schema(
        summary="Get a rule",
        operation_id="alert_rules_get",
        responses=answers(WrittenRuleSerializer, also=(404,)),
        examples=[OpenApiExample("Rule", RULE, response_only=True)],
    )
    def get(self, _request: Request, rule: int) -> Response:
        return Response(_one(records.find(rule, _REACH)))

    @extend_schema(
        summary="Change a rule",
        description="What it had open is over when it watches something else from now on.",
        operation_id="alert_rules_change",
        request=RuleSerializer(partial=True),
        responses=answers(WrittenRuleSerializer, also=(400, 404)),
        examples=[OpenApiExample("Request", {"threshold": 2_000_000}, request_only=True)],
    )
    def patch(self, request: Request, rule: int) -> Response:
        row = records.find(rule, _REACH)
        body = RuleSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        if "of" in given and "scope" not in given:
            given["scope"] = row.scope
        values = _read(self.organization.pk, given, given.get("condition", row.condition))
        return Response(_one(records.change_rule(row, values, _REACH, by=self.actor)))

    @extend_schema(
        summary="Remove a rule",
        operation_id="alert_rules_remove",
        description="It watches no more. Alerts it told stay.",
        responses=answers(None, 204, also=(404,)),
    )
    def delete(self, _request: Request, rule: int) -> Response:
        records.archive_rule(records.find(rule, _REACH), _REACH, by=self.actor)
        return Response(status=204)


# ── Reading ──


def _read(organization_id: int, given: dict[str, Any], name: str) -> dict[str, Any]:
    """Fields of a rule. Raises ApiError 422."""
    judged_by = condition(name)
    plain = ("condition", "name", "window", "renotify_minutes", "is_enabled")
    values = {field: given[field] for field in plain if field in given}
    if "threshold" in given:
        values["threshold"] = judged_by.unit.read(given["threshold"], "threshold")
    if given.get("minimum") is not None:
        minimum: Decimal = given["minimum"]
        values["minimum"] = judged_by.minimum_unit.read(minimum, "minimum")
    if "scope" in given or "of" in given:
        values |= _subject(organization_id, given.get("scope", RuleScope.ORGANIZATION), given.get("of"))
    return values


def _subject(organization_id: int, scope: str, of: str | None) -> dict[str, Any]:
    if scope == RuleScope.ORGANIZATION:
        if of is not None:
            raise ApiError(422, "invalid_parameter", "The organization has no name here: leave it out.", param="of")
        return {"scope": scope, "ref": 0, "value": ""}
    if not of:
        raise ApiError(422, "invalid_parameter", f"Name the {scope.replace('_', ' ')} it is for.", param="of")
    if scope in TEXT_SCOPES:
        return {"scope": scope, "ref": 0, "value": of}
    try:
        ref = resolve_filters(organization_id, {scope: (of,)})[scope].refs[0]
    except ApiError as error:
        raise ApiError(422, "invalid_parameter", error.message, param="of") from error
    return {"scope": scope, "ref": ref, "value": ""}


# ── Writing ──


def _one(rule: AlertRule) -> dict[str, Any]:
    return write_rule(rule, name_subjects(rule.organization, [rule])[subject_key(rule)])


def write_rule(rule: AlertRule, named: Named) -> dict[str, Any]:
    judged_by = condition(rule.condition)
    return {
        "id": rule.pk,
        "name": rule.name,
        "title": name_of(rule),
        "terms": terms(rule),
        "condition": rule.condition,
        "scope": rule.scope,
        "of": named.of,
        "label": named.label,
        "window": rule.window,
        "unit": judged_by.unit.value,
        "threshold": judged_by.unit.written(rule.threshold),
        "minimum": judged_by.minimum_unit.written(rule.minimum),
        "renotify_minutes": rule.renotify_minutes,
        "is_enabled": rule.is_enabled,
        "created_at": rule.created_at,
    }


def _write_firing(rule: AlertRule, firing: Firing) -> dict[str, Any]:
    spell = firing.spell
    finding = spell.reading.finding
    unit = condition(rule.condition).measured if finding is None else UNITS[finding.measure]
    return {
        "about": firing.about or None,
        "window_start": spell.start,
        "window_end": spell.end,
        "value": unit.written(spell.reading.value),
        "bound": unit.written(spell.reading.bound),
        "over_at": spell.resolved_at,
        "text": None if finding is None else finding.text,
    }

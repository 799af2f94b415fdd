"""/v1/plans and /v1/subscription."""

from __future__ import annotations

import datetime as dt
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from billing.contracts import Contract
from billing.models import Feature, Overage, PlanVersion, SubscriptionChange
from billing.plans import versions_on
from core.errors import ApiError
from core.money import usd_text
from core.periods import local_day

PLAN = {
    "code": "startup",
    "name": "Startup",
    "base_fee_usd": "149",
    "allowance_tokens": 25_000_000,
    "overage": "charge",
    "requests_per_minute": 3_000,
    "tokens_per_minute": 3_000_000,
    "features": [],
    "trial_days": 14,
    "is_offered": True,
    "is_current": True,
}
SUBSCRIPTION = {
    "plan": PLAN,
    "status": "active",
    "period": {"starts_on": "2026-11-01", "ends_on": "2026-12-01"},
    "allowance_tokens": 25_000_000,
    "trial_ends_on": None,
    "scheduled": {"plan": "free", "effective_on": "2026-12-01"},
    "history": [
        {
            "kind": "start",
            "plan": "startup",
            "effective_on": "2026-03-09",
            "decided_at": "2026-03-09T10:21:07Z",
            "decided_by": "alice@northbound.test",
        }
    ],
}


class PlanSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    name = serializers.CharField()
    base_fee_usd = serializers.CharField(help_text="A period's fee, exact decimal dollars.")
    allowance_tokens = serializers.IntegerField(allow_null=True, help_text="Tokens a period; null is unlimited.")
    overage = serializers.ChoiceField(choices=Overage.values, help_text="What becomes of tokens over the allowance.")
    requests_per_minute = serializers.IntegerField(allow_null=True, help_text="Null is unlimited.")
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    features = serializers.ListField(child=serializers.ChoiceField(choices=Feature.values))
    trial_days = serializers.IntegerField()
    is_offered = serializers.BooleanField(help_text="Whether one can move to it without an agreement.")
    is_current = serializers.BooleanField()


class PlansSerializer(serializers.Serializer[Any]):
    data = PlanSerializer(many=True)  # type: ignore[assignment]


class PeriodSerializer(serializers.Serializer[Any]):
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="The first day of the next period.")


class ScheduledSerializer(serializers.Serializer[Any]):
    plan = serializers.CharField()
    effective_on = serializers.DateField()


class ChangeSerializer(ScheduledSerializer):
    kind = serializers.CharField()
    decided_at = serializers.DateTimeField()
    decided_by = serializers.CharField()


class SubscriptionSerializer(serializers.Serializer[Any]):
    plan = PlanSerializer()
    status = serializers.ChoiceField(choices=["trialing", "active"])
    period = PeriodSerializer()
    allowance_tokens = serializers.IntegerField(allow_null=True, help_text="Of this period; null is unlimited.")
    trial_ends_on = serializers.DateField(allow_null=True)
    scheduled = ScheduledSerializer(allow_null=True, help_text="The change of plan that is to come.")
    history = ChangeSerializer(many=True)


@extend_schema(tags=["Billing"])
class PlansView(OrganizationAPIView):
    required_scopes = Scope.BILLING_READ

    @extend_schema(
        summary="List plans",
        description="The plans on offer, and the organization's own, the cheapest first, as they are today.",
        operation_id="plans_list",
        responses=answers(PlansSerializer),
        examples=[OpenApiExample("Plans", {"data": [PLAN]}, response_only=True)],
    )
    def get(self, _request: Request) -> Response:
        organization = self.organization
        contract = Contract.load(organization)
        today = local_day(dt.datetime.now(dt.UTC), organization.zone)
        current = contract.version_on(today) if contract is not None else None
        listed = versions_on(today)
        if current is not None:
            # As it is for this organization's period, where a new version has begun within it.
            listed[current.plan.code] = current
        return Response(
            {"data": [write_plan(one, current) for one in listed.values() if one.is_offered or one is current]}
        )


@extend_schema(tags=["Billing"])
class SubscriptionView(OrganizationAPIView):
    required_scopes = Scope.BILLING_READ

    @extend_schema(
        summary="Get the subscription",
        description="The plan of today, its period, what is scheduled, and every decision about it.",
        operation_id="subscription_get",
        responses=answers(SubscriptionSerializer, also=(404,)),
        examples=[OpenApiExample("Subscription", SUBSCRIPTION, response_only=True)],
    )
    def get(self, _request: Request) -> Response:
        contract = Contract.load(self.organization)
        version = contract.version_on(contract.today()) if contract is not None else None
        if contract is None or version is None:
            raise ApiError(404, "not_subscribed", "This organization has no plan.")
        today = contract.today()
        period = contract.period(today)
        trial_ends_on = contract.trial_ends_on(today)
        following = contract.next_change(today)
        return Response(
            {
                "plan": write_plan(version, version),
                "status": "active" if trial_ends_on is None else "trialing",
                "period": {"starts_on": period.starts_on, "ends_on": period.ends_on},
                "allowance_tokens": contract.allowance(period),
                "trial_ends_on": trial_ends_on,
                "scheduled": {"plan": following.plan, "effective_on": following.effective_on} if following else None,
                "history": [
                    {
                        "kind": change.kind,
                        "plan": change.plan.code,
                        "effective_on": change.effective_on,
                        "decided_at": change.decided_at,
                        "decided_by": change.decided_by_label,
                    }
                    for change in SubscriptionChange.objects.select_related("plan").order_by("number")
                ],
            }
        )


def write_plan(version: PlanVersion, current: PlanVersion | None) -> dict[str, Any]:
    return {
        "code": version.plan.code,
        "name": version.name,
        "base_fee_usd": usd_text(version.base_fee_nanos),
        "allowance_tokens": version.allowance_tokens,
        "overage": version.overage,
        "requests_per_minute": version.requests_per_minute,
        "tokens_per_minute": version.tokens_per_minute,
        "features": version.features,
        "trial_days": version.trial_days,
        "is_offered": version.is_offered,
        "is_current": current is not None and current.plan_id == version.plan_id,
    }

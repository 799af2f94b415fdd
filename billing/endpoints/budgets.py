"""/v1/budgets"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.endpoints.fields import MemberField
from accounts.models import Organization, Scope
from billing.budgets import records
from billing.budgets.actuals import Actual, actuals
from billing.budgets.reach import Reach
from billing.budgets.suggestions import Suggestion, suggest
from billing.models import BudgetPeriod, BudgetScope
from core.days import within_years
from core.errors import ApiError
from core.money import nanos_from_usd, usd_text
from metering.models import LimitUnit
from metering.query.labels import name_refs, resolve_filters
from metering.query.metrics import rounded

BUDGET = {
    "id": 4,
    "name": "",
    "scope": "team",
    "of": "support",
    "label": "Support",
    "model": None,
    "feature": None,
    "period": "month",
    "starts_on": None,
    "ends_on": None,
    "amount_usd": "450",
    "amount_tokens": None,
    "thresholds": [{"percent": 75, "name": "warning"}, {"percent": 90, "name": "caution"}],
    "is_hard": False,
    "owner": "alice@northbound.test",
    "created_at": "2026-10-28T09:12:44Z",
    "actual": {
        "starts_on": "2026-11-01",
        "ends_on": "2026-12-01",
        "cost_usd": "409.702114",
        "tokens": 88_214_020,
        "used_percent": 91.0,
        "passed_percent": 71.3,
        "remaining_usd": "40.297886",
        "remaining_tokens": None,
        "status": "caution",
        "is_exceeded": False,
        "unpriced_tokens": 0,
    },
}
NEW = {"scope": "team", "of": "support", "amount_usd": "450", "is_hard": False}
SUGGESTION = {
    "scope": "team",
    "of": "search",
    "label": "Search",
    "months_usd": ["401.2", "455.871", "487.31"],
    "amount_usd": "540",
}


class ThresholdSerializer(serializers.Serializer[Any]):
    percent = serializers.IntegerField(min_value=1, max_value=records.LARGEST_PERCENT)
    name = serializers.CharField(max_length=40)


class BudgetSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120, allow_blank=True, required=False)
    scope = serializers.ChoiceField(choices=BudgetScope.values)
    of = serializers.CharField(
        allow_null=True, required=False, help_text="Slug, name, e-mail, prefix or id; null for the organization."
    )
    model = serializers.CharField(max_length=200, allow_null=True, required=False, help_text="Of this model alone.")
    feature = serializers.CharField(max_length=200, allow_null=True, required=False)
    period = serializers.ChoiceField(choices=BudgetPeriod.values, required=False)
    starts_on = serializers.DateField(
        allow_null=True, required=False, validators=[within_years], help_text="Of a custom period."
    )
    ends_on = serializers.DateField(
        allow_null=True, required=False, validators=[within_years], help_text="The first day behind it."
    )
    amount_usd = serializers.DecimalField(
        max_digits=18, decimal_places=9, allow_null=True, required=False, help_text="Either this or amount_tokens."
    )
    amount_tokens = serializers.IntegerField(allow_null=True, required=False, max_value=2**62)
    thresholds = ThresholdSerializer(many=True, required=False)
    is_hard = serializers.BooleanField(required=False, help_text="Whether calls beyond it are refused.")
    owner = MemberField(allow_null=True, required=False)


class ActualSerializer(serializers.Serializer[Any]):
    starts_on = serializers.DateField()
    ends_on = serializers.DateField()
    cost_usd = serializers.CharField(allow_null=True, help_text="Null: nothing of the usage has a price.")
    tokens = serializers.IntegerField()
    used_percent = serializers.FloatField()
    passed_percent = serializers.FloatField(help_text="How much of the period has passed.")
    remaining_usd = serializers.CharField(allow_null=True)
    remaining_tokens = serializers.IntegerField(allow_null=True)
    status = serializers.CharField(allow_null=True, help_text="The highest threshold that is reached.")
    is_exceeded = serializers.BooleanField()
    unpriced_tokens = serializers.IntegerField(help_text="Tokens whose cost is not known and not counted.")


class WrittenBudgetSerializer(BudgetSerializer):
    id = serializers.IntegerField()
    label = serializers.CharField(allow_null=True, help_text="Whose it is.")  # type: ignore[assignment]
    created_at = serializers.DateTimeField()
    actual = ActualSerializer()


class BudgetsSerializer(serializers.Serializer[Any]):
    data = WrittenBudgetSerializer(many=True)  # type: ignore[assignment]


class SuggestionSerializer(serializers.Serializer[Any]):
    scope = serializers.CharField()
    of = serializers.CharField(allow_null=True)
    label = serializers.CharField()  # type: ignore[assignment]
    months_usd = serializers.ListField(child=serializers.CharField(), help_text="The last whole months, oldest first.")
    amount_usd = serializers.CharField()


class SuggestionsSerializer(serializers.Serializer[Any]):
    data = SuggestionSerializer(many=True)  # type: ignore[assignment]


_SCOPES: dict[str, Scope | None] = {
    "GET": Scope.BILLING_READ,
    "POST": Scope.ADMIN,
    "PATCH": Scope.ADMIN,
    "DELETE": Scope.ADMIN,
}
# A key that may read or administer what is the organization's sees all of it.
_REACH = Reach.whole()


@extend_schema(tags=["Budgets"])
class BudgetsView(OrganizationAPIView):
    required_scopes = _SCOPES

    @extend_schema(
        summary="List budgets",
        description="Every budget with what is used of it in its period.",
        operation_id="budgets_list",
        responses=answers(BudgetsSerializer),
        examples=[OpenApiExample("Budgets", {"data": [BUDGET]}, response_only=True)],
    )
    def get(self, _request: Request) -> Response:
        found = actuals(self.organization, records.open_budgets(_REACH), now())
        keys = _keys(found)
        return Response({"data": [write_budget(one, keys) for one in found]})

    @extend_schema(
        summary="Create a budget",
        operation_id="budgets_create",
        request=BudgetSerializer,
        responses=answers(WrittenBudgetSerializer, 201, also=(400, 409)),
        examples=[
            OpenApiExample("Request", NEW, request_only=True),
            OpenApiExample("Created", BUDGET, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        values = _read(self.organization.pk, _validated(request.data))
        if "amount" not in values:
            raise ApiError(422, "invalid_parameter", "A budget has an amount.", param="amount_usd")
        budget = records.create_budget(self.organization, values, _REACH, by=self.actor)
        return Response(_one(self.organization, budget.pk), status=201)


@extend_schema(tags=["Budgets"])
class BudgetView(OrganizationAPIView):
    required_scopes = _SCOPES

    @extend_schema(
        summary="Get a budget", operation_id="budgets_get", responses=answers(WrittenBudgetSerializer, also=(404,)),
        examples=[OpenApiExample("Budget", BUDGET, response_only=True)],
    )  # fmt: skip
    def get(self, _request: Request, budget: int) -> Response:
        return Response(_one(self.organization, budget))

    @extend_schema(
        summary="Change a budget",
        operation_id="budgets_change",
        request=BudgetSerializer(partial=True),
        responses=answers(WrittenBudgetSerializer, also=(400, 404)),
        examples=[OpenApiExample("Request", {"amount_usd": "600"}, request_only=True)],
    )
    def patch(self, request: Request, budget: int) -> Response:
        row = records.find(budget, _REACH)
        given = _validated(request.data, partial=True)
        if "of" in given and "scope" not in given:
            given["scope"] = row.scope
        records.change_budget(row, _read(self.organization.pk, given), _REACH, by=self.actor)
        return Response(_one(self.organization, budget))

    @extend_schema(
        summary="Archive a budget",
        operation_id="budgets_archive",
        description="It bounds and tells nothing any more.",
        responses=answers(None, 204, also=(404,)),
    )
    def delete(self, _request: Request, budget: int) -> Response:
        records.archive_budget(records.find(budget, _REACH), _REACH, by=self.actor)
        return Response(status=204)


@extend_schema(tags=["Budgets"])
class SuggestionsView(OrganizationAPIView):
    required_scopes = Scope.BILLING_READ
    query_parameters = ("scope",)

    @extend_schema(
        summary="Suggest budgets",
        description=(
            "Monthly budgets for all of a scope that have none: the largest of the last three whole months and a "
            "tenth, rounded up to two digits."
        ),
        operation_id="budgets_suggestions",
        parameters=[OpenApiParameter("scope", str, enum=BudgetScope.values, description="team unless given.")],
        responses=answers(SuggestionsSerializer),
        examples=[OpenApiExample("Suggestions", {"data": [SUGGESTION]}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        scope = request.query_params.get("scope", BudgetScope.TEAM.value)
        if scope not in BudgetScope.values:
            raise ApiError(422, "invalid_parameter", f"scope is one of {', '.join(BudgetScope.values)}.", param="scope")
        found = suggest(self.organization, scope, _REACH, now())
        return Response({"data": [_write_suggestion(one) for one in found]})


# ── Reading ──


def _validated(data: Any, *, partial: bool = False) -> dict[str, Any]:
    """What was sent, each of its fields known. Raises ApiError 422."""
    body = BudgetSerializer(data=data, partial=partial)
    body.is_valid(raise_exception=True)
    unknown = [name for name in data if name not in body.fields]
    if unknown:
        name = str(unknown[0])[:100]
        raise ApiError(422, "unknown_parameter", f"There is no field {name!r} here.", param=name)
    for name in ("amount_usd", "amount_tokens"):
        amount = body.validated_data.get(name)
        if amount is not None and amount <= 0:
            raise ApiError(422, "invalid_parameter", "A budget is more than nothing.", param=name)
    return dict(body.validated_data)


def _read(organization_id: int, given: dict[str, Any]) -> dict[str, Any]:
    """Fields of a budget. Raises ApiError 422."""
    plain = ("name", "scope", "period", "starts_on", "ends_on", "is_hard", "owner")
    values = {name: given[name] for name in plain if name in given}
    values |= {name: given[name] or "" for name in ("model", "feature") if name in given}
    if "thresholds" in given:
        values["thresholds"] = [dict(one) for one in given["thresholds"]]
    if "scope" in given:
        values["ref"] = _ref(organization_id, given["scope"], given.get("of"))
    return values | _amount(given.get("amount_usd"), given.get("amount_tokens"))


def _ref(organization_id: int, scope: str, of: str | None) -> int:
    if scope == BudgetScope.ORGANIZATION:
        if of is not None:
            raise ApiError(422, "invalid_parameter", "The organization has no name here: leave it out.", param="of")
        return 0
    if not of:
        raise ApiError(422, "invalid_parameter", f"Name the {scope.replace('_', ' ')} it is for.", param="of")
    return resolve_filters(organization_id, {scope: (of,)})[scope].refs[0]


def _amount(usd: Decimal | None, tokens: int | None) -> dict[str, Any]:
    if usd is not None and tokens is not None:
        raise ApiError(
            422, "invalid_parameter", "A budget is in dollars or in tokens, not both.", param="amount_tokens"
        )
    if usd is not None:
        return {"unit": LimitUnit.COST.value, "amount": nanos_from_usd(usd)}
    return {} if tokens is None else {"unit": LimitUnit.TOKENS.value, "amount": tokens}


# ── Writing ──


def _one(organization: Organization, budget_id: int) -> dict[str, Any]:
    found = actuals(organization, [records.find(budget_id, _REACH)], now())
    return write_budget(found[0], _keys(found))


def _keys(found: list[Actual]) -> dict[tuple[str, int], str | None]:
    """What goes back into `of`, by scope and id."""
    refs: dict[str, set[int]] = {}
    for one in found:
        if one.budget.ref:
            refs.setdefault(str(one.budget.scope), set()).add(one.budget.ref)
    if not refs:
        return {}
    named = name_refs(found[0].budget.organization_id, refs)
    return {(scope, ref): named[scope][ref].key for scope, values in refs.items() for ref in values}


def write_budget(actual: Actual, keys: dict[tuple[str, int], str | None]) -> dict[str, Any]:
    budget = actual.budget
    is_money = budget.unit == LimitUnit.COST
    return {
        "id": budget.pk,
        "name": budget.name,
        "scope": budget.scope,
        "of": keys.get((budget.scope, budget.ref)),
        "label": actual.label,
        "model": budget.model or None,
        "feature": budget.feature or None,
        "period": budget.period,
        "starts_on": budget.starts_on,
        "ends_on": budget.ends_on,
        "amount_usd": usd_text(budget.amount) if is_money else None,
        "amount_tokens": None if is_money else budget.amount,
        "thresholds": budget.thresholds,
        "is_hard": budget.is_hard,
        "owner": budget.owner.user.email if budget.owner else None,
        "created_at": budget.created_at,
        "actual": {
            "starts_on": actual.span.starts_on,
            "ends_on": actual.span.ends_on,
            "cost_usd": usd_text(actual.figures.cost_nanos),
            "tokens": actual.figures.total_tokens,
            "used_percent": rounded(actual.used_part * 100, 1),
            "passed_percent": rounded(actual.passed * 100, 1),
            "remaining_usd": usd_text(actual.remaining) if is_money else None,
            "remaining_tokens": None if is_money else actual.remaining,
            "status": actual.status,
            "is_exceeded": actual.is_exceeded,
            "unpriced_tokens": actual.figures.unpriced_tokens,
        },
    }


def _write_suggestion(one: Suggestion) -> dict[str, Any]:
    return {
        "scope": one.scope,
        "of": one.subject.key,
        "label": one.subject.label,
        "months_usd": [usd_text(nanos) for nanos in one.months],
        "amount_usd": usd_text(one.amount_nanos),
    }

"""/v1/credits: what there is, what is low, and every entry of the ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.endpoints.fields import page_of
from accounts.endpoints.keys import LISTING
from accounts.models import Scope
from billing.credits import ledger, settlement, wallets
from billing.credits.order import in_order
from billing.credits.topping_up import MOST_A_DAY
from billing.models import CreditEntry, CreditKind, Wallet
from core.errors import ApiError
from core.money import NANOS_PER_USD, nanos_from_usd, usd_text
from core.pagination import PAGE_PARAMETERS, paginate

CREDITS = {
    "credits_remaining": 1_187_400,
    "available_usd": "118.740518",
    "balance_usd": "121.5",
    "unsettled_usd": "2.759482",
    "low_below_usd": "20",
    "is_low": False,
    "auto_top_up": {"below_usd": "10", "amount_usd": "100"},
    "grants": [
        {"kind": "promotion", "left_usd": "21.5", "expires_at": "2026-12-31T23:00:00Z", "note": "Welcome"},
        {"kind": "purchase", "left_usd": "100", "expires_at": None, "note": ""},
    ],
}
ENTRY = {
    "number": 12,
    "kind": "consumption",
    "amount_usd": "-3.5",
    "balance_usd": "121.5",
    "source": "usage:2026-11-01#9",
    "occurred_at": "2026-11-21T12:00:00Z",
    "expires_at": None,
    "note": "",
    "recorded_by": "usage",
}


class GrantSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    left_usd = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(allow_blank=True)


class TopUpRuleSerializer(serializers.Serializer[Any]):
    below_usd = serializers.DecimalField(max_digits=18, decimal_places=9)
    amount_usd = serializers.DecimalField(max_digits=18, decimal_places=9)


class RulesSerializer(serializers.Serializer[Any]):
    low_below_usd = serializers.DecimalField(
        max_digits=18, decimal_places=9, allow_null=True, help_text="Null: it is never told that credits are low."
    )
    auto_top_up = TopUpRuleSerializer(allow_null=True, help_text="Null: nothing is bought by itself.")


class CreditsSerializer(RulesSerializer):
    credits_remaining = serializers.IntegerField(help_text="Whole credits that may be spent; a part of one is none.")
    available_usd = serializers.CharField(help_text="The balance less what usage has not been settled yet.")
    balance_usd = serializers.CharField(help_text="The sum of all entries.")
    unsettled_usd = serializers.CharField()
    is_low = serializers.BooleanField()
    grants = GrantSerializer(many=True, help_text="What is left, in the order in which it is used.")


class EntrySerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=CreditKind.choices)
    amount_usd = serializers.CharField()
    balance_usd = serializers.CharField(help_text="Behind this entry.")
    source = serializers.CharField()  # type: ignore[assignment]
    occurred_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(allow_blank=True)
    recorded_by = serializers.CharField()


@extend_schema(tags=["Billing"])
class CreditsView(OrganizationAPIView):
    required_scopes = {"GET": Scope.BILLING_READ, "PATCH": Scope.ADMIN}

    @extend_schema(
        summary="Get the credits",
        description="What may be spent now, usage of this moment included, and what it is made of.",
        operation_id="credits_get",
        responses=answers(CreditsSerializer),
        examples=[OpenApiExample("Credits", CREDITS, response_only=True)],
    )
    def get(self, _request: Request) -> Response:
        return Response(self._written())

    @extend_schema(
        summary="Change what is low, and what is bought then",
        description=(
            "Below its threshold a top-up buys its amount, between $1 and $100,000 in whole cents, as often as needed "
            "to reach it: as one purchase, at once where there is less already, at most "
            f"{MOST_A_DAY} times in 24 hours. 409 on a plan where credits that are bought pay nothing."
        ),
        operation_id="credits_change",
        request=RulesSerializer(partial=True),
        responses=answers(CreditsSerializer, also=(400, 409)),
        examples=[OpenApiExample("Request", {"low_below_usd": "20", "auto_top_up": None}, request_only=True)],
    )
    def patch(self, request: Request) -> Response:
        body = RulesSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        wallet = ledger.lock(self.organization.pk)
        low, below, amount = wallet.low_below_nanos, wallet.top_up_below_nanos, wallet.top_up_nanos
        given = body.validated_data
        if "low_below_usd" in given:
            low = _nanos(given["low_below_usd"])
        if "auto_top_up" in given:
            rule = given["auto_top_up"] or {}
            below, amount = _nanos(rule.get("below_usd")), _nanos(rule.get("amount_usd"))
        wallets.set_rules(
            self.organization, low_below_nanos=low, top_up_below_nanos=below, top_up_nanos=amount, by=self.actor
        )
        return Response(self._written())

    def _written(self) -> dict[str, Any]:
        organization = self.organization
        wallet = Wallet.objects.filter(organization=organization).first() or Wallet(organization=organization)
        standing = settlement.standing(organization, now())
        lots = in_order(ledger.lots())
        grants = CreditEntry.objects.in_bulk([lot.grant for lot in lots])
        return {
            "credits_remaining": standing.available * settings.CREDITS_PER_USD // NANOS_PER_USD,
            "available_usd": usd_text(standing.available),
            "balance_usd": usd_text(standing.balance),
            "unsettled_usd": usd_text(standing.unsettled),
            "low_below_usd": usd_text(wallet.low_below_nanos),
            "is_low": wallet.low_since is not None,
            "auto_top_up": {
                "below_usd": usd_text(wallet.top_up_below_nanos),
                "amount_usd": usd_text(wallet.top_up_nanos),
            }
            if wallet.top_up_nanos is not None
            else None,
            "grants": [
                {
                    "kind": grants[lot.grant].kind,
                    "left_usd": usd_text(lot.left_nanos),
                    "expires_at": lot.expires_at,
                    "note": grants[lot.grant].note,
                }
                for lot in lots
            ],
        }


@extend_schema(tags=["Billing"])
class CreditEntriesView(OrganizationAPIView):
    required_scopes = Scope.BILLING_READ
    query_parameters = (*PAGE_PARAMETERS, "kind")

    @extend_schema(
        summary="List credit entries",
        description="The ledger of credits, the newest first. Its balances follow one from the other.",
        operation_id="credits_entries",
        parameters=[*LISTING, OpenApiParameter("kind", str, enum=CreditKind.values)],
        responses=answers(page_of("CreditEntryPage", EntrySerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [ENTRY], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        rows = CreditEntry.objects.all()
        if kind := request.query_params.get("kind"):
            if kind not in CreditKind.values:
                known = ", ".join(CreditKind.values)
                raise ApiError(422, "invalid_parameter", f"kind is one of {known}.", param="kind")
            rows = rows.filter(kind=kind)
        return Response(paginate(rows, request.query_params, ("-number",)).body(_write_entry))


def _write_entry(entry: CreditEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "kind": entry.kind,
        "amount_usd": usd_text(entry.amount_nanos),
        "balance_usd": usd_text(entry.balance_nanos),
        "source": entry.source,
        "occurred_at": entry.occurred_at,
        "expires_at": entry.expires_at,
        "note": entry.note,
        "recorded_by": entry.recorded_by_label,
    }


def _nanos(usd: Decimal | None) -> int | None:
    return None if usd is None else nanos_from_usd(usd)

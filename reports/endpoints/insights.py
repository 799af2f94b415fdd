"""/v1/insights"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.endpoints.fields import page_of
from accounts.endpoints.keys import LISTING
from accounts.models import Scope
from core.money import usd_text
from core.pagination import PAGE_PARAMETERS, decode_cursor, encode_cursor, limit_of, narrow, paginate
from metering.query.metrics import rounded
from reports.advice import KINDS, acting, kind_of, records
from reports.advice.kind import Piece
from reports.advice.listing import share_of
from reports.advice.reach import Reach
from reports.models import Effort, Insight, InsightState

INSIGHT = {
    "id": 12,
    "kind": "model_switch",
    "state": "open",
    "subject": "openai|gpt-4o|gpt-4o-mini",
    "title": "Move 4,120 short calls from gpt-4o to gpt-4o-mini",
    "text": "4,120 of 9,902 calls of gpt-4o had a short prompt and a short answer …",
    "caveat": "A short call is not always an easy one …",
    "terms": [{"label": "Prompt", "value": "at most 1,000 tokens, those read from a cache included"}],
    "effort": "small",
    "window_start": "2026-10-22T22:00:00Z",
    "window_end": "2026-11-21T23:00:00Z",
    "savings": {
        "low_usd": "118.2", "likely_usd": "128.4031", "high_usd": "140.07", "share": 0.057,
    },
    "evidence": {"type": "calls", "count": 4_120, "cost_usd": "136.591", "would_cost_usd": "8.1879"},
    "cost_usd": "2252.61",
    "found_at": "2026-11-20T02:00:12Z",
    "checked_at": "2026-11-22T02:00:11Z",
    "settled_at": None,
    "settled_by": None,
    "reason": None,
    "realized": None,
}  # fmt: skip
DONE = INSIGHT | {
    "state": "done",
    "settled_at": "2026-11-22T10:00:00Z",
    "settled_by": "alice@acme.test",
    "realized": {
        "unit": "simple call of either model", "from": "2026-11-22T23:00:00Z", "to": "2026-11-29T23:00:00Z",
        "before_units": 5_011, "before_usd": "137.02", "since_units": 1_200, "since_usd": "2.61",
        "realized_usd": "30.203",
    },
}  # fmt: skip
PIECE = {
    "id": "req_8f3",
    "at": "2026-11-03T09:12:44.102Z",
    "cost_usd": "0.00331",
    "would_cost_usd": "0.0001986",
    "saved_usd": "0.0031114",
    "note": "",
}


class SavingsSerializer(serializers.Serializer[Any]):
    low_usd = serializers.CharField()
    likely_usd = serializers.CharField(help_text="Of calls: what those of the window would have saved, to the nano.")
    high_usd = serializers.CharField()
    share = serializers.FloatField(allow_null=True, help_text="Of what everything cost, or of what is compared.")


class EvidenceSerializer(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="calls, periods, days or keys")
    count = serializers.IntegerField()
    cost_usd = serializers.CharField(allow_null=True)
    would_cost_usd = serializers.CharField(allow_null=True)


class RealizedSerializer(serializers.Serializer[Any]):
    unit = serializers.CharField(help_text="What units are counted in.")
    from_ = serializers.DateTimeField()
    to = serializers.DateTimeField(allow_null=True, help_text="Up to when it was measured.")
    before_units = serializers.IntegerField(help_text="In the 30 days before.")
    before_usd = serializers.CharField()
    since_units = serializers.IntegerField(allow_null=True)
    since_usd = serializers.CharField(allow_null=True)
    realized_usd = serializers.CharField(
        allow_null=True, help_text="What the units since would have cost at the rate of before, less what they did."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        return {name.rstrip("_"): field for name, field in fields.items()}


class TermSerializer(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.CharField()


class InsightSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=list(KINDS))
    state = serializers.ChoiceField(choices=InsightState.values)
    subject = serializers.CharField(help_text="What of the usage it is about: once among those of its kind.")
    title = serializers.CharField()
    text = serializers.CharField()
    caveat = serializers.CharField(help_text="What may speak against it.")
    terms = TermSerializer(many=True, help_text="What counted, with the thresholds.")
    effort = serializers.ChoiceField(choices=Effort.values)
    window_start = serializers.DateTimeField()
    window_end = serializers.DateTimeField()
    savings = SavingsSerializer(allow_null=True, help_text="In a month of 30 days; null where none can be counted.")
    evidence = EvidenceSerializer()
    cost_usd = serializers.CharField(help_text="What everything cost in the window.")
    found_at = serializers.DateTimeField()
    checked_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    settled_by = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    realized = RealizedSerializer(allow_null=True, help_text="Of advice that is done and followed up.")


class PieceSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Of calls the event's id.")
    at = serializers.DateTimeField()
    cost_usd = serializers.CharField(allow_null=True)
    would_cost_usd = serializers.CharField(allow_null=True)
    saved_usd = serializers.CharField(allow_null=True)
    note = serializers.CharField()


class DismissalSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=acting.LONGEST_REASON)


_SCOPES: dict[str, Scope | None] = {"GET": Scope.USAGE_READ, "POST": Scope.ADMIN}


@extend_schema(tags=["Insights"])
class InsightsView(OrganizationAPIView):
    required_scopes = _SCOPES
    query_parameters = ("state", "kind", *PAGE_PARAMETERS)

    @extend_schema(
        summary="List insights",
        description="Advice with evidence, the newest first. About plans only with `billing:read`, about keys only with"
        " `admin`.",
        operation_id="insights_list",
        parameters=[
            *LISTING,
            OpenApiParameter("state", str, enum=InsightState.values),
            OpenApiParameter("kind", str, enum=list(KINDS)),
        ],
        responses=answers(page_of("InsightPage", InsightSerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [INSIGHT], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        known = {"state": ("state", InsightState.values), "kind": ("kind", list(KINDS))}
        rows = narrow(records.seen(Reach.of_key(self.grant)), request.query_params, known)
        page = paginate(rows, request.query_params, ("-found_at", "-id"))
        return Response(page.body(write_insight))


@extend_schema(tags=["Insights"])
class InsightView(OrganizationAPIView):
    required_scopes = _SCOPES

    @extend_schema(
        summary="Get an insight",
        operation_id="insights_get",
        responses=answers(InsightSerializer, also=(404,)),
        examples=[OpenApiExample("Insight", INSIGHT, response_only=True)],
    )
    def get(self, _request: Request, insight: int) -> Response:
        return Response(write_insight(records.find_insight(insight, Reach.of_key(self.grant))))


@extend_schema(tags=["Insights"])
class InsightEvidenceView(OrganizationAPIView):
    required_scopes = _SCOPES
    query_parameters = PAGE_PARAMETERS

    @extend_schema(
        summary="List an insight's evidence",
        description="All of it by time, exact: the costs sum to those of the insight.",
        operation_id="insights_evidence",
        parameters=[*LISTING],
        responses=answers(page_of("InsightEvidencePage", PieceSerializer(many=True)), also=(404,)),
        examples=[
            OpenApiExample("Page", {"data": [PIECE], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request, insight: int) -> Response:
        found = records.find_insight(insight, Reach.of_key(self.grant))
        limit, cursor = limit_of(request.query_params), request.query_params.get("cursor")
        first = decode_cursor(cursor, [_place])[0] if cursor else 0
        pieces = list(records.evidence_of(found, first, limit))
        following = first + len(pieces)
        has_more = following < found.evidence_count
        return Response(
            {
                "data": [write_piece(piece) for piece in pieces],
                "has_more": has_more,
                "next_cursor": encode_cursor([following]) if has_more else None,
            }
        )


@extend_schema(tags=["Insights"])
class DismissView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Dismiss an insight",
        description="It is not followed. It comes back after 90 days if it would save half as much again by then.",
        operation_id="insights_dismiss",
        request=DismissalSerializer,
        responses=answers(InsightSerializer, also=(404, 409)),
        examples=[
            OpenApiExample("Request", {"reason": "Quality matters more here."}, request_only=True),
            OpenApiExample(
                "Insight",
                INSIGHT | {"state": "dismissed", "settled_at": "2026-11-22T10:00:00Z", "settled_by": "alice@acme.test",
                           "reason": "Quality matters more here."},
                response_only=True,
            ),
        ],
    )  # fmt: skip
    def post(self, request: Request, insight: int) -> Response:
        body = DismissalSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        reach = Reach.of_key(self.grant)
        found = records.find_insight(insight, reach)
        return Response(
            write_insight(acting.dismiss(found, body.validated_data.get("reason", ""), reach, by=self.actor))
        )


@extend_schema(tags=["Insights"])
class DoneView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Mark an insight done",
        description="It was followed. What it realizes is measured from the next day on, for 90 days.",
        operation_id="insights_done",
        request=None,
        responses=answers(InsightSerializer, also=(404, 409)),
        examples=[OpenApiExample("Insight", DONE, response_only=True)],
    )
    def post(self, _request: Request, insight: int) -> Response:
        reach = Reach.of_key(self.grant)
        found = records.find_insight(insight, reach)
        return Response(write_insight(acting.mark_done(found, reach, by=self.actor)))


@extend_schema(tags=["Insights"])
class ReopenView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Open an insight again",
        description="What was dismissed, or done, is not.",
        operation_id="insights_reopen",
        request=None,
        responses=answers(InsightSerializer, also=(404, 409)),
        examples=[OpenApiExample("Insight", INSIGHT, response_only=True)],
    )
    def post(self, _request: Request, insight: int) -> Response:
        reach = Reach.of_key(self.grant)
        found = records.find_insight(insight, reach)
        return Response(write_insight(acting.open_again(found, reach, by=self.actor)))


def _place(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise ValueError("not a place in a list")
    return value


def write_insight(insight: Insight) -> dict[str, Any]:
    kind = kind_of(insight.kind)
    return {
        "id": insight.pk,
        "kind": insight.kind,
        "state": insight.state,
        "subject": insight.subject,
        "title": insight.title,
        "text": insight.text,
        "caveat": insight.caveat,
        "terms": [{"label": label, "value": value} for label, value in insight.terms],
        "effort": insight.effort,
        "window_start": insight.starts_at,
        "window_end": insight.ends_at,
        "savings": None
        if insight.likely_nanos is None
        else {
            "low_usd": usd_text(insight.low_nanos),
            "likely_usd": usd_text(insight.likely_nanos),
            "high_usd": usd_text(insight.high_nanos),
            "share": rounded(share_of(insight), 4),
        },
        "evidence": {
            "type": kind.evidence,
            "count": insight.evidence_count,
            "cost_usd": usd_text(insight.now_nanos),
            "would_cost_usd": usd_text(insight.would_nanos),
        },
        "cost_usd": usd_text(insight.cost_nanos),
        "found_at": insight.found_at,
        "checked_at": insight.checked_at,
        "settled_at": insight.settled_at,
        "settled_by": insight.settled_by_label or None,
        "reason": insight.reason or None,
        "realized": _realized(insight, kind.unit),
    }


def _realized(insight: Insight, unit: str) -> dict[str, Any] | None:
    if insight.measured_from is None or insight.before_units is None:
        return None
    return {
        "unit": unit,
        "from": insight.measured_from,
        "to": insight.measured_until,
        "before_units": insight.before_units,
        "before_usd": usd_text(insight.before_nanos),
        "since_units": insight.since_units,
        "since_usd": usd_text(insight.since_nanos),
        "realized_usd": usd_text(insight.realized_nanos),
    }


def write_piece(piece: Piece) -> dict[str, Any]:
    is_known = piece.now_nanos is not None and piece.would_nanos is not None
    return {
        "id": piece.id,
        "at": piece.at,
        "cost_usd": usd_text(piece.now_nanos),
        "would_cost_usd": usd_text(piece.would_nanos),
        "saved_usd": usd_text((piece.now_nanos or 0) - (piece.would_nanos or 0)) if is_known else None,
        "note": piece.note,
    }

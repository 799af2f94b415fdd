"""/v1/audit"""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.audit_log import Filter, entries
from accounts.endpoints.fields import page_of
from accounts.endpoints.keys import LISTING
from accounts.models import AuditEntry, Scope
from core.pagination import PAGE_PARAMETERS, paginate

ENTRY = {
    "id": 41,
    "at": "2026-11-21T12:00:00Z",
    "actor": "alice@acme.test",
    "action": "key.revoke",
    "target": "api_key",
    "target_id": "12",
    "target_label": "search-prod (tl_4hT0vQx9a…)",
    "changes": {"revoked_at": [None, "2026-11-21T12:00:00+00:00"]},
    "ip_address": "203.0.113.7",
    "request_id": "req_8f31c2",
}


class EntrySerializer(serializers.ModelSerializer[AuditEntry]):
    actor = serializers.CharField(source="actor_label")
    changes = serializers.DictField(help_text="field: [before, after]")

    class Meta:
        model = AuditEntry
        fields = tuple(ENTRY)


@extend_schema(tags=["Audit"])
class AuditView(OrganizationAPIView):
    required_scopes = Scope.ADMIN
    query_parameters = (*PAGE_PARAMETERS, "from", "to", "actor", "action")

    @extend_schema(
        summary="List the audit log",
        operation_id="audit_list",
        parameters=[
            *LISTING,
            OpenApiParameter("from", str, description="A date in the organization's zone, or a time."),
            OpenApiParameter("to", str, description="A date (inclusive) or a time (exclusive)."),
            OpenApiParameter("actor", str, description="Part of an e-mail or key."),
            OpenApiParameter("action", str, description="An action (key.revoke) or a noun (key)."),
        ],
        responses=answers(page_of("AuditEntryPage", EntrySerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [ENTRY], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        rows = entries(Filter.from_params(request.query_params, self.organization.zone))
        page = paginate(rows, request.query_params, order=("-at", "-id"))
        return Response(page.body(lambda row: EntrySerializer(row).data))

"""/v1/members and /v1/invitations"""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import members
from accounts.api import OrganizationAPIView, answers
from accounts.endpoints.fields import TeamField, page_of
from accounts.endpoints.keys import LISTING
from accounts.invitation_mail import send_invitation
from accounts.models import Invitation, Membership, Role, Scope
from core.pagination import PAGE_PARAMETERS, paginate

MEMBER = {
    "id": 7,
    "email": "alice@acme.test",
    "name": "Alice",
    "role": "owner",
    "external_id": "",
    "teams": ["search"],
    "joined_at": "2026-01-05T08:00:00Z",
}
INVITATION = {
    "id": 3,
    "email": "dora@acme.test",
    "role": "member",
    "team": "search",
    "created_at": "2026-11-21T12:00:00Z",
    "expires_at": "2026-11-28T12:00:00Z",
}


class MemberSerializer(serializers.ModelSerializer[Membership]):
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)
    teams: Any = serializers.SlugRelatedField(many=True, read_only=True, slug_field="slug")
    joined_at = serializers.DateTimeField(source="created_at", read_only=True)

    class Meta:
        model = Membership
        fields = tuple(MEMBER)


class MemberChangeSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(Role.choices, required=False)
    external_id = serializers.CharField(max_length=200, allow_blank=True, required=False)


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    role = serializers.ChoiceField(Role.choices, default=Role.MEMBER)
    team = TeamField(allow_null=True, required=False)

    class Meta:
        model = Invitation
        fields = tuple(INVITATION)
        read_only_fields = ("created_at", "expires_at")


@extend_schema(tags=["Members"])
class MembersView(OrganizationAPIView):
    required_scopes = Scope.ADMIN
    query_parameters = PAGE_PARAMETERS

    @extend_schema(
        summary="List members",
        operation_id="members_list",
        parameters=LISTING,
        responses=answers(page_of("MemberPage", MemberSerializer(many=True))),
        examples=[
            OpenApiExample("Page", {"data": [MEMBER], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        rows = members.active_members().prefetch_related("teams")
        return Response(paginate(rows, request.query_params).body(lambda row: MemberSerializer(row).data))

    @extend_schema(
        summary="Invite a member",
        operation_id="members_invite",
        description="Sends an e-mail with a link that works for a week.",
        request=InvitationSerializer,
        responses=answers(InvitationSerializer, 201, also=(400, 409)),
        examples=[
            OpenApiExample("Request", {"email": "dora@acme.test", "role": "member"}, request_only=True),
            OpenApiExample("Invited", INVITATION, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        body = InvitationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        invitation, token = members.invite(self.organization, by=self.actor, **body.validated_data)
        send_invitation(invitation, token, by=self.actor)
        return Response(InvitationSerializer(invitation).data, status=201)


@extend_schema(tags=["Members"])
class MemberView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Get a member", operation_id="members_get", responses=answers(MemberSerializer, also=(404,)),
        examples=[OpenApiExample("Member", MEMBER, response_only=True)],
    )  # fmt: skip
    def get(self, _request: Request, member: int) -> Response:
        return Response(MemberSerializer(get_object_or_404(members.active_members(), pk=member)).data)

    @extend_schema(
        summary="Change a member",
        operation_id="members_change",
        description="A key changes no owner and makes none: ownership stays with people.",
        request=MemberChangeSerializer,
        responses=answers(MemberSerializer, also=(400, 404, 409)),
        examples=[OpenApiExample("Request", {"role": "finance"}, request_only=True)],
    )
    def patch(self, request: Request, member: int) -> Response:
        row = get_object_or_404(members.active_members(), pk=member)
        body = MemberChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if "role" in body.validated_data:
            members.change_role(row, body.validated_data["role"], by=self.actor)
        if "external_id" in body.validated_data:
            members.set_external_id(row, body.validated_data["external_id"], by=self.actor)
        return Response(MemberSerializer(row).data)

    @extend_schema(
        summary="Remove a member",
        operation_id="members_remove",
        description="Access and their own keys end at once; their usage stays in every report.",
        responses=answers(None, 204, also=(404, 409)),
    )
    def delete(self, _request: Request, member: int) -> Response:
        members.end_membership(get_object_or_404(members.active_members(), pk=member), by=self.actor)
        return Response(status=204)


@extend_schema(tags=["Members"])
class InvitationsView(OrganizationAPIView):
    required_scopes = Scope.ADMIN
    query_parameters = PAGE_PARAMETERS

    @extend_schema(
        summary="List open invitations",
        operation_id="invitations_list",
        parameters=LISTING,
        responses=answers(page_of("InvitationPage", InvitationSerializer(many=True))),
    )
    def get(self, request: Request) -> Response:
        rows = members.open_invitations().select_related("team")
        return Response(paginate(rows, request.query_params).body(lambda row: InvitationSerializer(row).data))


@extend_schema(tags=["Members"])
class InvitationView(OrganizationAPIView):
    required_scopes = Scope.ADMIN

    @extend_schema(
        summary="Revoke an invitation",
        operation_id="invitations_revoke",
        responses=answers(None, 204, also=(404, 409)),
    )
    def delete(self, _request: Request, invitation: int) -> Response:
        members.revoke_invitation(get_object_or_404(members.open_invitations(), pk=invitation), by=self.actor)
        return Response(status=204)

"""Members: invited, joined, given a role, gone; by functions, pages and API."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils.timezone import now

from accounts import members
from accounts.audit import Actor
from accounts.keys import authenticate, create_key
from accounts.models import AuditEntry, Invitation, Membership, Organization, Role, Team, TeamMembership, User
from core.errors import ApiError
from core.facts import Fact
from core.tenancy import organization_scope
from tests.cast import Key, make_user, membership_of

OWNER = Actor("alice@acme.test", Role.OWNER)
ADMIN = Actor("adam@acme.test", Role.ADMIN)


def refused(code: str, act: Callable[[], Any]) -> None:
    with pytest.raises(ApiError) as refusal:
        act()
    assert refusal.value.code == code


# ── Functions ──


def test_an_invitation_is_accepted_once(in_acme: Organization, search: Team, told_facts: list[Fact]) -> None:
    dora = make_user("dora")
    invitation, token = members.invite(in_acme, " Dora@Acme.test", "member", by=ADMIN, team=search)
    assert token not in invitation.digest
    found = members.find_invitation(token)
    assert found == invitation
    membership = members.accept(invitation, dora, by=ADMIN)
    assert (membership.role, membership.organization_id) == ("member", in_acme.id)
    assert TeamMembership.objects.get(membership=membership).team == search
    assert members.find_invitation(token) is None
    refused("invitation_closed", lambda: members.accept(invitation, dora, by=ADMIN))
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["member.invite", "invitation.accept", "member.join"]
    assert [(fact.kind, fact.data["email"], fact.data["role"]) for fact in told_facts] == [
        ("member.joined", "dora@acme.test", "member")
    ]


def test_an_invitation_is_for_its_address_only(in_acme: Organization) -> None:
    eve = make_user("eve")
    invitation, _ = members.invite(in_acme, "dora@acme.test", "member", by=ADMIN)
    refused("other_email", lambda: members.accept(invitation, eve, by=ADMIN))


@pytest.mark.parametrize("token", ["", "x", "é" * 40, "\0"])
@pytest.mark.django_db
def test_made_up_tokens_find_nothing(token: str) -> None:
    assert members.find_invitation(token) is None


def test_expired_and_revoked_invitations_open_nothing(in_acme: Organization) -> None:
    expired, token = members.invite(in_acme, "dora@acme.test", "member", by=ADMIN)
    Invitation.objects.update(expires_at=now() - timedelta(seconds=1))
    assert members.find_invitation(token) is None
    again, second = members.invite(in_acme, "dora@acme.test", "member", by=ADMIN)
    assert again.pk != expired.pk
    renewed = members.renew_invitation(again, by=ADMIN)
    assert members.find_invitation(second) is None
    assert members.find_invitation(renewed) is not None
    members.revoke_invitation(again, by=ADMIN)
    assert members.find_invitation(renewed) is None
    refused("invitation_closed", lambda: members.revoke_invitation(again, by=ADMIN))


def test_nobody_is_invited_twice(in_acme: Organization, bob: User) -> None:
    members.invite(in_acme, "dora@acme.test", "member", by=ADMIN)
    refused("already_invited", lambda: members.invite(in_acme, "DORA@acme.test", "viewer", by=ADMIN))
    refused("already_member", lambda: members.invite(in_acme, "bob@acme.test", "viewer", by=ADMIN))
    refused("invalid_parameter", lambda: members.invite(in_acme, "nonsense", "viewer", by=ADMIN))
    refused("invalid_parameter", lambda: members.invite(in_acme, "eve@acme.test", "king", by=ADMIN))


def test_who_left_comes_back_as_the_same_member(in_acme: Organization, alice: User, bob: User) -> None:
    bobs = membership_of(bob, in_acme)
    members.end_membership(bobs, by=ADMIN)
    invitation, _ = members.invite(in_acme, bob.email, "finance", by=ADMIN)
    again = members.accept(invitation, bob, by=ADMIN)
    assert (again.pk, again.role, again.ended_at) == (bobs.pk, "finance", None)


def test_only_owners_make_and_unmake_owners(in_acme: Organization, alice: User, bob: User) -> None:
    alices, bobs = membership_of(alice, in_acme), membership_of(bob, in_acme)
    refused("owner_required", lambda: members.invite(in_acme, "dora@acme.test", "owner", by=ADMIN))
    refused("owner_required", lambda: members.change_role(bobs, "owner", by=ADMIN))
    refused("owner_required", lambda: members.change_role(alices, "member", by=ADMIN))
    refused("owner_required", lambda: members.end_membership(alices, by=ADMIN))
    members.change_role(bobs, "owner", by=OWNER)
    members.change_role(alices, "member", by=OWNER)
    assert AuditEntry.objects.filter(action="member.change_role").count() == 2


def test_the_last_owner_stays(in_acme: Organization, alice: User, bob: User) -> None:
    alices = membership_of(alice, in_acme)
    refused("last_owner", lambda: members.change_role(alices, "admin", by=OWNER))
    refused("last_owner", lambda: members.end_membership(alices, by=Actor.of_command("test")))
    leaving = Actor(alice.email, Role.OWNER, alice)
    refused("last_owner", lambda: members.end_membership(alices, by=leaving))
    members.change_role(membership_of(bob, in_acme), "owner", by=OWNER)
    members.end_membership(alices, by=leaving)
    assert AuditEntry.objects.filter(action="member.leave").exists()


def test_a_leaver_takes_their_own_keys_along(
    in_acme: Organization, alice: User, bob: User, new_key: Callable[..., Key]
) -> None:
    bobs = membership_of(bob, in_acme)
    own, service = new_key(member=bobs), new_key()
    members.end_membership(bobs, by=ADMIN)
    refused("revoked_api_key", lambda: authenticate(own.secret))
    assert authenticate(service.secret)
    refused("membership_ended", lambda: members.change_role(bobs, "viewer", by=ADMIN))


def test_a_leaver_leads_no_team_on_return(in_acme: Organization, search: Team, bob: User) -> None:
    bobs = membership_of(bob, in_acme)
    TeamMembership.objects.filter(membership=bobs).update(is_admin=True)
    members.end_membership(bobs, by=ADMIN)
    place = TeamMembership.objects.get(team=search, membership=bobs)
    assert not place.is_admin
    assert AuditEntry.objects.filter(action="team.change_member").exists()


def test_a_demoted_admin_keeps_no_key_that_does_more_than_they_may(
    in_acme: Organization, alice: User, adam: User, new_key: Callable[..., Key]
) -> None:
    adams = membership_of(adam, in_acme)
    admin, reader = new_key("admin", member=adams), new_key("usage:read", member=adams)
    own, service = new_key("usage:write", member=adams), new_key("admin")
    members.change_role(adams, "owner", by=OWNER)
    assert authenticate(admin.secret)
    members.change_role(adams, "member", by=OWNER)
    refused("revoked_api_key", lambda: authenticate(admin.secret))
    refused("revoked_api_key", lambda: authenticate(reader.secret))
    assert authenticate(own.secret)
    assert authenticate(service.secret)


@pytest.mark.parametrize("is_demoted", [True, False])
def test_offers_end_with_the_right_to_make_them(
    in_acme: Organization, alice: User, adam: User, is_demoted: bool
) -> None:
    offer = Actor(adam.email, Role.ADMIN, user=adam)
    _, token = members.invite(in_acme, "dora@acme.test", "admin", by=offer)
    _, other = members.invite(in_acme, "eve@acme.test", "member", by=OWNER)
    if is_demoted:
        members.change_role(membership_of(adam, in_acme), Role.MEMBER, by=OWNER)
    else:
        members.end_membership(membership_of(adam, in_acme), by=OWNER)
    assert members.find_invitation(token) is None
    assert members.find_invitation(other) is not None
    assert AuditEntry.objects.filter(action="invitation.revoke").count() == 1


def test_who_has_left_gets_no_key(in_acme: Organization, bob: User) -> None:
    bobs = membership_of(bob, in_acme)
    members.end_membership(membership_of(bob, in_acme), by=ADMIN)
    refused("membership_ended", lambda: create_key(in_acme, "late", ["gateway"], by=ADMIN, member=bobs))


def test_external_ids_are_unique(in_acme: Organization, alice: User, bob: User) -> None:
    members.set_external_id(membership_of(alice, in_acme), " u-1 ", by=ADMIN)
    assert membership_of(alice, in_acme).external_id == "u-1"
    refused("external_id_taken", lambda: members.set_external_id(membership_of(bob, in_acme), "U-1", by=ADMIN))


# ── Pages ──


@pytest.fixture
def commits(django_capture_on_commit_callbacks: Any) -> Any:
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_inviting_sends_a_mail(acme: Organization, adam_client: Client, commits: Any) -> None:
    with commits():
        adam_client.post("/o/acme/settings/members/invite/", {"email": "dora@acme.test", "role": "member"})
    message = mail.outbox[0]
    assert message.to == ["dora@acme.test"]
    assert message.subject == "Adam invites you to Acme on Tokenledger"
    assert message.alternatives
    response = adam_client.post("/o/acme/settings/members/invite/", {"email": "dora@acme.test", "role": "member"})
    assert response.status_code == 422
    assert b"has an open invitation already" in response.content
    assert b"dora@acme.test" in adam_client.get("/o/acme/settings/members/").content


def test_an_admin_cannot_offer_ownership(adam_client: Client, alice_client: Client) -> None:
    page = "/o/acme/settings/members/invite/"
    assert b'value="owner"' not in adam_client.get(page).content
    assert b'value="owner"' in alice_client.get(page).content
    assert adam_client.post(page, {"email": "dora@acme.test", "role": "owner"}).status_code == 422


def test_the_invited_accepts_when_logged_in(
    acme: Organization, adam_client: Client, client: Client, commits: Any
) -> None:
    with commits():
        adam_client.post("/o/acme/settings/members/invite/", {"email": "dora@acme.test", "role": "viewer"})
    link = re.search(r"(/invitations/\S+)", str(mail.outbox[-1].body))
    assert link
    assert b"Create an account" in client.get(link[1]).content
    dora = make_user("dora")
    assert b"Log in to accept" in client.get(link[1]).content
    assert client.post(link[1]).status_code == 200
    client.force_login(dora)
    assert client.get("/").url == link[1]  # type: ignore[attr-defined]
    assert b"Accept invitation" in client.get(link[1]).content
    assert client.post(link[1]).url.startswith("/o/acme/")  # type: ignore[attr-defined]
    assert membership_of(dora, acme).role == "viewer"
    assert client.get(link[1]).status_code == 404


def test_a_forwarded_link_opens_nothing(acme: Organization, adam_client: Client, client: Client, commits: Any) -> None:
    with commits():
        adam_client.post("/o/acme/settings/members/invite/", {"email": "dora@acme.test", "role": "viewer"})
    link = re.search(r"(/invitations/\S+)", str(mail.outbox[-1].body))
    assert link
    client.force_login(make_user("eve"))
    assert b"Log out and use dora@acme.test" in client.get(link[1]).content
    assert client.post(link[1]).status_code == 403
    assert client.get("/o/acme/settings/keys/").status_code == 404


def test_renewing_and_revoking_on_the_page(acme: Organization, adam_client: Client, commits: Any) -> None:
    with organization_scope(acme.id):
        invitation, token = members.invite(acme, "dora@acme.test", "member", by=ADMIN)
    with commits():
        adam_client.post(f"/o/acme/settings/invitations/{invitation.pk}/renew/")
    assert len(mail.outbox) == 1
    assert members.find_invitation(token) is None
    adam_client.post(f"/o/acme/settings/invitations/{invitation.pk}/revoke/")
    assert adam_client.get(f"/o/acme/settings/invitations/{invitation.pk}/revoke/").status_code == 404


def test_changing_and_removing_on_the_page(acme: Organization, alice: User, bob: User, adam_client: Client) -> None:
    bobs, alices = membership_of(bob, acme), membership_of(alice, acme)
    page = f"/o/acme/settings/members/{bobs.pk}/"
    assert adam_client.post(page, {"role": "finance", "external_id": "u-2"}).status_code == 302
    assert (membership_of(bob, acme).role, membership_of(bob, acme).external_id) == ("finance", "u-2")
    refusal = adam_client.post(f"/o/acme/settings/members/{alices.pk}/", {"role": "viewer"})
    assert refusal.status_code == 422
    assert b"Only an owner" in refusal.content
    adam_client.post(f"/o/acme/settings/members/{alices.pk}/remove/")
    assert membership_of(alice, acme).ended_at is None
    adam_client.post(f"{page}remove/")
    assert membership_of(bob, acme).ended_at is not None


def test_leaving(acme: Organization, alice_client: Client, bob_client: Client) -> None:
    refusal = alice_client.post("/o/acme/leave/", follow=True)
    assert b"Make somebody else an owner first" in refusal.content
    bob_client.post("/o/acme/leave/")
    assert bob_client.get("/").url == "/organizations/new/"  # type: ignore[attr-defined]


# ── API ──


def test_members_by_api(acme: Organization, alice: User, bob: User, acme_api: Client, commits: Any) -> None:
    body = acme_api.get("/v1/members").json()
    assert [(row["email"], row["role"], row["teams"]) for row in body["data"]] == [
        ("bob@acme.test", "member", ["search"]),
        ("alice@acme.test", "owner", []),
    ]
    with commits():
        response = acme_api.post("/v1/members", {"email": "dora@acme.test"}, content_type="application/json")
    assert response.status_code == 201, response.content
    assert "token" not in response.json()
    assert mail.outbox[0].to == ["dora@acme.test"]
    assert acme_api.get("/v1/invitations").json()["data"] == [response.json()]
    alices, bobs = membership_of(alice, acme).pk, membership_of(bob, acme).pk
    patched = acme_api.patch(f"/v1/members/{bobs}", {"role": "admin"}, "application/json")
    assert patched.json()["role"] == "admin"
    for refusal in (
        acme_api.patch(f"/v1/members/{bobs}", {"role": "owner"}, "application/json"),
        acme_api.patch(f"/v1/members/{alices}", {"role": "member"}, "application/json"),
        acme_api.delete(f"/v1/members/{alices}"),
    ):
        assert refusal.status_code == 403
        assert refusal.json()["error"]["code"] == "owner_required"
    assert acme_api.patch(f"/v1/members/{bobs}", {"role": "king"}, "application/json").status_code == 422
    assert acme_api.delete(f"/v1/members/{bobs}").status_code == 204
    assert acme_api.get(f"/v1/members/{bobs}").status_code == 404
    assert acme_api.delete(f"/v1/invitations/{response.json()['id']}").status_code == 204


def test_membership_shows_in_the_scope_of_its_organization_only(acme: Organization, charlie: User) -> None:
    with organization_scope(acme.id):
        assert not Membership.objects.filter(user=charlie).exists()

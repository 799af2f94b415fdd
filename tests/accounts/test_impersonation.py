"""An operator in a member's place: what opens, what stays shut, and what is written down."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils.timezone import now

from accounts import impersonation
from accounts.models import AuditEntry, Impersonation, Membership, Organization, Role, Team, User
from accounts.sessions import person_of
from accounts.tasks import end_impersonations
from core.errors import ApiError
from core.tenancy import organization_scope
from tests.cast import logged_in, membership_of

pytestmark = pytest.mark.django_db
END = "/operator/place/end/"


def place_of(user: User, organization: Organization) -> str:
    return f"/operator/organizations/{organization.slug}/members/{membership_of(user, organization).pk}/place/"


@pytest.fixture
def fresh(olga: User, olga_client: Client) -> Client:
    """Olga, who gave her password once more a moment ago."""
    session = olga_client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time(), "reauthenticated": True}]
    session["account_authentication_methods_user"] = str(olga.pk)
    session.save()
    return olga_client


def begin(client: Client, user: User, organization: Organization, mode: str = "look") -> HttpResponse:
    response = client.post(place_of(user, organization), {"reason": "Ticket 4711", "mode": mode})
    assert response.status_code == 302, response.content
    return response  # type: ignore[return-value]


def actions(organization: Organization) -> list[tuple[str, str]]:
    with organization_scope(organization.pk):
        return list(AuditEntry.objects.order_by("id").values_list("action", "actor_label"))


def test_the_operator_sees_what_the_member_sees(fresh: Client, bob: User, acme: Organization) -> None:
    assert begin(fresh, bob, acme).headers["location"] == "/o/acme/overview"
    page = fresh.get("/o/acme/overview").content.decode()
    assert "olga@operator.test in the place of bob@acme.test, read-only," in page
    assert fresh.get("/o/acme/settings/members/").status_code == 403  # bob's role, not the operator's


def test_beginning_and_end_are_in_the_organizations_log(fresh: Client, alice: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    response = fresh.post(END)
    assert response.headers["location"] == "/operator/organizations/acme/"
    assert actions(acme) == [
        ("impersonation.begin", "olga@operator.test"),
        ("impersonation.end", "olga@operator.test"),
    ]
    with organization_scope(acme.pk):
        first = AuditEntry.objects.get(action="impersonation.begin")
    assert first.changes["mode"] == [None, "read-only"]
    assert first.changes["reason"] == [None, "Ticket 4711"]
    assert fresh.get("/o/acme/overview").status_code == 404
    assert fresh.get("/operator/").status_code == 200


def test_acts_are_the_operators_on_behalf_of_the_member(fresh: Client, alice: User, acme: Organization) -> None:
    begin(fresh, alice, acme, "full")
    assert fresh.post("/o/acme/settings/teams/new/", {"name": "Night shift"}).status_code == 302
    with organization_scope(acme.pk):
        entry = AuditEntry.objects.get(action="team.create")
        assert Team.objects.filter(name="Night shift").exists()
    assert entry.actor_label == "olga@operator.test on behalf of alice@acme.test"
    assert entry.actor is not None
    assert entry.actor.email == "olga@operator.test"


def test_read_only_changes_nothing(fresh: Client, alice: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    response = fresh.post("/o/acme/settings/teams/new/", {"name": "Night shift"})
    assert response.status_code == 403
    assert b"You look on read-only" in response.content
    with organization_scope(acme.pk):
        assert not Team.objects.filter(name="Night shift").exists()


@pytest.mark.parametrize("address", ["keys/new/", "members/invite/"])
def test_what_would_outlast_it_is_refused_in_full_too(
    fresh: Client, alice: User, acme: Organization, address: str
) -> None:
    begin(fresh, alice, acme, "full")
    assert fresh.get(f"/o/acme/settings/{address}").status_code == 403
    assert fresh.post(f"/o/acme/settings/{address}", {"name": "mine", "email": "me@else.test"}).status_code == 403


@pytest.mark.parametrize("mode", ["look", "full"])
@pytest.mark.parametrize(
    "address",
    ["/accounts/email/", "/accounts/password/change/", "/accounts/2fa/", "/accounts/sessions/", "/organizations/new/"],
)
def test_the_members_own_account_stays_shut(
    fresh: Client, alice: User, acme: Organization, address: str, mode: str
) -> None:
    begin(fresh, alice, acme, mode)
    assert fresh.get(address).status_code in (403, 404)
    assert fresh.post(address, {"email": "me@else.test", "action_add": ""}).status_code in (403, 404)


def test_other_organizations_of_the_member_stay_shut(
    fresh: Client, alice: User, acme: Organization, globex: Organization
) -> None:
    with organization_scope(globex.pk):
        Membership.objects.create(organization=globex, user=alice, role=Role.OWNER)
    begin(fresh, alice, acme)
    assert fresh.get("/o/globex/overview").status_code == 404
    assert fresh.get("/").headers["location"] == "/o/acme/overview"


def test_the_operators_area_is_shut_meanwhile(fresh: Client, alice: User, bob: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    assert fresh.get("/operator/").status_code == 403
    assert fresh.get(place_of(bob, acme)).status_code == 403


def test_it_ends_after_half_an_hour(fresh: Client, alice: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    with organization_scope(acme.pk):
        row = Impersonation.objects.get()
        assert row.expires_at - row.begun_at == pytest.approx(dt.timedelta(minutes=30), abs=dt.timedelta(seconds=5))
        Impersonation.objects.update(expires_at=now())
    assert fresh.get("/o/acme/overview").status_code == 404
    assert actions(acme)[-1] == ("impersonation.end", "olga@operator.test")
    assert fresh.get("/operator/").status_code == 200


def test_who_never_came_back_is_written_down_by_the_worker(fresh: Client, alice: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    end_impersonations()
    assert len(actions(acme)) == 1
    with organization_scope(acme.pk):
        Impersonation.objects.update(expires_at=now())
    end_impersonations()
    end_impersonations()
    assert actions(acme)[1:] == [("impersonation.end", "command impersonation")]
    assert fresh.get("/o/acme/overview").status_code == 404


def test_logging_out_ends_it(fresh: Client, alice: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    assert fresh.post("/accounts/logout/").status_code == 302
    assert actions(acme)[-1][0] == "impersonation.end"
    assert fresh.get("/operator/").status_code == 302


def test_a_copied_cookie_of_before_is_worthless(fresh: Client, alice: User, acme: Organization) -> None:
    before = fresh.cookies[settings.SESSION_COOKIE_NAME].value
    begin(fresh, alice, acme)
    during = fresh.cookies[settings.SESSION_COOKIE_NAME].value
    fresh.post(END)
    assert len({before, during, fresh.cookies[settings.SESSION_COOKIE_NAME].value}) == 3
    for old in (before, during):
        thief = Client()
        thief.cookies[settings.SESSION_COOKIE_NAME] = old
        assert thief.get("/operator/").status_code == 302


def test_streams_are_nobodys_meanwhile(fresh: Client, alice: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    assert person_of(fresh.cookies[settings.SESSION_COOKIE_NAME].value) is None


def test_another_session_of_the_operator_is_not_in_it(
    fresh: Client, olga: User, alice: User, acme: Organization
) -> None:
    begin(fresh, alice, acme)
    other = logged_in(olga)
    session = other.session
    session[impersonation.SESSION_KEY] = "1; DROP"
    session.save()
    assert other.get("/operator/").status_code == 200


def test_a_row_of_another_operator_is_not_taken_over(fresh: Client, alice: User, bob: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    with organization_scope(acme.pk):
        row = Impersonation.objects.get()
    thief = logged_in(bob)
    session = thief.session
    session[impersonation.SESSION_KEY] = row.pk
    session.save()
    assert thief.get("/o/acme/settings/members/").status_code == 403  # bob is bob


# ── Refusals ──


def test_another_operators_place_is_never_taken(fresh: Client, alice: User, acme: Organization) -> None:
    User.objects.filter(pk=alice.pk).update(is_operator=True)
    response = fresh.post(place_of(alice, acme), {"reason": "Ticket 4711", "mode": "look"})
    assert response.status_code == 422
    assert b"Nobody takes another operator" in response.content
    assert actions(acme) == []


def test_who_becomes_an_operator_is_left_at_once(fresh: Client, alice: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    User.objects.filter(pk=alice.pk).update(is_operator=True)
    assert fresh.get("/o/acme/overview").status_code == 404
    assert actions(acme)[-1][0] == "impersonation.end"


def test_who_is_no_operator_any_more_is_out_at_once(fresh: Client, olga: User, alice: User, acme: Organization) -> None:
    begin(fresh, alice, acme)
    User.objects.filter(pk=olga.pk).update(is_operator=False)
    assert fresh.get("/o/acme/overview").status_code == 404
    assert fresh.get("/operator/").status_code == 404


@pytest.mark.parametrize("change", ["left", "closed"])
def test_who_has_left_has_no_place(fresh: Client, bob: User, acme: Organization, change: str) -> None:
    begin(fresh, bob, acme)
    if change == "left":
        with organization_scope(acme.pk):
            Membership.objects.filter(user=bob).update(ended_at=now())
    else:
        User.objects.filter(pk=bob.pk).update(is_active=False)
    assert fresh.get("/o/acme/overview").status_code == 404
    assert fresh.post(place_of(bob, acme), {"reason": "again", "mode": "look"}).status_code == 422


def test_a_reason_is_needed(fresh: Client, alice: User, acme: Organization) -> None:
    assert fresh.post(place_of(alice, acme), {"reason": "  ", "mode": "look"}).status_code == 422
    assert fresh.post(place_of(alice, acme), {"reason": "x", "mode": "joy"}).status_code == 422
    assert actions(acme) == []


def test_the_password_is_asked_for_once_more(olga_client: Client, alice: User, acme: Organization) -> None:
    response = olga_client.post(place_of(alice, acme), {"reason": "Ticket 4711", "mode": "look"})
    assert response.status_code == 302
    assert response.headers["location"].startswith("/accounts/reauthenticate/")
    assert actions(acme) == []


def test_nobody_else_takes_a_place(alice_client: Client, bob: User, acme: Organization) -> None:
    assert alice_client.post(place_of(bob, acme), {"reason": "x", "mode": "look"}).status_code == 404


def test_the_domain_refuses_too(fresh: Client, alice: User, bob: User, acme: Organization) -> None:
    request = fresh.get("/operator/").wsgi_request
    with pytest.raises(ApiError, match="Only operators"):
        impersonation.begin(request, alice, membership_of(bob, acme), reason="x", is_full=True)


def test_somebody_of_another_organization_is_not_found_there(
    fresh: Client, charlie: User, acme: Organization, globex: Organization
) -> None:
    member = membership_of(charlie, globex).pk
    assert fresh.get(f"/operator/organizations/acme/members/{member}/place/").status_code == 404


def test_ending_what_does_not_run(fresh: Client, alice_client: Client, client: Client) -> None:
    assert fresh.post(END).headers["location"] == "/operator/"
    assert alice_client.post(END).status_code == 404
    assert client.post(END).status_code == 302
    assert fresh.get(END).status_code == 405


def test_nothing_of_it_is_kept_for_when_there_is_no_connection(fresh: Client, bob: User, acme: Organization) -> None:
    begin(fresh, bob, acme)
    response = fresh.get("/o/acme/overview")
    assert response.headers["X-Tokenledger-Owner"] == "nobody"
    assert "offline.js" not in response.content.decode()

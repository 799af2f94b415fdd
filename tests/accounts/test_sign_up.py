"""From the first visit to a working log-in: sign-up, verification, invitation, password reset, second factor."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.conf import settings
from django.core import mail
from django.test import Client

from accounts import members
from accounts.audit import Actor
from accounts.models import Membership, Organization, Role, User
from core.tenancy import organization_scope, unscoped
from tests.cast import PASSWORD, membership_of

SIGN_UP = "/accounts/signup/"
FORM = {
    "name": "Dora",
    "email": "dora@initech.test",
    "password1": PASSWORD,
    "organization": "Initech",
    "timezone": "Europe/Paris",
}


def link_in_mail(pattern: str) -> str:
    found = re.search(rf"https?://[^/]+({pattern}\S*)", str(mail.outbox[-1].body))
    assert found, mail.outbox[-1].body
    return found[1]


@pytest.fixture
def invitation(acme: Organization, alice: User) -> str:
    """The link of an invitation for dora@initech.test."""
    with organization_scope(acme.id):
        _, token = members.invite(acme, "dora@initech.test", Role.FINANCE, by=Actor(alice.email, Role.OWNER, alice))
    return f"/invitations/{token}/"


@pytest.mark.django_db
def test_signing_up_founds_an_organization_after_the_mail_is_confirmed(client: Client) -> None:
    page = client.get(SIGN_UP)
    assert page.status_code == 200
    assert b'name="organization"' in page.content
    response = client.post(SIGN_UP, FORM)
    assert response.status_code == 302, response.content
    dora = User.objects.get(email="dora@initech.test")
    assert dora.name == "Dora"
    assert client.get("/").url.startswith("/accounts/login/")  # type: ignore[attr-defined]
    link = link_in_mail("/accounts/confirm-email/")
    assert client.get(link).status_code == 200
    assert client.post(link).status_code == 302
    assert EmailAddress.objects.get(user=dora).verified
    client.force_login(dora)
    assert client.get("/").url.startswith("/o/initech/")  # type: ignore[attr-defined]
    with unscoped("test"):
        initech = Organization.objects.get(slug="initech")
    assert initech.timezone == "Europe/Paris"
    assert membership_of(dora, initech).role == "owner"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "nonsense"}, "email"),
        ({"password1": "12345678"}, "password1"),
        ({"organization": ""}, "organization"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"name": ""}, "name"),
    ],
)
def test_a_wrong_sign_up_leaves_nothing(client: Client, change: dict[str, str], field: str) -> None:
    response = client.post(SIGN_UP, {**FORM, **change})
    assert response.status_code == 200
    assert f"id_{field}_error".encode() in response.content
    assert not User.objects.exists()
    with unscoped("test"):
        assert not Organization.objects.exists()


@pytest.mark.django_db
def test_a_closed_installation_takes_the_invited_only(
    client: Client, settings: Any, request: pytest.FixtureRequest
) -> None:
    settings.SIGNUP_IS_OPEN = False
    assert b'name="password1"' not in client.get(SIGN_UP).content
    client.post(SIGN_UP, FORM)
    assert not User.objects.exists()
    client.get(request.getfixturevalue("invitation"))
    assert b'name="password1"' in client.get(SIGN_UP).content


def test_signing_up_by_invitation_joins_and_founds_nothing(acme: Organization, client: Client, invitation: str) -> None:
    assert b"Create an account to accept" in client.get(invitation).content
    page = client.get(SIGN_UP)
    assert b'name="organization"' not in page.content
    assert b'value="dora@initech.test"' in page.content
    other = client.post(SIGN_UP, {**FORM, "email": "eve@initech.test"})
    assert b"The invitation is for dora@initech.test" in other.content
    response = client.post(SIGN_UP, FORM)
    assert (response.status_code, response.url) == (302, "/"), response.content  # type: ignore[attr-defined]
    dora = User.objects.get(email="dora@initech.test")
    assert EmailAddress.objects.get(user=dora).verified
    assert client.get("/").url.startswith("/o/acme/")  # type: ignore[attr-defined]
    assert membership_of(dora, acme).role == "finance"
    with unscoped("test"):
        assert Organization.objects.count() == 1


def test_logging_in_with_an_invitation_leads_back_to_it(client: Client, invitation: str, charlie: User) -> None:
    charlies = User.objects.create_user("dora@initech.test", PASSWORD)
    EmailAddress.objects.create(user=charlies, email=charlies.email, verified=True, primary=True)
    page = client.get(invitation).content.decode()
    login = re.search(r'href="(/accounts/login/\?next=[^"]+)"', page)
    assert login
    response = client.post(login[1], {"login": charlies.email, "password": PASSWORD})
    assert response.url == invitation  # type: ignore[attr-defined]


def test_an_existing_account_is_not_given_away(alice: User, client: Client) -> None:
    response = client.post(SIGN_UP, {**FORM, "email": alice.email})
    assert response.status_code == 302
    assert mail.outbox[0].to == [alice.email]
    assert User.objects.filter(email=alice.email).count() == 1
    with unscoped("test"):
        assert not Organization.objects.filter(slug="initech").exists()
        assert Membership.objects.count() == 1


def test_resetting_a_password(alice: User, client: Client) -> None:
    client.post("/accounts/password/reset/", {"email": alice.email})
    link = link_in_mail("/accounts/password/reset/key/")
    form = client.get(link, follow=True)
    response = client.post(
        form.redirect_chain[-1][0], {"password1": "another long pass phrase", "password2": "another long pass phrase"}
    )
    assert response.status_code == 302, response.content
    alice.refresh_from_db()
    assert alice.check_password("another long pass phrase")


def test_mails_speak_for_the_product_and_quote_no_stranger(client: Client, db: None) -> None:
    client.post(SIGN_UP, {**FORM, "name": "Win at https://evil.test"})
    message = mail.outbox[-1]
    assert message.subject == "Confirm your e-mail address"
    assert message.body.endswith(f"Tokenledger · {settings.BASE_URL}")
    assert "evil.test" not in message.body


def test_moving_an_account_to_another_address_asks_for_the_password(alice: User, client: Client) -> None:
    client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    add = {"action_add": "", "email": "eve@evil.test"}
    asked = client.post("/accounts/email/", add)
    assert asked.url.startswith("/accounts/reauthenticate/")  # type: ignore[attr-defined]
    assert not EmailAddress.objects.filter(email="eve@evil.test").exists()
    client.post(asked.url, {"password": PASSWORD})  # type: ignore[attr-defined]
    assert EmailAddress.objects.filter(email="eve@evil.test", verified=False).exists()


def test_who_owns_an_account_hears_of_a_new_password(alice: User, client: Client) -> None:
    client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    new = "another long pass phrase"
    client.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert mail.outbox[-1].to == [alice.email]
    assert "change was made to your account" in mail.outbox[-1].body


def test_a_second_factor_is_asked_for(alice: User, client: Client) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(alice, secret)
    assert Authenticator.objects.filter(user=alice, type="totp").exists()
    response = client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    assert response.url.startswith("/accounts/2fa/authenticate/")  # type: ignore[attr-defined]
    assert client.get("/").url.startswith("/accounts/login/")  # type: ignore[attr-defined]
    wrong = client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert wrong.status_code == 200
    code = format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))
    right = client.post("/accounts/2fa/authenticate/", {"code": code})
    assert (right.status_code, right.url) == (302, "/")  # type: ignore[attr-defined]


def test_log_in_attempts_are_limited(alice: User, client: Client) -> None:
    answers = [client.post("/accounts/login/", {"login": alice.email, "password": "wrong"}) for _ in range(12)]
    assert b"Too many failed login attempts" in answers[-1].content or answers[-1].status_code == 429


@pytest.mark.parametrize(
    "path",
    ["email/", "password/change/", "2fa/", "sessions/", "3rdparty/"],
)
def test_pages_of_the_own_account_open(alice_client: Client, path: str) -> None:
    response: Any = alice_client.get(f"/accounts/{path}", follow=True)
    assert response.status_code == 200

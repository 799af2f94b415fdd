"""Billing details of an organization: kept in full form, asked of the register, confirmed only while they hold."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry, Organization
from accounts.organizations import update_organization
from billing import receivers
from billing.invoices.lines import parties_of
from billing.models import BillingProfile, TaxStanding
from billing.parties.profile import check_number
from billing.parties.rechecks import next_ask_at, to_ask
from core.tenancy import organization_scope
from tests.billing.invoices.selling import BY, has_seller

pytestmark = pytest.mark.django_db
PAGE, CHECK, DECIDE = "/o/acme/billing/details/", "/o/acme/billing/details/check/", "/operator/organizations/acme/tax/"
AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


class _Register(BaseHTTPRequestHandler):
    valid: bool | None = True
    asked: dict[str, str] = {}

    def do_POST(self) -> None:
        type(self).asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"valid": self.valid, "requestIdentifier": "WAPI1"}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def register(settings: Any) -> Iterator[type[_Register]]:
    handler = type("Handler", (_Register,), {})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    settings.VAT_REGISTER_URL = f"http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def details(**values: str) -> dict[str, str]:
    return {
        "billing_name": "Acme SARL", "billing_email": "bills@acme.test", "billing_address": "1 rue de la Paix",
        "billing_postal_code": "75002", "billing_city": "Paris", "country": "FR", "region": "idf",
        "tax_number": "40 303 265 045", "reference": "PO-7", **values,
    }  # fmt: skip


def profile(acme: Organization) -> BillingProfile:
    with organization_scope(acme.pk):
        row: BillingProfile = BillingProfile.objects.get(organization=acme)
        return row


def label(acme: Organization) -> str:
    with organization_scope(acme.pk):
        return parties_of(Organization.objects.get(pk=acme.pk), AT.date()).treatment.label


def actions(acme: Organization) -> list[tuple[str, str]]:
    with organization_scope(acme.pk):
        rows = AuditEntry.objects.filter(action__startswith="billing.").order_by("pk")
        return list(rows.values_list("action", "actor_label"))


def test_who_reads_and_who_changes(
    fiona_client: Client, vera_client: Client, bob_client: Client, charlie_client: Client, acme: Organization
) -> None:
    assert {one.post(PAGE, details()).status_code for one in (vera_client, bob_client)} == {403}
    assert charlie_client.post(PAGE, details()).status_code == 404
    assert b"Nobody bills for this installation yet" in fiona_client.get(PAGE).content
    assert fiona_client.post(PAGE, details()).status_code == 302
    row = profile(acme)
    assert (row.tax_number, row.region, row.reference) == ("FR40303265045", "IDF", "PO-7")
    with organization_scope(acme.pk):
        acme.refresh_from_db()
    assert (acme.billing_name, acme.billing_city, acme.country) == ("Acme SARL", "Paris", "FR")
    assert [action for action, _ in actions(acme)] == ["billing.details"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tax_number": "FR123"}, "is not a VAT number of FR"),
        ({"country": "DE"}, "is not a VAT number of DE"),
        ({"country": ""}, "This field is required"),
        ({"billing_email": "nobody"}, "valid email"),
        ({"reference": "x" * 61}, "at most 60 characters"),
    ],
)
def test_what_is_refused_changes_nothing(
    fiona_client: Client, acme: Organization, values: dict[str, str], words: str
) -> None:
    answer = fiona_client.post(PAGE, details(**values))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    with organization_scope(acme.pk):
        acme.refresh_from_db()
    assert acme.billing_name == ""
    assert actions(acme) == []


def test_a_saved_number_is_asked_about_and_changes_the_tax(
    fiona_client: Client,
    acme: Organization,
    register: type[_Register],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    has_seller()
    asked: list[int] = []
    monkeypatch.setattr(receivers.check_tax_number, "apply_async", lambda args, countdown: asked.extend(args))
    with django_capture_on_commit_callbacks(execute=True):
        fiona_client.post(PAGE, details())
        fiona_client.post(PAGE, details(reference="PO-8"))
    assert asked == [acme.pk], "another reference is no other number"
    assert label(acme) == "VAT DE 19%", "until it is confirmed"
    assert b"Not checked yet" in fiona_client.get(PAGE).content
    check_number(acme.pk, AT)
    assert register.asked["requesterNumber"] == "136695976"
    row = profile(acme)
    assert (row.tax_standing, row.tax_checked_at, row.tax_reference) == (TaxStanding.CONFIRMED, AT, "WAPI1")
    page = fiona_client.get(PAGE).content.decode()
    assert "Reverse charge" in page
    assert "Confirmed" in page
    assert CHECK not in page
    assert actions(acme)[-1] == ("billing.tax_number_check", "command check_tax_number")


def test_another_number_or_country_is_not_confirmed(
    fiona_client: Client, acme: Organization, register: type[_Register]
) -> None:
    has_seller()
    fiona_client.post(PAGE, details())
    check_number(acme.pk, AT)
    with organization_scope(acme.pk):
        update_organization(Organization.objects.get(pk=acme.pk), {"country": "AT"}, by=BY)
    assert label(acme) == "VAT DE 19%", "who moved has another number"
    assert b"Of another country" in fiona_client.get(PAGE).content
    fiona_client.post(PAGE, details(country="IT", tax_number="IT00743110157"))
    assert profile(acme).tax_standing == TaxStanding.NOT_ASKED
    assert profile(acme).tax_checked_at is None


def test_a_number_that_the_register_does_not_have(
    fiona_client: Client, acme: Organization, register: type[_Register], django_capture_on_commit_callbacks: Any
) -> None:
    has_seller()
    register.valid = False
    fiona_client.post(PAGE, details())
    check_number(acme.pk, AT)
    page = fiona_client.get(PAGE).content.decode()
    assert "Not in the register" in page
    assert CHECK in page
    assert label(acme) == "VAT DE 19%"
    register.valid = True
    with django_capture_on_commit_callbacks(execute=False) as callbacks:
        assert b"The register is being asked" in fiona_client.post(CHECK, follow=True).content
    assert len(callbacks) == 1
    check_number(acme.pk, AT)
    assert b"no number that waits" in fiona_client.post(CHECK, follow=True).content


def test_without_a_register_the_operator_confirms(
    fiona_client: Client, alice_client: Client, olga_client: Client, acme: Organization
) -> None:
    has_seller()
    assert alice_client.post(DECIDE, {"is_confirmed": "on"}).status_code == 404
    assert b"There is no number to confirm" in olga_client.post(DECIDE, {"is_confirmed": "on"}).content
    fiona_client.post(PAGE, details())
    assert b"No register is asked" in fiona_client.post(CHECK, follow=True).content
    check_number(acme.pk, AT)
    assert profile(acme).tax_standing == TaxStanding.NOT_ASKED
    unseen = olga_client.post(DECIDE, {"number": "FR83404833048", "is_confirmed": "on"})
    assert b"changed its number meanwhile" in unseen.content
    seen = {"number": "FR40303265045"}
    assert olga_client.post(DECIDE, {**seen, "is_confirmed": "on"}).status_code == 302
    assert label(acme) == "Reverse charge"
    assert profile(acme).tax_reference == "olga@operator.test"
    assert actions(acme)[-1] == ("billing.tax_decision", "olga@operator.test")
    olga_client.post(DECIDE, {**seen, "exemption": "Diplomatic mission, certificate 12"})
    assert profile(acme).tax_standing == TaxStanding.NOT_ASKED
    assert label(acme) == "Tax exempt"
    olga_client.post(DECIDE, seen)
    assert label(acme) == "VAT DE 19%"


def after(**time: float) -> dt.datetime:
    return AT + dt.timedelta(**time)


def test_a_register_that_is_away_is_asked_again_ever_less_often(
    fiona_client: Client, acme: Organization, register: type[_Register]
) -> None:
    has_seller()
    register.valid = None
    fiona_client.post(PAGE, details())
    assert to_ask(AT) == [acme.pk], "whatever became of the first question"
    at, waits = AT, []
    for _ in range(7):
        check_number(acme.pk, at)
        assert to_ask(at) == []
        with organization_scope(acme.pk):
            due = next_ask_at(profile(acme))
        assert due is not None
        waits.append((due - at) // dt.timedelta(hours=1))
        assert to_ask(due) == [acme.pk]
        at = due
    assert waits == [1, 2, 4, 8, 16, 24, 24]
    assert profile(acme).tax_standing == TaxStanding.NOT_ASKED
    assert actions(acme) == [("billing.details", "fiona@acme.test")], "nothing came of it"
    register.valid = True
    check_number(acme.pk, at)
    row = profile(acme)
    assert (row.tax_standing, row.tax_unanswered) == (TaxStanding.CONFIRMED, 0)


def test_what_was_told_long_ago_is_asked_again_and_holds_meanwhile(
    fiona_client: Client, acme: Organization, register: type[_Register]
) -> None:
    has_seller()
    fiona_client.post(PAGE, details())
    check_number(acme.pk, AT)
    assert to_ask(after(days=29)) == []
    assert to_ask(after(days=30)) == [acme.pk]
    register.valid = None
    check_number(acme.pk, after(days=30))
    assert profile(acme).tax_checked_at == AT
    assert label(acme) == "Reverse charge"
    assert to_ask(after(days=30, minutes=59)) == []
    assert to_ask(after(days=30, hours=1)) == [acme.pk]
    register.valid = False
    check_number(acme.pk, after(days=30, hours=1))
    assert label(acme) == "VAT DE 19%"
    assert actions(acme)[-1] == ("billing.tax_number_check", "command check_tax_number")


def test_the_page_says_when_the_register_is_asked(
    fiona_client: Client, acme: Organization, register: type[_Register]
) -> None:
    fiona_client.post(PAGE, details())
    assert b"asked within half an hour" in fiona_client.get(PAGE).content
    register.valid = None
    check_number(acme.pk, dt.datetime.now(dt.UTC))
    assert b"The register did not answer 1 time," in fiona_client.get(PAGE).content
    register.valid = True
    check_number(acme.pk, dt.datetime.now(dt.UTC))
    assert b"The register is asked again on" in fiona_client.get(PAGE).content


def test_the_operators_word_holds_against_the_register(
    fiona_client: Client, olga_client: Client, acme: Organization, register: type[_Register]
) -> None:
    has_seller()
    fiona_client.post(PAGE, details())
    seen = {"number": "FR40303265045"}
    olga_client.post(DECIDE, {**seen, "is_confirmed": "on"})
    register.valid = False
    check_number(acme.pk, AT)
    assert label(acme) == "Reverse charge"
    assert to_ask(after(days=400)) == []
    assert b"the register is not asked" in fiona_client.get(PAGE).content
    olga_client.post(DECIDE, seen)
    assert to_ask(AT) == [acme.pk]


def test_numbers_without_a_register_wait_for_the_operator(
    fiona_client: Client, acme: Organization, register: type[_Register], settings: Any
) -> None:
    fiona_client.post(PAGE, details(country="GB", tax_number="GB980780684"))
    assert to_ask(AT) == []
    fiona_client.post(PAGE, details())
    settings.VAT_REGISTER_URL = ""
    assert to_ask(AT) == []

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import httpx
import pytest
import stripe
from django.test import Client

from accounts.models import Organization
from accounts.organizations import update_organization
from billing.models import StripeCustomer
from billing.providers.stripe import customers, tasks
from core.errors import ApiError
from core.tenancy import organization_scope
from tests.billing.plans import BY

from .conftest import CARD

pytestmark = pytest.mark.django_db


def kept(organization: Organization) -> tuple[str, str]:
    with organization_scope(organization.pk):
        customer = StripeCustomer.objects.get()
    return customer.card_brand, customer.card_last4


def test_a_customer_is_made_once(acme: Organization, connected: str, api: stripe.StripeClient) -> None:
    first = customers.customer_of(acme)
    with organization_scope(acme.pk):
        # As if the process had ended before it was stored.
        StripeCustomer.objects.all().delete()
    assert customers.customer_of(acme).stripe_id == first.stripe_id
    assert [one.name for one in api.v1.customers.list().data] == ["Acme"]


def test_later_details_reach_stripe(
    acme: Organization,
    connected: str,
    customer_at_stripe: Callable[[], stripe.Customer],
    api: stripe.StripeClient,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customers.customer_of(acme)
    assert customers.organizations_to_tell_of() == []
    heard: list[tuple[int]] = []
    monkeypatch.setattr(tasks.tell_details, "apply_async", lambda args, countdown: heard.append(args))
    with organization_scope(acme.pk), django_capture_on_commit_callbacks(execute=True):
        update_organization(acme, {"billing_name": "Acme GmbH", "billing_city": "Kiel", "country": "DE"}, by=BY)
    assert heard == [(acme.pk,)]
    # The worker was away: beat finds it.
    assert customer_at_stripe().name == "Acme"
    assert customers.organizations_to_tell_of() == [acme.pk]
    before = len(api.v1.events.list({"limit": 100}).data)
    for _ in range(2):
        tasks.tell_details(acme.pk)
    there = customer_at_stripe()
    assert there.address is not None
    assert (there.name, there.address.city, there.address.country) == ("Acme GmbH", "Kiel", "DE")
    assert len(api.v1.events.list({"limit": 100}).data) == before + 1, "told once"
    assert customers.organizations_to_tell_of() == []


def test_details_wait_while_stripe_is_away(
    acme: Organization,
    connected: str,
    customer_at_stripe: Callable[[], stripe.Customer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: object, **__: object) -> None:
        raise stripe.APIConnectionError("the line went dead")

    with monkeypatch.context() as patched:
        patched.setattr(stripe.CustomerService, "update", away)
        with pytest.raises(stripe.APIConnectionError):
            customers.customer_of(acme)
    assert customers.organizations_to_tell_of() == [acme.pk]
    tasks.tell_details(acme.pk)
    assert customer_at_stripe().name == "Acme"


def test_who_is_no_customer_is_not_told_of(acme: Organization, connected: str) -> None:
    tasks.tell_details(acme.pk)
    with organization_scope(acme.pk):
        assert not StripeCustomer.objects.exists()


def test_a_card_becomes_the_default(
    acme: Organization,
    connected: str,
    enter_card: Callable[..., str],
    customer_at_stripe: Callable[[], stripe.Customer],
) -> None:
    enter_card()
    assert kept(acme) == ("visa", "4242")
    with organization_scope(acme.pk):
        customer = StripeCustomer.objects.get()
    assert (customer.card_exp_month, customer.card_exp_year) == (12, 2034)
    settings = customer_at_stripe().invoice_settings
    assert settings is not None
    assert settings.default_payment_method == customer.method_id


def test_an_older_session_told_again_changes_nothing(
    acme: Organization, connected: str, enter_card: Callable[..., str]
) -> None:
    first = enter_card()
    with organization_scope(acme.pk):
        StripeCustomer.objects.update(
            session_created_at=StripeCustomer.objects.get().session_created_at.replace(year=2025)
        )
    enter_card("5555 5555 5555 4444")
    assert kept(acme) == ("mastercard", "4444")
    with organization_scope(acme.pk):
        later = StripeCustomer.objects.get()
        StripeCustomer.objects.update(session_created_at=later.session_created_at.replace(year=2099))
    customers.adopt_card(first)
    assert kept(acme) == ("mastercard", "4444")


def test_a_session_that_is_not_done_gives_no_card(acme: Organization, connected: str) -> None:
    page = customers.card_page(acme, back="https://app.test/", done="https://app.test/")
    session = urlsplit(page).path.rpartition("/")[2]
    assert customers.adopt_card(session) is None
    assert kept(acme) == ("", "")


def test_pages_lead_to_stripe_and_back(acme: Organization, connected: str, fiona_client: Client) -> None:
    leaving = fiona_client.post("/o/acme/billing/card")
    assert leaving.status_code == 303
    assert leaving["location"].startswith(f"{connected}/c/pay/")
    done = httpx.post(leaving["location"], data=CARD).headers["location"]
    back = fiona_client.get(urlsplit(done).path, {"session": done.rpartition("=")[2]})
    assert back["location"] == "/o/acme/billing/"
    assert kept(acme) == ("visa", "4242")
    portal = fiona_client.post("/o/acme/billing/portal")
    assert "4242" in httpx.get(portal["location"]).text


def test_another_organizations_session_is_none_of_ours(
    acme: Organization, globex: Organization, connected: str, fiona_client: Client, charlie_client: Client
) -> None:
    theirs = charlie_client.post("/o/globex/billing/card")["location"]
    done = httpx.post(theirs, data=CARD).headers["location"]
    fiona_client.get("/o/acme/billing/card/return", {"session": done.rpartition("=")[2]})
    with organization_scope(acme.pk):
        assert not StripeCustomer.objects.exists()
    assert fiona_client.get("/o/acme/billing/card/return", {"session": "cs_none"}).status_code == 302


def test_without_a_key_no_card_is_taken(acme: Organization, fiona_client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        customers.customer_of(acme)
    assert (refused.value.status, refused.value.code) == (409, "card_payments_off")
    assert fiona_client.post("/o/acme/billing/card").status_code == 409


def test_only_who_pays_may(acme: Organization, connected: str, bob_client: Client) -> None:
    assert bob_client.post("/o/acme/billing/card").status_code == 403
    assert bob_client.post("/o/acme/billing/portal").status_code == 403


def test_the_plans_page_shows_the_card(
    acme: Organization, connected: str, enter_card: Callable[..., str], fiona_client: Client, alice_client: Client
) -> None:
    assert "Add a card" in fiona_client.get("/o/acme/billing/").content.decode()
    enter_card()
    shown = alice_client.get("/o/acme/billing/").content.decode()
    assert "Visa ending 4242" in shown
    assert "expires 12/2034" in shown


def test_the_plans_page_offers_no_card_without_a_key(acme: Organization, fiona_client: Client) -> None:
    assert "Payment method" not in fiona_client.get("/o/acme/billing/").content.decode()

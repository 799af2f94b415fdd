"""The plan as Stripe's portal shows it: made once, brought up to date, and canceled there."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Iterator

import httpx
import pytest
import stripe
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization
from billing import subscriptions as plans
from billing.contracts import Contract
from billing.models import StripeSubscription, SubscriptionChange
from billing.providers.stripe import customers
from billing.providers.stripe.portal import portal_page
from billing.providers.stripe.subscriptions import mirror
from billing.providers.stripe.tasks import mirror_plan, mirror_plans_of_all
from core.tenancy import organization_scope
from tests.billing.invoices.selling import BY
from tests.billing.plans import subscribed

from .test_inbox import post, process_all, told

pytestmark = pytest.mark.django_db
EnterCard = Callable[..., str]


@pytest.fixture
def shown(acme: Organization, connected: str, enter_card: EnterCard) -> Iterator[Organization]:
    """On Developer, with a card, and shown at Stripe."""
    subscribed(acme, "developer", now() - dt.timedelta(days=70))
    enter_card()
    mirror(acme, now())
    with organization_scope(acme.pk):
        yield acme


def at_stripe(api: stripe.StripeClient, status: str = "all") -> list[stripe.Subscription]:
    return list(api.v1.subscriptions.list({"status": status}).data)


def decide_in_portal(organization: Organization, do: str, api: stripe.StripeClient) -> None:
    page = portal_page(organization, back="https://app.test/", may_cancel=True)
    assert "Developer" in httpx.get(page).text
    httpx.post(page, data={"do": do, "subscription": at_stripe(api)[0].id})


def hear(api: stripe.StripeClient, *, seed: int = 0) -> None:
    """All of Stripe's events, twice and in any order."""
    payloads = [payload for payload in told(api) if json.loads(payload)["type"].startswith("customer.sub")] * 2
    random.Random(seed).shuffle(payloads)
    for payload in payloads:
        post(payload)
    process_all()


def ends_on(organization: Organization) -> dt.date | None:
    contract = Contract.load(organization)
    assert contract is not None
    following = contract.next_change(contract.today())
    return following.effective_on if following is not None and following.plan == "free" else None


def test_it_shows_the_plan_and_charges_nothing(shown: Organization, api: stripe.StripeClient) -> None:
    for _ in range(2):
        mirror(shown, now())
    (found,) = at_stripe(api)
    price = found.items.data[0].price
    assert (found.status, price.nickname, price.unit_amount) == ("active", "Developer", 0)
    contract = Contract.load(shown)
    assert contract is not None
    renews_on = contract.period(contract.today()).ends_on
    end = dt.datetime.fromtimestamp(found.items.data[0].current_period_end, shown.zone)
    assert (end.date(), end.hour) == (renews_on, 0)
    assert all(invoice.total == 0 for invoice in api.v1.invoices.list().data)
    assert api.v1.charges.list().data == []


def test_without_a_card_or_a_fee_there_is_none(
    acme: Organization, connected: str, enter_card: EnterCard, api: stripe.StripeClient
) -> None:
    mirror_plans_of_all()
    subscribed(acme, "developer", now() - dt.timedelta(days=70))
    customers.customer_of(acme)
    mirror_plan(acme.pk)
    assert at_stripe(api) == []


def test_it_follows_what_is_decided_here(shown: Organization, api: stripe.StripeClient) -> None:
    plans.change_plan(shown, "startup", by=BY)
    mirror(shown, now())
    assert at_stripe(api)[0].items.data[0].price.nickname == "Startup"
    plans.cancel(shown, by=BY)
    mirror(shown, now())
    assert at_stripe(api)[0].cancel_at_period_end
    plans.resume(shown, by=BY)
    mirror(shown, now())
    assert not at_stripe(api)[0].cancel_at_period_end
    # What was written there is no decision of anybody's there.
    decided = SubscriptionChange.objects.count()
    hear(api)
    assert SubscriptionChange.objects.count() == decided
    plans.cancel(shown, by=BY)
    mirror(shown, now() + dt.timedelta(days=40))
    assert [one.status for one in at_stripe(api)] == ["canceled"]
    assert StripeSubscription.objects.get().status == "canceled"


def test_a_trial_is_shown_as_one(
    acme: Organization, connected: str, enter_card: EnterCard, api: stripe.StripeClient
) -> None:
    plans.start_subscription(acme, "developer", by=BY, with_trial=True)
    enter_card()
    mirror(acme, now())
    (found,) = at_stripe(api)
    assert found.status == "trialing"
    assert found.trial_end is not None
    last = dt.datetime.fromtimestamp(found.trial_end, acme.zone).date()
    assert last == dt.datetime.now(acme.zone).date() + dt.timedelta(days=14)


@pytest.mark.parametrize("seed", range(3))
def test_canceled_and_kept_in_the_portal(shown: Organization, api: stripe.StripeClient, seed: int) -> None:
    contract = Contract.load(shown)
    assert contract is not None
    decide_in_portal(shown, "cancel", api)
    hear(api, seed=seed)
    assert ends_on(shown) == contract.period(contract.today()).ends_on
    assert SubscriptionChange.objects.get(kind="cancel").decided_by_label == "command stripe"
    decide_in_portal(shown, "renew", api)
    hear(api, seed=seed)
    assert ends_on(shown) is None
    assert SubscriptionChange.objects.filter(kind__in=("cancel", "resume")).count() == 2


def test_only_who_manages_the_plan_cancels_it_there(
    shown: Organization, api: stripe.StripeClient, fiona_client: Client, alice_client: Client
) -> None:
    def portal(client: Client) -> str:
        return str(client.post("/o/acme/billing/portal")["location"])

    finance = portal(fiona_client)
    assert "Cancel plan" not in httpx.get(finance).text
    httpx.post(finance, data={"do": "cancel", "subscription": at_stripe(api)[0].id})
    assert not at_stripe(api)[0].cancel_at_period_end
    for _ in range(2):
        assert "Cancel plan" in httpx.get(portal(alice_client)).text
    assert len(api.v1.billing_portal.configurations.list().data) == 2


def test_ended_at_once_there_the_period_is_kept_here(shown: Organization, api: stripe.StripeClient) -> None:
    api.v1.subscriptions.cancel(at_stripe(api)[0].id)
    hear(api)
    assert ends_on(shown) is not None
    mirror(shown, now())
    assert [one.status for one in at_stripe(api)] == ["canceled"]
    plans.resume(shown, by=BY)
    mirror(shown, now())
    assert [one.status for one in at_stripe(api, "active")] == ["active"]
    # What is told of the first one, again, is nothing new.
    decided = SubscriptionChange.objects.count()
    hear(api)
    assert SubscriptionChange.objects.count() == decided


def test_one_whose_answer_was_lost_is_made_once(
    acme: Organization, connected: str, enter_card: EnterCard, api: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed(acme, "developer", now() - dt.timedelta(days=70))
    enter_card()
    create = stripe.SubscriptionService.create

    def dies(*args: object, **kwargs: object) -> object:
        create(*args, **kwargs)  # type: ignore[arg-type]
        raise stripe.APIConnectionError("the line went dead")

    with monkeypatch.context() as patched:
        patched.setattr(stripe.SubscriptionService, "create", dies)
        with pytest.raises(stripe.APIConnectionError):
            mirror(acme, now())
    mirror(acme, now())
    assert len(at_stripe(api)) == 1

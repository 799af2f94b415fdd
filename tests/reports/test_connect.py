"""The Connect page: examples filled with what is the viewer's, and what has arrived, for those who may see it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Organization, Scope, User
from core.tenancy import organization_scope
from metering.events import Usage
from metering.models import Upstream
from metering.pipeline import Sender
from reports.examples import WAYS
from tests.cast import make_key, membership_of
from tests.metering.query.usage import make_event, write

URL = "/o/acme/connect/"
LIVE = "/o/acme/connect/live"


def text(client: Client, path: str = URL) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def arrive(organization: Organization, event_id: str, **fields: Any) -> None:
    at = now() - dt.timedelta(seconds=1)
    write(organization.pk, [make_event(event_id, at, "gpt-4o", Usage(input=1000, output=100), **fields)])


# ── Examples ──


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_way_is_filled_with_the_address(alice_client: Client, way: Any) -> None:
    page = text(alice_client, f"{URL}?with={way.name}")
    assert settings.BASE_URL in page
    assert way.label in page
    assert "{address}" not in page
    assert "{key}" not in page
    assert page.count("data-copy=") == len(way.codes)


def test_a_name_that_is_no_way_shows_the_first(alice_client: Client) -> None:
    assert 'id="code-openai-1"' in text(alice_client, f"{URL}?with=%00<nonsense>")


def test_examples_have_the_beginning_of_a_key_that_may_do_it(
    bob_client: Client, acme: Organization, bob: User, alice: User
) -> None:
    make_key(acme, [Scope.USAGE_WRITE], name="somebody's", member=membership_of(alice, acme))
    assert "somebody" not in text(bob_client, f"{URL}?with=litellm")
    own = make_key(acme, [Scope.USAGE_WRITE], name="my laptop", member=membership_of(bob, acme))
    page = text(bob_client, f"{URL}?with=litellm")
    assert f"Bearer {own.row.prefix}...&quot;" in page
    assert own.secret not in page
    # It may not use the gateway.
    page = text(bob_client, f"{URL}?with=openai")
    assert own.row.prefix not in page
    assert "No key of yours may do this yet" in page


def test_admins_are_shown_a_service_key_after_their_own(adam_client: Client, acme: Organization, adam: User) -> None:
    service = make_key(acme, [Scope.USAGE_WRITE], name="service")
    assert service.row.prefix in text(adam_client, f"{URL}?with=litellm")
    own = make_key(acme, [Scope.USAGE_WRITE], name="own", member=membership_of(adam, acme))
    make_key(acme, [Scope.USAGE_WRITE], name="newer service")
    assert own.row.prefix in text(adam_client, f"{URL}?with=litellm")


def test_a_viewer_without_keys_reads_where_to_get_one(vera_client: Client, acme_key: Any) -> None:
    page = text(vera_client)
    assert "Put an API key in its place" in page
    assert reverse("accounts:key-create", args=["acme"]) not in page
    assert acme_key.row.prefix not in page


def test_a_new_key_may_do_what_the_examples_do(alice_client: Client) -> None:
    url = alice_client.get(URL).context["new_key_url"]
    assert alice_client.get(url).context["form"]["scopes"].value() == ["usage:write", "gateway"]


def test_the_gateway_without_an_upstream_says_so(alice_client: Client, vera_client: Client, acme: Organization) -> None:
    assert reverse("metering:upstreams", args=["acme"]) in text(alice_client)
    assert "The gateway has no upstream yet" in text(alice_client)
    assert "An admin adds the server" in text(vera_client)
    assert "no upstream yet" not in text(alice_client, f"{URL}?with=litellm")
    with organization_scope(acme.id):
        Upstream.objects.create(organization=acme, name="o", protocol="openai", base_url="https://api.openai.com/v1")
    assert "no upstream yet" not in text(alice_client)


# ── What arrives ──


def test_it_waits_until_the_first_event(alice_client: Client, acme: Organization) -> None:
    page = alice_client.get(URL)
    assert "Waiting for your first event" in page.content.decode()
    state = page.context["live"]["state"]
    assert alice_client.get(LIVE, {"state": state}).status_code == 204
    arrive(acme, "e1")
    answer = alice_client.get(LIVE, {"state": state})
    shown = answer.content.decode()
    assert answer["Cache-Control"].startswith("max-age=0, no-cache")
    assert "Waiting" not in shown
    assert "gpt-4o" in shown
    assert "1,100" in shown
    assert "An event of gpt-4o has arrived." in shown
    assert (answer.context["live"]["today"].requests, answer.context["live"]["today"].total_tokens) == (1, 1100)


def test_counters_move_while_calls_run(alice_client: Client, acme: Organization) -> None:
    arrive(acme, "e1")
    state = alice_client.get(URL).context["live"]["state"]
    assert alice_client.get(LIVE, {"state": state}).status_code == 204
    arrive(acme, "e2")
    answer = alice_client.get(LIVE, {"state": state})
    assert answer.context["live"]["today"].requests == 2
    assert "has arrived" not in answer.content.decode()


def test_what_has_no_price_or_no_usage_says_so(alice_client: Client, acme: Organization) -> None:
    at = now() - dt.timedelta(seconds=1)
    write(acme.pk, [make_event("odd", at, "odd-model", None)])
    page = text(alice_client)
    assert "unpriced" in page
    assert "unknown" in page


def test_whose_key_it_was_is_for_those_who_see_keys(
    alice_client: Client, vera_client: Client, acme: Organization
) -> None:
    key = make_key(acme, name="night shift")
    at = now() - dt.timedelta(seconds=1)
    write(acme.pk, [make_event("e1", at, "gpt-4o", Usage(input=1))], Sender(api_key_id=key.row.pk))
    assert "night shift" in text(alice_client, LIVE)
    assert "gpt-4o" in text(vera_client, LIVE)
    assert "night shift" not in text(vera_client, LIVE)


def test_a_member_sees_their_own_arrive(bob_client: Client, acme: Organization, bob: User, alice: User) -> None:
    arrive(acme, "e1", user=alice.email)
    page = bob_client.get(URL)
    assert "Nothing of yours in the last 30 days" in page.content.decode()
    assert page.context["live"]["today"].requests == 0
    arrive(acme, "e2", user=bob.email)
    assert bob_client.get(LIVE).context["live"]["today"].requests == 1


def test_old_usage_is_not_what_arrives(alice_client: Client, acme: Organization) -> None:
    at = now() - dt.timedelta(days=40)
    write(acme.pk, [make_event("old", at, "gpt-4o", Usage(input=1))])
    assert "Waiting for an event" in text(alice_client)

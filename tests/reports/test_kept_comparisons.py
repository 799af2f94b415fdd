"""Comparisons under a name: what was told stays, and made again it is the same or says what changed."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization, User
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from reports.comparison_records import figures_of, make_again
from reports.models import KeptComparison
from tests.cast import membership_of
from tests.metering.query.priced_usage import set_prices, write_rated
from tests.metering.query.usage import make_event

URL = "/o/acme/costs/comparison"
ASKED = "range=7d&with=openai/long,openai/plain&gpu_hour_usd=3"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    """More than a 64-bit integer of femto-dollars, too."""
    set_prices()
    at = now() - dt.timedelta(minutes=5)
    write_rated(
        acme.pk,
        [
            make_event("a", at, "plain", Usage(input=2_000_000_001, output=100), provider="openai", user=alice.email),
            make_event("b", at, "long", Usage(input=10, cache_read=500), provider="openai", user=bob.email),
            make_event("odd", at, "odd-one", Usage(input=7), provider="openai"),
        ],
    )


def kept(client: Client, name: str = "October", query: str = ASKED) -> KeptComparison:
    response = client.post(f"{URL}/keep?{query}", {"name": name})
    assert response.status_code == 302, response.content[:300]
    with unscoped("the test looks at what was kept"):
        found: KeptComparison = KeptComparison.objects.order_by("-pk")[0]
    assert response["Location"] == f"{URL}/kept/{found.pk}/"
    return found


def test_what_was_told_stays_and_is_reproduced(acme: Organization, alice_client: Client, usage: None) -> None:
    live = alice_client.get(f"{URL}?{ASKED}").context
    assert live["keep_url"].startswith(f"{URL}/keep?")
    one = kept(alice_client)
    page = alice_client.get(f"{URL}/kept/{one.pk}/")
    assert page.context["cards"] == live["cards"]
    assert [row["replays"] for row in page.context["rows"]] == [row["replays"] for row in live["rows"]]
    assert page.context["gpu"]["busy"] == live["gpu"]["busy"]
    assert max(replay.femtos for replay in figures_of(one).replays) > 2**62
    again = make_again(one)
    assert (again.is_same, again.changed_models, again.other_prices) == (True, 0, ())
    assert "to the last digit" in alice_client.get(f"{URL}/kept/{one.pk}/again").content.decode()
    file = alice_client.get(f"{URL}/kept/{one.pk}.csv").content
    assert file == alice_client.get(f"{URL}.csv?{ASKED}").content
    with organization_scope(acme.pk):
        entry = AuditEntry.objects.get(action="comparison.keep")
    assert entry.target_label == "October"


def test_usage_that_came_later_is_told(acme: Organization, alice_client: Client, usage: None) -> None:
    one = kept(alice_client)
    before = alice_client.get(f"{URL}/kept/{one.pk}/").context["cards"]
    at = now() - dt.timedelta(minutes=4)
    write_rated(acme.pk, [make_event("late", at, "plain", Usage(input=1_000), provider="openai")])
    again = make_again(one)
    assert (again.is_same, again.changed_models, again.other_prices) == (False, 1, ())
    response = alice_client.get(f"{URL}/kept/{one.pk}/again")
    assert {change["label"] for change in response.context["changes"]} == {
        "Calls", "Tokens", "Cost", "At openai/long", "At openai/plain", "On GPUs",
    }  # fmt: skip
    assert ("3", "4") in {(change["before"], change["after"]) for change in response.context["changes"]}
    assert alice_client.get(f"{URL}/kept/{one.pk}/").context["cards"] == before


def test_another_price_is_told_and_changes_no_figure(acme: Organization, alice_client: Client, usage: None) -> None:
    one = kept(alice_client)
    with organization_scope(acme.pk):
        own = PriceVersion.objects.create(
            organization_id=acme.pk, kind=PriceKind.OVERRIDE, provider="openai", model="long",
            valid_from=now() - dt.timedelta(hours=1), source="contract",
        )  # fmt: skip
        PriceRate.objects.create(organization_id=acme.pk, version=own, bucket="input", femtos_per_unit=1)
    again = make_again(one)
    assert again.is_same, "the usage was charged at its own time, and the versions are those that were kept"
    assert again.other_prices == (f"openai/long has another price since {own.valid_from:%-d %b %Y}",)
    live_url = alice_client.get(f"{URL}/kept/{one.pk}/").context["live_url"]
    live = alice_client.get(live_url)
    assert [card["is_own"] for card in live.context["cards"]] == [True, False]
    assert live.context["choice"]["gpus"]["gpu_hour_usd"] == "3"


def test_whose_usage_it_is_decides_who_sees_it(
    acme: Organization,
    alice_client: Client,
    bob_client: Client,
    vera_client: Client,
    charlie: User,
    client: Client,
    usage: None,
    bob: User,
) -> None:
    whole, own = kept(alice_client), kept(bob_client, "Mine")
    assert own.of_member_id == membership_of(bob, acme).pk
    assert figures_of(own).totals.requests == 1
    assert bob_client.get(f"{URL}/kept/{whole.pk}/").status_code == 404
    assert bob_client.get(f"{URL}/kept/{whole.pk}/again").status_code == 404
    assert [row["comparison"].pk for row in bob_client.get(f"{URL}/kept/").context["rows"]] == [own.pk]
    assert vera_client.get(f"{URL}/kept/{own.pk}/").status_code == 200
    client.force_login(charlie)
    for path in ("", "again", "delete"):
        assert client.get(f"{URL}/kept/{whole.pk}/{path}").status_code == 404


def test_a_comparison_of_keys_is_for_who_sees_keys(
    acme: Organization, alice_client: Client, vera_client: Client, usage: None
) -> None:
    one = kept(alice_client, query=f"{ASKED}&api_key=none")
    assert vera_client.get(f"{URL}/kept/{one.pk}/").status_code == 404


def test_names_are_once_and_who_kept_it_deletes_it(
    acme: Organization, alice_client: Client, bob_client: Client, vera_client: Client, usage: None
) -> None:
    one = kept(alice_client)
    again = alice_client.post(f"{URL}/keep?{ASKED}", {"name": " october "})
    assert again.status_code in (409, 422)
    assert "already" in again.content.decode()
    kept(bob_client)
    assert alice_client.post(f"{URL}/keep?{ASKED}", {"name": "  "}).status_code == 422
    assert alice_client.post(f"{URL}/keep?range=7d&with=none", {"name": "x"}).status_code == 422
    assert alice_client.get(f"{URL}/keep?{ASKED}").status_code == 200
    assert vera_client.get(f"{URL}/kept/{one.pk}/delete").status_code == 403
    vera_client.post(f"{URL}/kept/{one.pk}/delete")
    assert alice_client.get(f"{URL}/kept/{one.pk}/").context["delete_url"]
    assert vera_client.get(f"{URL}/kept/{one.pk}/").context["delete_url"] is None
    assert alice_client.post(f"{URL}/kept/{one.pk}/delete").status_code == 302
    assert alice_client.get(f"{URL}/kept/{one.pk}/").status_code == 404


def test_without_any_the_list_says_how(alice_client: Client, acme: Organization) -> None:
    assert "No comparison is kept yet" in alice_client.get(f"{URL}/kept/").content.decode()

"""The quick overview says what the API says, to whom it may, in a few queries however much there is."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, User
from core.money import usd_text
from core.tenancy import organization_scope
from metering.events import Usage
from metering.models import Limit, LimitKind, LimitUnit
from tests.cast import Key
from tests.metering.query.usage import make_event, write
from tests.reports.priced import set_prices, write_priced

URL = "/o/acme/quick"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    set_prices()
    at = now() - dt.timedelta(seconds=30)
    events = [make_event(f"a{n}", at, "gpt-4o", Usage(input=1000, output=100), user=alice.email) for n in range(3)]
    events.append(make_event("b", at, "gpt-4o", Usage(input=2000, output=50), user=bob.email))
    events.append(make_event("old", at - dt.timedelta(days=9), "gpt-4o", Usage(input=5, output=5)))
    write_priced(acme.pk, events)


def shown(client: Client, status: int = 200) -> Any:
    response = client.get(URL)
    assert response.status_code == status
    return response


def test_figures_are_the_apis(alice_client: Client, acme_api: Client, usage: None) -> None:
    context = shown(alice_client).context
    month = acme_api.get("/v1/usage").json()
    assert context["month"]["tokens"] == month["total_tokens"]
    assert usd_text(context["month"]["cost_nanos"]) == month["total_cost_usd"]
    zone = ZoneInfo("Europe/Berlin")
    today = acme_api.get("/v1/usage", {"from": now().astimezone(zone).date().isoformat()}).json()
    assert context["month"]["today_tokens"] == today["total_tokens"] == 3 * 1100 + 2050
    assert context["today"]["requests"] == today["total_requests"] == 4
    assert len(context["days"]["spark"]) == 14
    assert sum(context["days"]["spark"]) == 3 * 1100 + 2050 + 10
    assert [row["is_today"] for row in context["days"]["rows"]] == [True, *[False] * 6]


def test_it_says_what_the_overview_says(alice_client: Client, usage: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # A day's average is of the part of today that is over.
    at = now()
    monkeypatch.setattr("reports.page.now", lambda: at)
    here, there = shown(alice_client).context["month"], alice_client.get("/o/acme/overview").context["position"]
    assert here == there


def test_a_member_sees_their_own(bob_client: Client, usage: None) -> None:
    context = shown(bob_client).context
    assert context["month"]["today_tokens"] == 2050
    assert "Your own usage" in context["page"]["subtitle"]


def test_each_day_leads_to_the_overview_of_that_day(alice_client: Client, usage: None) -> None:
    row = shown(alice_client).context["days"]["rows"][0]
    overview = alice_client.get(row["url"])
    assert overview.status_code == 200
    assert next(card["value"] for card in overview.context["summary"]) == row["tokens"]


def test_the_allowance_is_metered(alice_client: Client, acme: Organization, usage: None) -> None:
    with organization_scope(acme.pk):
        Limit.objects.create(organization=acme, kind=LimitKind.ALLOWANCE, unit=LimitUnit.TOKENS, amount=6000)
    page = shown(alice_client)
    allowance = page.context["month"]["allowance"]
    assert allowance["used"] == page.context["month"]["tokens"]
    assert "/ 6,000" in page.content.decode()
    assert allowance["status"] == "warning"


def test_before_the_first_event_it_says_so(alice_client: Client) -> None:
    assert "No usage yet" in shown(alice_client).content.decode()


def test_its_moving_part_is_what_the_page_shows(alice_client: Client, usage: None) -> None:
    live = alice_client.get(f"{URL}/live").json()
    tokens = shown(alice_client).context["month"]["tokens"]
    assert f">{tokens:,}</span>" in live["html"]
    assert live["subtitle"] == shown(alice_client).context["page"]["subtitle"]


def test_queries_do_not_grow_with_usage(alice_client: Client, acme: Organization, usage: None) -> None:
    shown(alice_client)
    with CaptureQueriesContext(connection) as few:
        shown(alice_client)
    at = now() - dt.timedelta(seconds=20)
    write(acme.pk, [make_event(f"n{n}", at - dt.timedelta(hours=n), f"model-{n}") for n in range(60)])
    with CaptureQueriesContext(connection) as many:
        shown(alice_client)
    assert len(many) <= len(few) <= 60


def test_it_may_be_kept_by_its_owner_alone(
    alice_client: Client, bob_client: Client, client: Client, acme_key: Key, usage: None
) -> None:
    alices, bobs, again = (shown(one).headers for one in (alice_client, bob_client, alice_client))
    assert alices["X-Tokenledger-Keep"] == "1"
    assert alices["X-Tokenledger-Owner"] == again["X-Tokenledger-Owner"] != bobs["X-Tokenledger-Owner"]
    keys = alice_client.get("/o/acme/settings/keys/").headers
    assert "X-Tokenledger-Keep" not in keys
    assert keys["X-Tokenledger-Owner"] == alices["X-Tokenledger-Owner"]
    assert client.get("/accounts/login/").headers["X-Tokenledger-Owner"] == "nobody"
    assert "X-Tokenledger-Owner" not in alice_client.get("/accounts/sessions/").headers
    assert "X-Tokenledger-Owner" not in acme_key.client.get("/v1/usage").headers

"""From the pages' figures to a diagnosis, filled in with what the page showed."""

from __future__ import annotations

import datetime as dt
import html
import re

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, Team, User
from core.periods import local_day
from tests.cast import Key, membership_of
from tests.metering.query.usage import make_event, write
from tests.reports.test_teams import leads

PAGES = ("overview", "usage", "models", "costs/", "costs/shared", "usage/tokens", "usage/features", "teams/")


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User, search: Team) -> None:
    at = now() - dt.timedelta(seconds=30)
    write(acme.pk, [make_event("a", at, "odd-1", user=alice.email), make_event("b", at, "odd-1", user=bob.email)])


def ways(client: Client, address: str) -> list[str]:
    """Every link to a diagnosis that the page has."""
    response = client.get(address)
    assert response.status_code == 200, (address, response.content[:300])
    found = re.findall(r'href="(/o/acme/diagnosis/\?[^"]*)"', response.content.decode())
    return [html.unescape(url) for url in found]


@pytest.mark.parametrize("page", PAGES)
def test_every_proof_line_leads_there_with_the_range(
    page: str, alice_client: Client, acme: Organization, usage: None
) -> None:
    today = local_day(now(), acme.zone)
    (*_, url) = ways(alice_client, f"/o/acme/{page}?range=7d&model=odd-1")
    form = alice_client.get(url).context["form"]
    assert form.initial == {
        "symptom": "missing",
        "first_day": str(today - dt.timedelta(days=6)),
        "last_day": str(today),
        "model": "odd-1",
    }


def test_costs_and_totals_ask_for_their_own_symptom(alice_client: Client, usage: None) -> None:
    assert any("symptom=cost" in url for url in ways(alice_client, "/o/acme/costs/"))
    assert any("symptom=totals" in url for url in ways(alice_client, "/o/acme/teams/"))


def test_where_nothing_is_it_is_asked_whether_it_is_missing(alice_client: Client, usage: None) -> None:
    (url,) = ways(alice_client, "/o/acme/usage?from=2026-01-01T00:00&to=2026-01-03T00:00")
    assert url == "/o/acme/diagnosis/?symptom=missing&first_day=2026-01-01&last_day=2026-01-02"


def test_of_a_long_range_the_last_days_are_looked_at(alice_client: Client, acme: Organization, usage: None) -> None:
    ends = [(now() + dt.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M") for days in (-300, 2)]
    url = ways(alice_client, f"/o/acme/usage?from={ends[0]}&to={ends[1]}")[-1]
    form = alice_client.get(url).context["form"]
    first, last = (dt.date.fromisoformat(form.initial[name]) for name in ("first_day", "last_day"))
    assert (last - first).days == 91
    assert last == local_day(now(), acme.zone)
    assert alice_client.post(url, form.initial).status_code == 302


def test_keys_and_members_are_chosen_already(
    alice_client: Client, bob_client: Client, acme: Organization, acme_key: Key, bob: User, usage: None
) -> None:
    (*_, url) = ways(alice_client, f"/o/acme/usage?api_key={acme_key.row.prefix}&member={bob.email}")
    page = alice_client.get(url)
    assert (page.context["form"].initial["api_key"], page.context["form"].initial["member"]) == (
        acme_key.row,
        membership_of(bob, acme),
    )
    assert f'<option value="{acme_key.row.pk}" selected' in page.content.decode()
    # Somebody else's key is not among a member's choices, and one that there is not is none.
    assert "selected" not in bob_client.get(url).content.decode().partition("api_key")[2].partition("</select>")[0][30:]
    assert alice_client.get("/o/acme/diagnosis/?api_key=tl_nothing&member=x&first_day=%00").status_code == 200


def test_whole_teams_are_not_diagnosed_by_their_admins(
    bob_client: Client, bob: User, search: Team, usage: None
) -> None:
    leads(bob, search)
    assert ways(bob_client, "/o/acme/usage?team=search") == ways(bob_client, "/o/acme/teams/") == []
    assert ways(bob_client, "/o/acme/usage")

"""The overview tells the ledger's figures, to those who may see them."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Organization, Team, TeamMembership, User
from core.tenancy import organization_scope
from metering.events import Usage
from tests.cast import Key, membership_of
from tests.metering.query.usage import make_event, write

URL = "/o/acme/overview"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    """Today: alice 3 calls of gpt-4o, bob 2 of claude, one unpriced; and one a year ago that no range here has."""
    at = now() - dt.timedelta(seconds=30)
    events = [make_event(f"a{n}", at, "gpt-4o", Usage(input=1000, output=100), user=alice.email) for n in range(3)]
    events += [make_event(f"b{n}", at, "claude", Usage(input=2000, output=50), user=bob.email) for n in range(2)]
    events.append(make_event("odd", at, "odd-model", Usage(input=7, output=0), user=alice.email))
    events.append(make_event("old", at - dt.timedelta(days=380), "gpt-4o", Usage(input=5, output=5)))
    write(acme.pk, events)


def shown(client: Client, query: str = "range=today", status: int = 200) -> Any:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == status, response.content[:500]
    return response


def block(response: Any, name: str) -> dict[str, Any]:
    """The data a chart on the page is drawn from."""
    found = re.search(
        rf'<script id="{name}" type="application/json">(.*?)</script>', response.content.decode(), re.DOTALL
    )
    assert found, f"no data block {name}"
    return json.loads(found[1])


def test_before_the_first_event_it_says_how_to_send_one(alice_client: Client) -> None:
    page = shown(alice_client, "").content.decode()
    assert "Send your first event" in page
    assert "/v1/events" in page
    assert reverse("accounts:keys", args=["acme"]) in page


def test_cards_show_the_totals_of_the_range(alice_client: Client, usage: None) -> None:
    context = shown(alice_client).context
    cards = {card["label"]: card["value"] for card in context["summary"]}
    assert cards == {
        "Total tokens": 3 * 1100 + 2 * 2050 + 7,
        "Prompt tokens": 3 * 1000 + 2 * 2000 + 7,
        "Completion tokens": 3 * 100 + 2 * 50,
        "Requests": 6,
        "Tokens per request": round((3 * 1100 + 2 * 2050 + 7) / 6),
    }
    assert context["position"]["tokens"] == cards["Total tokens"]


def test_an_unpriced_model_is_never_free(alice_client: Client, usage: None) -> None:
    response = shown(alice_client)
    assert response.context["position"]["coverage"]["unpriced_tokens"] == 7
    assert [model["label"] for model in response.context["models"]["unpriced"]] == ["odd-model"]
    assert "odd-model has no price yet" in response.content.decode()


def test_the_chart_draws_the_very_figures_of_its_table(alice_client: Client, usage: None) -> None:
    response = shown(alice_client)
    series = block(response, "usage")["series"]
    drawn = sum(value or 0 for line in series if line["label"] == "Total" for value in line["data"])
    assert drawn == 3 * 1100 + 2 * 2050 + 7
    assert response.context["chart"]["table"]["totals"][0] == "7,407"


def test_the_hour_that_is_not_over_is_a_point_of_its_own(alice_client: Client, usage: None) -> None:
    series = block(shown(alice_client), "usage")["series"]
    whole = next(line for line in series if line["label"] == "Total" and line["role"] == "line")
    running = next(line for line in series if line["label"] == "Total" and line["role"] == "partial")
    assert all(not (a is not None and b is not None) for a, b in zip(whole["data"], running["data"], strict=True))


def test_a_slice_filters_and_its_chip_takes_the_filter_away(alice_client: Client, usage: None) -> None:
    slices = block(shown(alice_client), "models")["series"]
    target = next(one["href"] for one in slices if one["label"] == "claude")
    response = alice_client.get(target)
    assert response.context["summary"][0]["value"] == 2 * 2050
    (chip,) = response.context["page"]["filters"]
    assert chip["value"] == "claude"
    assert alice_client.get(chip["remove_url"]).context["summary"][3]["value"] == 6


def test_a_range_without_usage_keeps_the_filters_and_offers_a_longer_one(alice_client: Client, usage: None) -> None:
    page = shown(alice_client, "range=yesterday&model=nothing-like-it").content.decode()
    assert "No usage matches these filters" in page


def test_nonsense_in_the_address_is_told(alice_client: Client, usage: None) -> None:
    page = shown(alice_client, "range=fortnight", status=422).content.decode()
    assert "There is no range" in page


def test_a_member_sees_their_own_usage_whatever_the_address_says(
    bob_client: Client, alice: User, acme: Organization, usage: None
) -> None:
    other = membership_of(alice, acme).pk
    for query in ("range=today", f"range=today&member={other}", "range=today&user=alice@acme.test"):
        context = shown(bob_client, query).context
        assert context["summary"][3]["value"] == 2
        assert context["page"]["title"] == "Your usage"
        assert (context["page"]["notice"] is None) == (query == "range=today")
        assert "top-member" not in [breakdown["id"] for breakdown in context["breakdowns"]]


def test_ones_own_address_needs_no_word(bob_client: Client, alice_client: Client, bob: User, usage: None) -> None:
    assert shown(bob_client, f"range=today&member={bob.email}").context["page"]["notice"] is None
    assert shown(alice_client, f"range=today&member={bob.email}").context["page"]["notice"] is None
    other = shown(bob_client, "range=today&member=alice@acme.test&model=gpt-4o").context["page"]["notice"]
    assert "member" not in other["actions"][0]["url"]
    assert "model=gpt-4o" in other["actions"][0]["url"]


def test_a_viewer_sees_everybodys_usage(vera_client: Client, usage: None) -> None:
    assert shown(vera_client).context["summary"][3]["value"] == 6


def test_strangers_find_nothing(charlie_client: Client, client: Client, usage: None) -> None:
    assert charlie_client.get(URL).status_code == 404
    assert client.get(URL).status_code == 302


def test_the_recount_counts_the_events_themselves(alice_client: Client, usage: None) -> None:
    page = alice_client.get(f"{URL}/recount?range=today").content.decode()
    assert "Adds up from 6 events, difference 0" in page


def test_a_recount_finds_a_roll_up_that_was_changed(
    alice_client: Client, acme: Organization, usage: None, in_acme: Organization
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE metering_usage_day SET output = output + 1 WHERE kind = 0")
    page = alice_client.get(f"{URL}/recount?range=today").content.decode()
    assert "Differs from 6 events by" in page


def test_the_series_as_a_file_has_every_digit(alice_client: Client, usage: None) -> None:
    response = alice_client.get(f"{URL}/series.csv?range=today&measure=cost")
    lines = response.content.decode().splitlines()
    assert lines[0] == "start,cost"
    assert response["Content-Disposition"] == 'attachment; filename="cost-by-hour.csv"'
    # 3 × (1000 × 2501 + 100 × 10007) + 2 × (2000 × 2501 + 50 × 10007) nanos
    assert sum(round(float(line.split(",")[1]) * 10**9) for line in lines[1:]) == 21_509_800


def test_values_to_filter_by_are_listed_with_their_figures(
    alice_client: Client, bob_client: Client, vera_client: Client, usage: None
) -> None:
    page = alice_client.get(f"{URL}/choose/model?range=today").content.decode()
    assert "claude" in page
    assert "model=claude" in page
    assert alice_client.get(f"{URL}/choose/mood").status_code == 404
    assert bob_client.get(f"{URL}/choose/member").status_code == 404
    # A viewer sees everybody's usage, but no keys.
    assert vera_client.get(f"{URL}/choose/member").status_code == 200
    assert vera_client.get(f"{URL}/choose/api_key").status_code == 404
    assert "choose/api_key" not in shown(vera_client).content.decode()


def test_the_export_is_the_apis_file_of_what_one_may_see(alice_client: Client, bob_client: Client, usage: None) -> None:
    response = alice_client.get("/o/acme/export/usage.csv?range=today")
    lines = b"".join(response.streaming_content).decode().splitlines()
    assert lines[0] == "timestamp,model,prompt_tokens,completion_tokens,total_tokens,requests"
    assert sum(int(line.split(",")[4]) for line in lines[1:]) == 3 * 1100 + 2 * 2050 + 7
    own = b"".join(bob_client.get("/o/acme/export/usage.csv?range=today").streaming_content).decode()
    assert "gpt-4o" not in own


def test_who_administers_a_team_may_look_at_it(
    bob_client: Client, bob: User, alice: User, acme: Organization, search: Team
) -> None:
    at = now() - dt.timedelta(seconds=30)
    with organization_scope(acme.pk):
        TeamMembership.objects.create(organization=acme, team=search, membership=membership_of(alice, acme))
        TeamMembership.objects.filter(membership=membership_of(bob, acme)).update(is_admin=True)
    write(acme.pk, [make_event("a", at, user=alice.email), make_event("b", at, user=bob.email)])
    write(acme.pk, [make_event("c", at)])
    assert shown(bob_client).context["summary"][3]["value"] == 1
    context = shown(bob_client, "range=today&team=search").context
    assert context["summary"][3]["value"] == 2
    assert [one["label"] for one in context["page"]["whose"]] == ["You", "Search"]
    assert "top-member" in [breakdown["id"] for breakdown in context["breakdowns"]]
    # Two teams at once are not a team of theirs.
    assert shown(bob_client, "range=today&team=search&team=none").context["summary"][3]["value"] == 1


def test_a_link_that_filters_by_what_a_role_does_not_see_is_refused(
    vera_client: Client, usage: None, acme_key: Key
) -> None:
    shown(vera_client, f"api_key={acme_key.row.prefix}", status=403)


def test_the_menu_takes_the_filters_along(alice_client: Client, usage: None) -> None:
    nav = shown(alice_client, "range=7d&measure=cost&model=claude").context["shell"]["nav"]
    urls = {item["label"]: item["url"] for group in nav for item in group["items"]}
    assert urls["Overview"] == f"{URL}?range=7d&model=claude"
    assert "?" not in urls["Settings"]


def test_queries_do_not_grow_with_what_is_listed(alice_client: Client, acme: Organization, usage: None) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client)
        return len(captured)

    shown(alice_client)
    few = count()
    at = now() - dt.timedelta(seconds=30)
    write(acme.pk, [make_event(f"e{n}", at, f"model-{n}", user=f"user-{n}") for n in range(60)])
    assert count() == few

"""The pages of advice: what is listed, the evidence and its file, what is done about it."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization
from core.money import usd_from_nanos, usd_text
from core.tenancy import organization_scope
from metering.events import Usage
from reports.advice import rounds
from reports.advice.pages import PIECES_A_PAGE
from reports.models import AdviceRound, Insight, InsightEvidence
from tests.reports.advice.making import DAY, MINUTE, call, make_insight, nanos, set_prices, write

pytestmark = pytest.mark.django_db
URL = "/o/acme/advice/"
COUNT = PIECES_A_PAGE + 5


@pytest.fixture
def switch(acme: Organization) -> Insight:
    """Found in calls of the last month by a round as the clock stands."""
    set_prices()
    at = now() - 9 * DAY
    write(
        acme,
        [
            call(f"req_{n}", at + n * MINUTE, Usage(input=500 + n, output=40), feature=f"feature {n}")
            for n in range(COUNT)
        ],
    )
    rounds.look(acme.pk, now())
    with organization_scope(acme.pk):
        return Insight.objects.get(kind="model_switch")


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_what_was_found_is_listed_with_what_it_saves(vera_client: Client, acme: Organization, switch: Insight) -> None:
    response = vera_client.get(URL)
    text = text_of(response)
    assert f"Move {COUNT} short calls from gpt-4o to gpt-4o-mini" in text
    saved = sum(
        nanos(model, Usage(input=500 + n, output=40)) * sign
        for model, sign in (("gpt-4o", 1), ("gpt-4o-mini", -1))
        for n in range(COUNT)
    )
    assert [row["insight"].likely_nanos for row in response.context["rows"]] == [saved]
    assert response.context["round"].together_nanos == saved
    # A viewer sees, and does not act.
    assert "Look now" not in text


def test_each_piece_leads_to_its_receipt_and_the_file_sums_to_the_nano(alice_client: Client, switch: Insight) -> None:
    first = alice_client.get(f"{URL}{switch.pk}/")
    assert first.context["pieces"][0]["url"] == "/o/acme/calls/id/req_0"
    assert alice_client.get("/o/acme/calls/id/req_0").status_code == 200
    assert len(first.context["pieces"]) == PIECES_A_PAGE
    rest = alice_client.get(f"{URL}{switch.pk}/{first.context['later_url']}")
    assert [one["piece"].id for one in rest.context["pieces"]] == [f"req_{n}" for n in range(PIECES_A_PAGE, COUNT)]
    file = alice_client.get(f"{URL}{switch.pk}/evidence.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(file.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [row["event_id"] for row in rows] == [f"req_{n}" for n in range(COUNT)]
    assert {row["event_id"]: (row["cost_usd"], row["would_cost_usd"]) for row in rows} == {
        f"req_{n}": tuple(
            usd_text(nanos(model, Usage(input=500 + n, output=40))) for model in ("gpt-4o", "gpt-4o-mini")
        )
        for n in range(COUNT)
    }
    assert switch.likely_nanos is not None
    assert sum(Decimal(row["saved_usd"]) for row in rows) == usd_from_nanos(switch.likely_nanos)


def test_calls_of_chats_lead_to_them(alice_client: Client, acme: Organization) -> None:
    set_prices()
    detail = {"chat_title": "<Plans> for spring"}
    fields: dict[str, Any] = {"chat": "c 1/2", "chat_title": "<Plans> for spring", "detail": detail}
    write(acme, [call("Long-1", now() - DAY, Usage(input=500, output=40), **fields)])
    with organization_scope(acme.pk):
        insight = make_insight(acme, "Long", kind="long_chats")
    page = text_of(alice_client.get(f"{URL}{insight.pk}/"))
    assert page.count("/chats/id/") == 1
    assert 'href="/o/acme/chats/id/c%201/2">' in page
    assert "<bdi>&lt;Plans&gt; for spring</bdi></a>" in page
    assert alice_client.get("/o/acme/chats/id/c%201/2").status_code == 200


def test_what_is_particular_of_a_key_is_on_phones_too(alice_client: Client, acme: Organization) -> None:
    with organization_scope(acme.pk):
        insight = make_insight(acme, "Key", pieces=1, kind="idle_keys")
        InsightEvidence.objects.update(ids=["tl_abcd"], notes=["last used on 3 May 2026"])
    page = text_of(alice_client.get(f"{URL}{insight.pk}/"))
    assert '<bdi>tl_abcd</bdi> <div class="tl-phone tl-evidence-note">last used on 3 May 2026</div>' in page


@pytest.mark.parametrize("query", ["from=x", "from=55", "from=-1", "from=99999999999"])
def test_pages_that_are_none(alice_client: Client, switch: Insight, query: str) -> None:
    assert alice_client.get(f"{URL}{switch.pk}/?{query}").status_code == 404


@pytest.mark.parametrize("query", ["state=odd", "kind=odd", "kind=plan_fit%00"])
def test_filters_that_are_none(alice_client: Client, acme: Organization, query: str) -> None:
    assert alice_client.get(f"{URL}?{query}").status_code == 404


def test_advice_is_dismissed_with_a_reason_and_opened_again(alice_client: Client, switch: Insight) -> None:
    page = text_of(
        alice_client.post(f"{URL}{switch.pk}/dismiss", {"reason": "The large one is <better>."}, follow=True)
    )
    assert "Dismissed by" in page
    assert "The large one is &lt;better&gt;." in page
    assert alice_client.get(URL).context["rows"] == []
    assert [row["state"] for row in alice_client.get(f"{URL}?state=dismissed").context["rows"]] == ["Dismissed"]
    again = alice_client.post(f"{URL}{switch.pk}/dismiss", follow=True)
    assert "This advice is not open: dismissed." in text_of(again)
    alice_client.post(f"{URL}{switch.pk}/reopen")
    assert len(alice_client.get(f"{URL}?kind=model_switch").context["rows"]) == 1


def test_what_is_done_says_from_when_it_is_measured(fiona_client: Client, acme: Organization, switch: Insight) -> None:
    page = text_of(fiona_client.post(f"{URL}{switch.pk}/done", follow=True))
    assert "What it realized" in page
    assert "once that day is over, against the 30 days before" in page
    with organization_scope(acme.pk):
        Insight.objects.update(since_units=10, since_nanos=10**9, measured_until=now() + 3 * DAY)
    loss = text_of(fiona_client.get(f"{URL}{switch.pk}/"))
    assert "It saved nothing so far: the same work costs more than before, by $0.98" in loss
    assert "2 days" in loss


@pytest.mark.usefixtures("tasks_at_once")
def test_somebody_asks_for_a_round_and_the_page_waits_for_it(
    alice_client: Client, acme: Organization, django_capture_on_commit_callbacks: Any
) -> None:
    assert "Not looked for yet" in text_of(alice_client.get(URL))
    with django_capture_on_commit_callbacks(execute=True):
        page = text_of(alice_client.post(f"{URL}look", follow=True))
        assert 'hx-trigger="every 2s"' in page
        assert "already" in text_of(alice_client.post(f"{URL}look", follow=True))
    done = text_of(alice_client.get(URL))
    assert "every 2s" not in done
    assert "Nothing to advise" in done


def test_what_could_not_be_looked_for_is_said(alice_client: Client, acme: Organization) -> None:
    with organization_scope(acme.pk):
        AdviceRound.objects.create(organization=acme, failed=["batch_tier", "retired kind"])
    assert "Batch tier could not be looked for." in text_of(alice_client.get(URL))


def test_money_is_for_those_who_see_it(vera_client: Client, fiona_client: Client, acme: Organization) -> None:
    """What a plan costs is not on pages of usage; viewers see those alone."""
    with organization_scope(acme.pk):
        plan = make_insight(acme, "Another plan", kind="plan_fit")
    assert vera_client.get(URL).context["rows"] == []
    assert vera_client.get(f"{URL}{plan.pk}/").status_code == 404
    assert vera_client.get(f"{URL}{plan.pk}/evidence.csv").status_code == 404
    assert "Another plan" in text_of(fiona_client.get(f"{URL}{plan.pk}/"))


def test_the_overview_of_everything_leads_to_it(vera_client: Client, bob_client: Client, switch: Insight) -> None:
    teased = f'href="{URL}{switch.pk}/">See the {COUNT} calls</a>'
    assert teased in text_of(vera_client.get("/o/acme/overview"))
    assert teased not in text_of(vera_client.get("/o/acme/overview?model=gpt-4o"))
    assert "See the" not in text_of(bob_client.get("/o/acme/overview"))

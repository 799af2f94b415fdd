"""The operator's overview: everybody's figures, and nobody else's to see."""

from __future__ import annotations

import csv
import datetime as dt
import io
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Organization
from core.money import usd_text
from core.tenancy import unscoped
from metering.query.ranges import Span, named_range
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports.filters import period_words
from reports.operator.view import AcrossView
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
OVERVIEW = "/operator/"


def own_total(organization: Organization) -> int:
    """What the organization sees of this month itself, in nano-dollars."""
    month = named_range("month", ZoneInfo("UTC"), now())
    zone = organization.zone
    start, end = (at.replace(tzinfo=zone) for at in (month.start, month.end))
    return run(UsageQuery(organization.pk, start, end, zone)).totals.known_cost_nanos


@pytest.mark.parametrize("person", ["alice", "adam", "fiona", "bob", "vera", "charlie"])
def test_nobody_else_learns_that_it_exists(person: str, usage: None, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    for address in (OVERVIEW, "/operator/series.csv", "/operator/by/model", "/operator/recount"):
        assert client.get(address).status_code == 404


def test_who_is_not_logged_in_is_asked_to(client: Client) -> None:
    response = client.get(OVERVIEW)
    assert (response.status_code, response.headers["location"]) == (302, f"/accounts/login/?next={OVERVIEW}")


def test_the_total_is_the_sum_of_the_organizations(
    olga_client: Client, usage: None, acme: Organization, globex: Organization
) -> None:
    context = olga_client.get(OVERVIEW).context
    expected = own_total(acme) + own_total(globex)
    assert expected > 0
    assert context["cards"]["cost"] == expected
    rows = {row["label"]: row["cost"] for row in context["organizations"]["rows"]}
    assert rows == {"Acme": own_total(acme), "Globex": own_total(globex)}
    assert sum(row["cost"] for row in context["models"]["rows"]) == expected


def test_cards_name_the_rate_and_the_top_spender(olga_client: Client, usage: None) -> None:
    cards = olga_client.get(OVERVIEW).context["cards"]
    # 15 tokens a call: 10 at 2,501 nanos and 5 at 10,007; one of five calls has no price.
    assert cards["tokens"] == 75
    assert cards["cost"] == 4 * (25_010 + 50_035)
    assert (cards["models"], cards["top"], cards["unpriced_tokens"]) == (3, "gpt-4o", 15)
    # 75,045 nanos for 15 tokens is $0.005003 for a thousand.
    assert cards["thousand"] == "$0.005003"
    assert cards["per_dollar"] == pytest.approx(60 / 0.00030018)


def test_the_rate_is_by_each_organizations_own_clock(
    olga_client: Client, usage: None, acme: Organization, globex: Organization
) -> None:
    before, cards, after = now(), olga_client.get(OVERVIEW).context["cards"], now()

    def rate(at: dt.datetime) -> float:
        first = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return sum(
            own_total(one) / ((at - first.replace(tzinfo=one.zone)) / dt.timedelta(days=1)) for one in (acme, globex)
        )

    assert rate(after) * 0.9999 <= cards["cost_a_day"] <= rate(before) * 1.0001
    assert float(cards["days"]) == pytest.approx(cards["cost"] / cards["cost_a_day"], abs=0.06)


def test_it_is_compared_with_as_many_days(olga_client: Client, usage: None) -> None:
    month = named_range("month", ZoneInfo("UTC"), now())
    view = AcrossView.of(RequestFactory().get(OVERVIEW))
    length = min(dt.timedelta(days=now().day), month.previous.end - month.previous.start)
    assert view.chosen.range.previous_so_far == Span(month.previous.start, month.previous.start + length)
    shown = olga_client.get(OVERVIEW).context["page"]["compare"]["label"]
    assert shown == period_words(view.chosen.range.previous_so_far, ZoneInfo("UTC"))


def test_input_and_output_are_told_apart(olga_client: Client, usage: None) -> None:
    found = olga_client.get(OVERVIEW).context["distribution"]
    assert [side["tokens"] for side in found["tokens"]] == [50, 25]
    assert [side["cost"] for side in found["costs"]] == [4 * 25_010, 4 * 50_035]
    assert found["left_out"] == 1  # odd-one: its tokens are in no cost
    assert found["tokens"][0]["per_dollar"] == pytest.approx(40 / 0.00010004)


def test_filters_are_the_address(olga_client: Client, usage: None, globex: Organization) -> None:
    page = olga_client.get(OVERVIEW, {"organization": "globex", "provider": "openai"})
    assert page.context["cards"]["tokens"] == 15
    assert [chip["value"] for chip in page.context["page"]["filters"]] == ["Globex", "openai"]
    row = olga_client.get(OVERVIEW).context["organizations"]["rows"][0]
    assert row["url"] == f"{OVERVIEW}?organization={'acme' if row['label'] == 'Acme' else 'globex'}"


@pytest.mark.parametrize(
    "query",
    ["organization=initech", "project=website", "member=alice@acme.test", "range=never", "measure=joy", "from=x&to=y"],
)
def test_an_address_that_makes_no_sense_says_so(olga_client: Client, usage: None, query: str) -> None:
    response = olga_client.get(f"{OVERVIEW}?{query}")
    assert response.status_code == 422
    assert b"This view does not exist" in response.content


@pytest.mark.parametrize("key", ["today", "yesterday", "7d", "30d", "90d", "month"])
def test_every_range_has_intervals_of_whole_days(olga_client: Client, usage: None, key: str) -> None:
    page = olga_client.get(OVERVIEW, {"range": key}).context["page"]
    assert {option["key"] for option in page["interval"]["options"]} <= {"day", "week", "month"}


def test_a_custom_range_is_widened_to_whole_days(olga_client: Client, usage: None) -> None:
    today = now().date()
    asked = {"from": f"{today}T10:00", "to": f"{today}T10:30"}
    assert olga_client.get(OVERVIEW, asked).context["cards"]["tokens"] == 75


def test_without_usage_it_says_so(olga_client: Client) -> None:
    response = olga_client.get(OVERVIEW)
    assert response.status_code == 200
    assert b"No usage in this range" in response.content


def test_a_file_has_the_charts_figures(olga_client: Client, usage: None, acme: Organization) -> None:
    text = olga_client.get("/operator/series.csv").content.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[-1]["day"] >= (now().date() - dt.timedelta(days=1)).isoformat()
    assert sum(int(row["tokens"]) for row in rows) == 75


@pytest.mark.parametrize("dimension", ["organization", "model", "provider", "status"])
def test_every_value_of_a_dimension_is_a_filter(olga_client: Client, usage: None, dimension: str) -> None:
    page = olga_client.get(f"/operator/by/{dimension}")
    assert page.status_code == 200
    for row in page.context["rows"]:
        filtered = olga_client.get(row["url"]).context["cards"]
        assert filtered["tokens"] == row["figures"].total_tokens
    lines = list(csv.DictReader(io.StringIO(olga_client.get(f"/operator/by/{dimension}.csv").content.decode())))
    assert [line["cost_usd"] for line in lines] == [
        usd_text(row["figures"].cost_nanos) or "" for row in page.context["rows"]
    ]


def test_there_is_no_list_of_people(olga_client: Client, usage: None) -> None:
    assert olga_client.get("/operator/by/member").status_code == 404


def test_events_are_counted_again(olga_client: Client, usage: None) -> None:
    answer = olga_client.get("/operator/recount").content.decode()
    assert "Adds up from 5 events in 2 organizations, difference 0" in answer


def test_half_of_the_spend_on_one_provider_is_worth_a_word(olga_client: Client, usage: None) -> None:
    (notice,) = olga_client.get(OVERVIEW).context["notices"]
    assert notice["fact"] == "50.0% of the spend goes to openai."
    assert notice["text"] == "An outage there would reach 2 of 2 organizations."


def test_an_operator_without_an_organization_lands_here(olga_client: Client) -> None:
    assert olga_client.get("/").headers["location"] == reverse("operator:overview")


def test_queries_do_not_grow_with_organizations(olga_client: Client, usage: None) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert olga_client.get(OVERVIEW).status_code == 200
        return len(captured)

    queries()
    before = queries()
    for number in range(12):
        with unscoped("test cast"):
            more = Organization.objects.create(name=f"More {number}", slug=f"more-{number}", timezone="Asia/Tokyo")
        write(more.pk, [make_event("one", now(), f"model-{number}")])
    assert queries() <= before


@pytest.mark.parametrize("address", [OVERVIEW, "/operator/series.csv", "/operator/by/model", "/operator/by/model.csv",
                                     "/operator/recount"])  # fmt: skip
@pytest.mark.parametrize("wrong", ["model=%00", "organization=%00", "status=%00", "provider=%00", "provider="])
def test_values_that_cannot_be_looked_for_are_refused(olga_client: Client, address: str, wrong: str) -> None:
    assert olga_client.get(f"{address}?{wrong}").status_code == 422

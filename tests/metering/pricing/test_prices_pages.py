"""/o/<organization>/settings/prices/: what is used, what it costs, and changing that."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization
from core.tenancy import organization_scope
from metering.models import PriceVersion
from metering.query.run import run
from metering.query.spec import UsageQuery
from tests.metering.query.usage import make_event
from tests.reports.priced import set_prices, write_priced

pytestmark = pytest.mark.django_db
PRICES = "/o/acme/settings/prices/"
SET, REPRICE, MODEL = f"{PRICES}set/", f"{PRICES}reprice/", f"{PRICES}model/"


@pytest.fixture
def calls(acme: Organization) -> dt.datetime:
    """One priced call and two of a model nobody priced, an hour ago; 10 tokens in, 5 out each."""
    set_prices()
    at = now() - dt.timedelta(hours=1)
    write_priced(
        acme.pk,
        [
            make_event("one", at, "gpt-4o", provider="openai"),
            make_event("two", at, "acme-rerank", provider="acme"),
            make_event("three", at, "acme-rerank", provider="acme"),
        ],
    )
    return at


def form(**values: Any) -> dict[str, Any]:
    start = (now() - dt.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    return {"model": "acme-rerank", "provider": "acme", "how": "tokens", "valid_from": start, **values}


def cost_of(organization: Organization, model: str) -> int | None:
    at = now()
    query = UsageQuery(organization.pk, at - dt.timedelta(days=2), at, organization.zone, filters={"model": (model,)})
    return run(query).totals.cost_nanos


def test_models_without_a_price_come_first(alice_client: Client, calls: dt.datetime) -> None:
    rows = alice_client.get(PRICES).context["rows"]
    assert [(row["model"], row["kind"]) for row in rows] == [("acme-rerank", "unpriced"), ("gpt-4o", "list")]
    assert rows[1]["rates"] == ["$2.500000001", "$1.25", "$10"]
    assert rows[0]["rates"] == ["—", "—", "—"]


@pytest.mark.parametrize(
    ("person", "status"), [("adam", 200), ("fiona", 200), ("bob", 403), ("vera", 403), ("charlie", 404)]
)
def test_who_sees_prices(person: str, status: int, calls: dt.datetime, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    assert client.get(PRICES).status_code == status
    assert client.get(MODEL, {"model": "gpt-4o", "provider": "openai"}).status_code == status


@pytest.mark.parametrize("person", ["fiona", "bob", "vera"])
def test_who_sees_prices_need_not_change_them(person: str, calls: dt.datetime, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    assert client.post(SET, form(rate_input="1", rate_output="2")).status_code == 403
    assert client.post(f"{REPRICE}?model=acme-rerank", {"digest": "x"}).status_code == 403
    if person == "fiona":
        assert not client.get(PRICES).context["may_change"]


def test_an_unpriced_model_gets_a_price_from_its_first_call_on(
    alice_client: Client, acme: Organization, calls: dt.datetime
) -> None:
    initial = alice_client.get(SET, {"model": "acme-rerank", "provider": "acme"}).context["form"].initial
    assert initial["valid_from"].date() == calls.astimezone(acme.zone).date()
    response = alice_client.post(SET, form(rate_input="1", rate_output="2"))
    assert response.status_code == 302
    assert response.headers["location"].startswith(f"{REPRICE}?model=acme-rerank&provider=acme&from=")
    assert cost_of(acme, "acme-rerank") is None  # until somebody has seen what it changes

    shown = alice_client.get(response.headers["location"])
    result = shown.context["result"]
    assert (result.changed, shown.context["calls"]) == (2, 2)
    done = alice_client.post(response.headers["location"], {"digest": result.digest})
    assert done.status_code == 302
    # 10 tokens at $1 and 5 at $2 a million, twice.
    assert cost_of(acme, "acme-rerank") == 40_000
    with organization_scope(acme.pk):
        actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"price.set_custom", "prices.reprice"} <= actions


def test_a_difference_that_changed_is_not_applied(alice_client: Client, acme: Organization, calls: dt.datetime) -> None:
    where = alice_client.post(SET, form(rate_input="1", rate_output="2")).headers["location"]
    assert alice_client.post(where, {"digest": "of another day"}).status_code == 409
    assert cost_of(acme, "acme-rerank") is None


def test_an_own_price_stands_before_the_list_and_keeps_its_other_rates(
    alice_client: Client, acme: Organization, calls: dt.datetime
) -> None:
    values = form(model="gpt-4o", provider="openai", rate_input="2", keeps_list_rates="on")
    assert alice_client.post(SET, values).status_code == 302
    row = next(row for row in alice_client.get(PRICES).context["rows"] if row["model"] == "gpt-4o")
    assert (row["kind"], row["rates"]) == ("own", ["$2", "$1.25", "$10"])
    page = alice_client.get(MODEL, {"model": "gpt-4o", "provider": "openai"})
    assert [(one["kind"], one["state"]) for one in page.context["versions"]] == [("own", "now"), ("list", "covered")]


def test_the_form_begins_with_the_price_of_now(alice_client: Client, calls: dt.datetime) -> None:
    alice_client.post(SET, form(rate_input="1.5", rate_output="2"))
    initial = alice_client.get(SET, {"model": "acme-rerank", "provider": "acme"}).context["form"].initial
    assert (initial["how"], initial["rate_input"], initial["rate_output"]) == ("tokens", "1.5", "2")


def test_a_model_on_own_gpus_is_charged_by_their_hour(
    alice_client: Client, acme: Organization, calls: dt.datetime
) -> None:
    values = form(how="gpu", gpu_usd="2.40", gpus="2", calls_at_once="8", rate_input="99")
    assert alice_client.post(SET, values).status_code == 302
    with organization_scope(acme.pk):
        (rate,) = PriceVersion.objects.get(model="acme-rerank").rates.all()
    assert (rate.bucket, rate.femtos_per_unit) == ("gpu_hours", 600_000_000_000_000)
    again = alice_client.get(SET, {"model": "acme-rerank", "provider": "acme"}).context["form"].initial
    assert (again["how"], again["gpu_usd"]) == ("gpu", "0.6")


def test_a_free_model_costs_nothing(alice_client: Client, calls: dt.datetime) -> None:
    alice_client.post(SET, form(how="free"))
    assert alice_client.get(PRICES).context["rows"][0]["kind"] == "free"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, b"Name at least one rate"),
        ({"rate_input": "-1"}, b"greater than or equal to 0"),
        ({"rate_input": "much"}, b"Enter a number"),
        ({"rate_input": "0.0000000001"}, b"no more than 9 decimal places"),
        ({"how": "gpu"}, b"Say what a GPU-hour costs"),
        ({"how": "joy"}, b"Select a valid choice"),
        ({"model": "", "rate_input": "1"}, b"This field is required"),
        ({"valid_from": "soon", "rate_input": "1"}, b"Enter a valid date/time"),
        ({"valid_to": "2020-01-01T00:00", "rate_input": "1"}, b"ends after it begins"),
    ],
)
def test_what_is_no_price_is_refused(
    alice_client: Client, acme: Organization, calls: dt.datetime, values: dict[str, Any], message: bytes
) -> None:
    response = alice_client.post(SET, form(**values))
    assert response.status_code == 422
    assert message in response.content
    with organization_scope(acme.pk):
        assert not PriceVersion.objects.filter(organization=acme).exists()


def test_a_new_price_ends_the_one_before_and_both_stay_readable(alice_client: Client, calls: dt.datetime) -> None:
    alice_client.post(SET, form(rate_input="1", rate_output="2"))
    later = (now() - dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    alice_client.post(SET, form(rate_input="3", rate_output="4", valid_from=later))
    states = [one["state"] for one in alice_client.get(PRICES).context["own"]]
    assert states == ["now", "ended"]


def test_a_price_is_ended(alice_client: Client, acme: Organization, calls: dt.datetime) -> None:
    alice_client.post(SET, form(rate_input="1", rate_output="2"))
    with organization_scope(acme.pk):
        version = PriceVersion.objects.get(model="acme-rerank")
    assert alice_client.get(f"{PRICES}{version.pk}/end/").status_code == 200
    assert alice_client.post(f"{PRICES}{version.pk}/end/").status_code == 302
    assert alice_client.get(PRICES).context["rows"][0]["kind"] == "unpriced"


def test_neither_list_prices_nor_anothers_are_ended(
    alice_client: Client, charlie_client: Client, acme: Organization, globex: Organization, calls: dt.datetime
) -> None:
    charlie_client.post("/o/globex/settings/prices/set/", form(rate_input="1", rate_output="2"))
    with organization_scope(globex.pk):
        ids = list(PriceVersion.published.values_list("pk", flat=True))
    assert len(ids) == 2
    assert {alice_client.post(f"{PRICES}{pk}/end/").status_code for pk in ids} == {404}
    assert alice_client.get(PRICES).context["own"] == []


@pytest.mark.parametrize("query", ["model=acme-rerank&from=x", "model=acme-rerank&from=2026-02-02&to=2026-02-01"])
def test_a_period_that_makes_no_sense_is_refused(alice_client: Client, calls: dt.datetime, query: str) -> None:
    assert alice_client.get(f"{REPRICE}?{query}").status_code == 422


def test_too_many_calls_are_left_to_the_command(
    alice_client: Client, calls: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metering.views.prices.MOST_REPRICED", 1)
    page = alice_client.get(REPRICE, {"model": "acme-rerank"})
    assert b"manage.py reprice acme" in page.content


def test_without_usage_it_says_so(alice_client: Client) -> None:
    assert b"No model was used in 90 days" in alice_client.get(PRICES).content


def test_queries_do_not_grow_with_models_and_prices(
    alice_client: Client, acme: Organization, calls: dt.datetime
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            alice_client.get(PRICES)
        return len(captured)

    alice_client.post(SET, form(rate_input="1", rate_output="2"))
    queries()
    before = queries()
    for number in range(4):
        alice_client.post(SET, form(model=f"more-{number}", rate_input="1", rate_output="2"))
        write_priced(acme.pk, [make_event(f"more-{number}", calls, f"more-{number}", provider="acme")])
    assert queries() == before

"""The overview tells the month's end and the day the allowance runs out that the forecast's page tells."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, Project, Team, User
from core.periods import local_day, next_month
from core.tenancy import organization_scope
from reports.forecasting.goodness import error_words, held_words
from reports.forecasting.horizons import Horizon
from reports.forecasting.viewed import NOT_FORECAST
from reports.models import Forecast
from tests.metering.limits.calls import limit
from tests.reports.forecasting.daily import kept_cost, use

pytestmark = pytest.mark.django_db
OVERVIEW, FORECAST = "/o/acme/overview", "/o/acme/forecast/"


@pytest.fixture
def usage(acme: Organization, website: Project) -> None:
    use(acme, 60, "team", today=50, project="website")
    use(acme, 60, "none", feature="chat", today=30)


def projected(client: Client, query: str = "") -> Any:
    answer = client.get(f"{OVERVIEW}?{query}")
    assert answer.status_code == 200
    return answer.context["position"]["projected"]


def month(client: Client, query: str = "") -> Any:
    ends = {one["key"]: one for one in client.get(f"{FORECAST}?{query}").context["endings"]}
    return ends["month"]["band"]


@pytest.mark.parametrize("query", ["", "team=search", "team=none", "model=gpt-4o"])
def test_both_pages_tell_the_same_month(alice_client: Client, usage: None, search: Team, query: str) -> None:
    told, band = projected(alice_client, query), month(alice_client, query)
    # A second may pass in between.
    assert told["url"] == (f"{FORECAST}?{query}" if query else FORECAST)
    assert (told["low_nanos"], told["cost_nanos"], told["high_nanos"]) == pytest.approx(
        (band.low, band.likely, band.high), rel=0.01
    )


def test_a_members_own_is_the_same_on_both(bob: User, bob_client: Client, acme: Organization) -> None:
    use(acme, 40, user=bob.email)
    told, band = projected(bob_client), month(bob_client)
    assert told["cost_nanos"] == pytest.approx(band.likely, rel=0.01)
    assert told["label"] == "Projected cost"


def test_the_allowance_runs_out_on_the_same_day(alice_client: Client, acme: Organization, usage: None) -> None:
    whole = month(alice_client, "measure=tokens")
    limit(acme, whole.likely - 1)
    allowance = alice_client.get(OVERVIEW).context["position"]["allowance"]
    (bound,) = alice_client.get(FORECAST).context["bounds"]
    likely = bound["bound"].runs_out.likely
    if likely is None:
        # Already, or the day it was likely on is over with this instant.
        assert "likely runs out" not in allowance["sentence"]
    else:
        assert f"It likely runs out on {bound['when']};" in allowance["sentence"]


def test_any_one_dimension_is_forecast_and_two_are_not(alice_client: Client, acme: Organization, usage: None) -> None:
    of_feature = projected(alice_client, "feature=chat")
    assert of_feature["cost_nanos"] is not None
    assert of_feature["url"] is None
    for query in ("feature=chat&model=gpt-4o", "feature=none&feature=chat"):
        told = projected(alice_client, query)
        assert (told["cost_nanos"], told["url"], told["sentence"]) == (None, None, NOT_FORECAST)
    with organization_scope(acme.pk):
        assert set(Forecast.objects.values_list("scope", flat=True)) == {"feature"}
        assert Forecast.objects.get(measure="cost").first_day == local_day(now(), acme.zone)


def horizons(own: float | None, naive: float | None) -> list[Horizon]:
    """Of two days; the second is the one that is asked for."""
    return [Horizon(120, 100, 100, 100, 100, 0.9, 0.8), Horizon(120, 90, 80, 95, 70, own, naive)]


def test_how_wrong_it_was_is_never_told_better_than_it_was() -> None:
    assert error_words(2, horizons(0.05, 0.08)) == "Totals of 2 days were off by 5.0% before."
    assert "repeating the last week, by 3.0%" in error_words(2, horizons(0.05, 0.03))
    assert "less than 0.1%" in error_words(2, horizons(0.0, 0.0))
    assert "not known yet" in error_words(2, horizons(None, None))
    assert "not known yet" in error_words(3, horizons(0.05, 0.08))
    told = "Such a range held 95 of 120 totals of 2 days; repeating the last week, 70."
    assert held_words(2, horizons(0.05, 0.08)) == told
    assert "not known yet" in held_words(3, horizons(0.05, 0.08))


def test_the_overview_says_how_good_its_own_distance_was(alice_client: Client, acme: Organization, usage: None) -> None:
    told = projected(alice_client)["sentence"]
    kept = kept_cost(acme)
    left = (next_month(kept.first_day) - kept.first_day).days
    assert told == f"{error_words(left, kept.horizons)} {held_words(left, kept.horizons)}"

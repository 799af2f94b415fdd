"""A model switch is the comparison's own repricing, team by team and in sum; prices and growth follow it."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import pytest
from django.utils.timezone import now

from accounts.models import Organization, Project, Team
from billing.periods import Period
from core.periods import day_start, local_day
from core.tenancy import organization_scope
from metering.events import Usage
from metering.pricing.book import PriceBook
from metering.query.comparison import Target, compare, find_target
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports.planning.scenario import Scenario
from reports.planning.whatif import Base, Costs, base, whole_nanos
from tests.metering.query.priced_usage import set_prices, write_rated
from tests.metering.query.usage import make_event

pytestmark = pytest.mark.django_db


@pytest.fixture
def span(acme: Organization, website: Project) -> Period:
    """Two days of calls: of the team Search and of no team, at prices that differ by length, and one without any."""
    set_prices()
    today = local_day(now(), acme.zone)
    at = day_start(today - dt.timedelta(days=1), acme.zone) + dt.timedelta(hours=9)
    write_rated(
        acme.pk,
        [
            make_event("s1", at, "plain", Usage(input=1_001, output=103), provider="openai", project="website"),
            make_event("s2", at, "plain", Usage(input=250_007, output=11), provider="openai", project="website"),
            make_event("s3", at, "long", Usage(input=70, output=7), provider="openai", project="website"),
            make_event("n1", at, "plain", Usage(input=17, output=5), provider="openai"),
            make_event("n2", at, "odd-one", Usage(input=999), provider="openai"),
            make_event("n3", at, "plain", None, status="error", provider="openai"),
        ],
    )
    return Period(today - dt.timedelta(days=2), today)


def target(organization: Organization, name: str) -> Target:
    return find_target(PriceBook.load(), organization.pk, name, now())


def asked(organization: Organization, span: Period, scenario: Scenario, teams: list[int] | None = None) -> Base:
    to = target(organization, scenario.to) if scenario.is_switch else None
    with organization_scope(organization.pk):
        return base(organization, span, scenario, to, teams)


def query(organization: Organization, span: Period, **filters: str | int) -> UsageQuery:
    start, end = span.instants(organization.zone)
    return UsageQuery(
        organization.pk, start, end, organization.zone, filters={name: (value,) for name, value in filters.items()}
    )


def test_without_changes_it_is_what_was_used(acme: Organization, search: Team, span: Period) -> None:
    found = asked(acme, span, Scenario())
    totals = run(query(acme, span)).totals
    assert whole_nanos(found.whole.actual) == totals.known_cost_nanos
    assert found.whole.actual == found.whole.switched == found.whole.repriced
    assert set(found.teams) == {0, search.pk}
    of_search = run(query(acme, span, team=search.pk)).totals
    assert whole_nanos(found.teams[search.pk].actual) == of_search.known_cost_nanos
    assert found.figures == totals


def test_a_switch_is_the_comparisons_own_repricing(acme: Organization, search: Team, span: Period) -> None:
    scenario = Scenario(model="plain", to="openai/long")
    found = asked(acme, span, scenario)
    to = target(acme, "openai/long")
    for costs, compared in (
        (found.whole, compare(query(acme, span, model="plain"), [to])),
        (found.teams[search.pk], compare(query(acme, span, model="plain", team=search.pk), [to])),
    ):
        (replay,) = compared.replays
        assert costs.replay == replay
        assert replay.cost_nanos is not None
        # What the calls of other models cost stays.
        others = costs.actual - replay.now_nanos
        assert whole_nanos(costs.switched - others) == replay.cost_nanos
        assert replay.cost_nanos != replay.now_nanos


def test_half_of_the_calls_are_half_of_the_change(acme: Organization, span: Period) -> None:
    whole = asked(acme, span, Scenario(model="plain", to="openai/long")).whole
    half = asked(acme, span, Scenario(model="plain", to="openai/long", share=50)).whole
    assert half.switched - half.actual == (whole.switched - whole.actual) / 2
    assert half.replay == whole.replay


def test_calls_without_a_price_would_have_one(acme: Organization, span: Period) -> None:
    found = asked(acme, span, Scenario(model="odd-one", to="openai/plain"))
    (replay,) = compare(query(acme, span, model="odd-one"), [target(acme, "openai/plain")]).replays
    assert replay.new_calls == 1
    assert whole_nanos(found.whole.switched - found.whole.actual) == replay.new_nanos


def test_a_price_changes_what_is_bought_at_it(acme: Organization, span: Period) -> None:
    of_model = asked(acme, span, Scenario(price="model:long", change=30)).whole
    spent = run(query(acme, span, model="long")).totals.known_cost_nanos
    assert of_model.repriced - of_model.switched == Fraction(spent) * 30 / 100
    of_provider = asked(acme, span, Scenario(price="provider:openai", change=-50)).whole
    assert of_provider.repriced == of_provider.actual / 2


def test_what_is_switched_to_is_bought_at_its_new_price(acme: Organization, span: Period) -> None:
    scenario = Scenario(model="plain", to="openai/long", price="model:long", change=100)
    both, only = asked(acme, span, scenario).whole, asked(acme, span, Scenario(model="plain", to="openai/long")).whole
    (replay,) = compare(query(acme, span, model="plain"), [target(acme, "openai/long")]).replays
    spent = run(query(acme, span, model="long")).totals.known_cost_nanos
    assert both.switched == only.switched
    assert whole_nanos(both.repriced - both.switched) == spent + (replay.cost_nanos or 0)


def test_only_the_teams_that_may_be_seen(acme: Organization, search: Team, span: Period) -> None:
    found = asked(acme, span, Scenario(), [search.pk])
    assert set(found.teams) == {search.pk}
    assert found.models == ("plain", "long") or found.models == ("long", "plain")
    assert sum(found.teams.values(), Costs()) == found.whole

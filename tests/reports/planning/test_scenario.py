"""What an address may ask for, and what it comes to: exact, in one order, with sums that agree."""

from __future__ import annotations

from fractions import Fraction

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ApiError
from core.money import NANOS_PER_USD
from reports.forecasting.outlook import Band
from reports.planning.plan import propose
from reports.planning.scenario import PERCENTS, Scenario
from reports.planning.whatif import Costs, scaled

USD = NANOS_PER_USD


def test_an_address_reads_as_it_was_written() -> None:
    scenario = Scenario(10, "gpt-4o", "openai/gpt-4o-mini", 50, "provider:anthropic", -5, "high", 30)
    assert Scenario.read(QueryDict(scenario.query())) == scenario
    assert Scenario.read({}) == Scenario()
    assert Scenario().query() == ""


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"growth": "much"}, "growth"),
        ({"growth": "-91"}, "growth"),
        ({"share": "101"}, "share"),
        ({"headroom": "1.5"}, "headroom"),
        ({"change": "٣"}, "change"),
        ({"growth": "--5"}, "growth"),
        ({"end": "low"}, "end"),
        ({"price": "openai"}, "price"),
        ({"model": "x" * 201}, "model"),
        ({"to": "a\0b"}, "to"),
    ],
)
def test_nonsense_is_refused(given: dict[str, str], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        Scenario.read(given)
    assert (refused.value.status, refused.value.param) == (422, param)


def test_a_price_is_a_models_or_all_of_a_providers() -> None:
    of_provider = Scenario(price="provider:openai", change=10)
    assert of_provider.concerns("gpt-4o", "openai")
    assert not of_provider.concerns("gpt-4o", "azure")
    of_model = Scenario(price="model:gpt-4o", change=10)
    assert of_model.concerns("gpt-4o", "azure")
    assert not of_model.concerns("gpt-4o-mini", "openai")
    assert not Scenario(price="provider:openai").concerns("gpt-4o", "openai")


def test_a_forecast_is_scaled_by_what_the_calls_would_have_cost() -> None:
    """The worked example of docs/algorithms/planning.md."""
    costs = Costs(Fraction(400 * USD), Fraction(325 * USD), Fraction(333_500_000_000))
    planned = Band(*(scaled(end * USD, costs, Scenario(growth=10)) for end in (420, 460, 520)))
    assert planned == Band(385_192_500_000, 421_877_500_000, 476_905_000_000)
    assert propose(planned, Scenario(end="high", headroom=0)) == 480 * USD
    assert propose(planned, Scenario()) == 510 * USD
    assert propose(planned, Scenario(end="likely", headroom=10)) == 470 * USD


def test_of_usage_that_cost_nothing_only_the_growth_is_known() -> None:
    assert scaled(100, Costs(), Scenario(growth=50)) == 150


@given(st.integers(0, 10**15), st.integers(*PERCENTS["headroom"][:2]))
def test_a_proposal_holds_what_it_is_for(nanos: int, headroom: int) -> None:
    proposed = propose(Band(0, 0, nanos), Scenario(end="high", headroom=headroom))
    assert proposed * 100 >= nanos * (100 + headroom)
    dollars, rest = divmod(proposed, USD)
    assert rest == 0
    assert len(str(dollars).rstrip("0")) <= 2
    assert dollars >= 1

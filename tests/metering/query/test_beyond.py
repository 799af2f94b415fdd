"""What went beyond an allowance, against events sorted and split one by one in plain Python."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Organization
from core.money import divide_half_even
from core.periods import day_start
from core.tenancy import organization_scope, unscoped
from metering.events import Usage, UsageEvent
from metering.query.beyond import Beyond, beyond
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
BERLIN = ZoneInfo("Europe/Berlin")
START, END = day_start(dt.date(2026, 3, 1), BERLIN), day_start(dt.date(2026, 4, 1), BERLIN)


def tokens(event: UsageEvent) -> int:
    return event.usage.total_tokens if event.usage else 0


def naive(events: list[tuple[UsageEvent, int | None]], allowance: int) -> tuple[int, int, dict[str, tuple[int, int]]]:
    """Tokens over, their cost, and both by model; of events with their costs."""
    upto, over_tokens, over_cost, by_model = 0, 0, 0, dict[str, tuple[int, int]]()
    for event, cost in sorted(events, key=lambda one: (one[0].occurred_at, one[0].event_id.encode())):
        before, upto = upto, upto + tokens(event)
        if before >= allowance:
            part = Fraction(1)
        elif upto > allowance:
            part = Fraction(upto - allowance, tokens(event))
        else:
            continue
        here = int(tokens(event) * part)
        paid = divide_half_even((cost or 0) * part.numerator, part.denominator)
        over_tokens, over_cost = over_tokens + here, over_cost + paid
        had = by_model.get(event.model, (0, 0))
        by_model[event.model] = (had[0] + here, had[1] + paid)
    return over_tokens, over_cost, by_model


def assert_same(found: Beyond, events: list[tuple[UsageEvent, int | None]], allowance: int) -> None:
    over_tokens, over_cost, by_model = naive(events, allowance)
    assert found.used == sum(tokens(event) for event, _ in events)
    assert found.figures.total_tokens == over_tokens == max(0, found.used - allowance)
    assert found.figures.known_cost_nanos == over_cost
    told = {str(one.model.key): (one.figures.total_tokens, one.figures.known_cost_nanos) for one in found.by_model}
    assert told == by_model
    for one in (found.figures, *(model.figures for model in found.by_model)):
        assert one.known_input_cost_nanos + one.known_output_cost_nanos <= one.known_cost_nanos


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[UsageEvent], int]:
    """Events crowded into a few hours, with equal times, empty ones and models without a price; and an allowance."""
    counts = st.sampled_from([0, 1, 7, 1_000]) | st.integers(0, 3_000)
    usages = st.none() | st.builds(
        Usage, input=counts, output=counts, cache_read=counts, web_searches=st.integers(0, 1)
    )
    crowded = st.sampled_from([dt.timedelta(days=27, hours=23), dt.timedelta(days=28), dt.timedelta(days=12)])
    events = []
    for number in range(draw(st.integers(1, 20))):
        at = START + draw(crowded) + draw(st.integers(0, 9)) * dt.timedelta(minutes=20)
        model = draw(st.sampled_from(["gpt-4o", "free-one", "odd-one"]))
        events.append(make_event(f"e{draw(st.integers(0, 9))}-{number}", at, model, draw(usages)))
    whole = sum(tokens(event) for event in events)
    edges = [0, whole, whole + 1, *(tokens(event) for event in events)]
    return events, draw(st.sampled_from(edges) | st.integers(0, max(1, whole)))


@given(histories())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_events_and_any_allowance(history: tuple[list[UsageEvent], int]) -> None:
    events, allowance = history
    with unscoped("a new organization an example"):
        organization = Organization.objects.create(
            name="Some", slug=f"some-{Organization.objects.count()}", timezone=BERLIN.key
        )
    rated = write(organization.pk, events)
    costs = [one.row.cost_nanos if one.row else None for one in rated]
    found = beyond(organization.pk, START, END, BERLIN, allowance)
    assert_same(found, list(zip(events, costs, strict=True)), allowance)
    assert (found.crossing is None) == (
        not any(0 < allowance - before < tokens(event) for event, before in _running(events))
    )


def _running(events: list[UsageEvent]) -> list[tuple[UsageEvent, int]]:
    found, upto = [], 0
    for event in sorted(events, key=lambda one: (one.occurred_at, one.event_id.encode())):
        found.append((event, upto))
        upto += tokens(event)
    return found


def test_the_example_of_the_documentation(acme: Organization) -> None:
    """docs/algorithms/overage.md. A prompt's token costs 2,501 nano-dollars here, a completion's 10,007."""
    write(
        acme.pk,
        [
            make_event("a", START + dt.timedelta(days=3), usage=Usage(input=600, output=200)),
            make_event("b", START + dt.timedelta(days=20, hours=9), usage=Usage(input=300, output=100)),
            make_event("c", START + dt.timedelta(days=20, hours=9), usage=Usage(input=50, output=50)),
            make_event("d", START + dt.timedelta(days=25), "odd-one", usage=Usage(input=70)),
        ],
    )
    found = beyond(acme.pk, START, END, BERLIN, 1_000)
    assert found.crossing is not None
    assert (found.crossing.event_id, found.crossing.tokens, found.crossing.tokens_over) == ("b", 400, 200)
    assert (found.crossing.cost_nanos, found.crossing.cost_nanos_over) == (1_751_000, 875_500)
    assert [(one.model.key, one.figures.total_tokens, one.figures.known_cost_nanos) for one in found.by_model] == [
        ("gpt-4o", 300, 875_500 + 625_400),
        ("odd-one", 70, 0),
    ]
    assert found.by_model[0].figures.input == 150 + 50
    assert found.figures.unpriced_tokens == 70
    assert found.figures.total_tokens == found.used - 1_000 == 370


def test_a_corrected_event_is_split_as_it_is_now(acme: Organization) -> None:
    at = START + dt.timedelta(days=5)
    write(acme.pk, [make_event("a", at, usage=Usage(input=900)), make_event("b", at, usage=Usage(input=300))])
    write(acme.pk, [make_event("a2", at - dt.timedelta(days=1), usage=Usage(input=500), supersedes="a")])
    assert beyond(acme.pk, START, END, BERLIN, 700).figures.known_cost_nanos == 100 * 2_501
    assert beyond(acme.pk, START, END, BERLIN, 800).figures == beyond(acme.pk, START, END, BERLIN, 900).figures


def test_what_is_asked_does_not_grow_with_the_events(acme: Organization) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as caught:
            beyond(acme.pk, START, END, BERLIN, 100)
        return len(caught)

    write(acme.pk, [make_event(f"e{n}", START + dt.timedelta(hours=5 * n)) for n in range(10)])
    few = statements()
    write(acme.pk, [make_event(f"f{n}", START + dt.timedelta(minutes=70 * n)) for n in range(400)])
    assert statements() == few


def test_an_allowance_of_less_than_nothing() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        beyond(1, START, END, BERLIN, -1)


def test_nobody_elses_events(acme: Organization, globex: Organization) -> None:
    write(globex.pk, [make_event("a", START + dt.timedelta(days=1), usage=Usage(input=900))])
    assert beyond(acme.pk, START, END, BERLIN, 0).used == 0
    with organization_scope(globex.pk):
        assert beyond(globex.pk, START, END, BERLIN, 0).used == 900

"""What a bill is made of agrees with what was beyond, line by line, and stays the same for the instant it speaks of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from metering.pipeline import Sender, record
from metering.pricing.book import PriceBook
from metering.query.beyond import beyond
from metering.query.billed import Billed, Manifest, billed
from metering.store.base import Outcome
from tests.metering.query.test_beyond import BERLIN, END, START, histories
from tests.metering.query.usage import make_event
from tests.reports.priced import set_prices

pytestmark = pytest.mark.django_db
# Long after the prices of these tests were set.
CLOSED = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


def store(organization: Organization, events: Sequence[UsageEvent], received_at: dt.datetime) -> None:
    with organization_scope(organization.pk):
        rated = record(Directory.load(organization.pk), PriceBook.load(), Sender(), events, received_at)
    assert {one.outcome for one in rated} <= {Outcome.CREATED}


def bill(organization: Organization, allowance: int, as_of: dt.datetime = CLOSED) -> Billed:
    return billed(organization.pk, START, END, allowance, as_of)


def empty(organization: Organization) -> None:
    with unscoped("the next example begins without usage"), connection.cursor() as cursor:
        for table in (
            "metering_event",
            "metering_event_key",
            "metering_usage_hour",
            "metering_usage_day",
            "metering_usage_rate",
        ):
            cursor.execute(f"DELETE FROM {table} WHERE organization_id = %s", [organization.pk])


@given(history=histories())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_it_is_what_was_beyond(acme: Organization, history: tuple[list[UsageEvent], int]) -> None:
    events, allowance = history
    empty(acme)
    with unscoped("list prices are everybody's"):
        is_priced = PriceVersion.objects.filter(model="gpt-4o").exists()
    if not is_priced:
        set_prices()
    store(acme, events, CLOSED)
    made, quick = bill(acme, allowance), beyond(acme.pk, START, END, BERLIN, allowance)
    assert (made.used, made.manifest.events) == (quick.used, quick.figures.requests)
    assert (made.manifest.tokens, made.manifest.cost_nanos) == (
        quick.figures.total_tokens,
        quick.figures.known_cost_nanos,
    )
    for model in made.models:
        if quick.crossing is None:
            assert abs(model.costs.rounding_femtos) <= 500_000 * model.manifest.events
        assert model.manifest.cost_nanos == model.costs.figures.known_cost_nanos
    assert made.manifest == sum((model.manifest for model in made.models), Manifest())


def call(number: int, day: int, tokens: int = 1_000, **fields: object) -> UsageEvent:
    return make_event(
        f"e{number}", START + dt.timedelta(days=day), usage=Usage(input=tokens), provider="openai", **fields
    )


def test_lines_are_count_times_rate(acme: Organization) -> None:
    set_prices()
    store(acme, [call(1, 2), call(2, 5, 3_000)], CLOSED)
    made = bill(acme, 2_500)
    (line,) = made.models[0].costs.lines
    assert (line.bucket, line.count, line.femtos_per_unit) == ("input", 1_500, 2_500_000_001)
    assert made.manifest.tokens == 1_500


def test_what_came_later_is_not_in_it(acme: Organization) -> None:
    set_prices()
    store(acme, [call(1, 2), call(2, 5)], CLOSED)
    before = bill(acme, 500)
    store(acme, [call(3, 3)], CLOSED + dt.timedelta(hours=1))
    assert bill(acme, 500) == before
    assert bill(acme, 500, CLOSED + dt.timedelta(hours=1)).manifest.events == 3


def test_what_was_corrected_later_stands_as_it_was(acme: Organization) -> None:
    set_prices()
    store(acme, [call(1, 2), call(2, 5)], CLOSED)
    before = bill(acme, 500)
    store(acme, [call(3, 5, 10, supersedes="e2")], CLOSED + dt.timedelta(hours=1))
    assert bill(acme, 500) == before
    after = bill(acme, 500, CLOSED + dt.timedelta(hours=1))
    assert after.manifest.tokens == 510


def test_what_was_priced_later_had_no_price(acme: Organization) -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    set_prices()
    store(acme, [call(1, 2)], before - dt.timedelta(hours=1))
    assert bill(acme, 0).manifest.cost_nanos == 2_500_000
    unpriced = bill(acme, 0, before)
    assert (unpriced.manifest.cost_nanos, unpriced.manifest.tokens) == (0, 1_000)
    assert [line.state for line in unpriced.models[0].costs.lines] == ["unpriced"]


def test_a_hash_is_of_these_very_events(acme: Organization, globex: Organization) -> None:
    set_prices()
    store(acme, [call(1, 2), call(2, 5)], CLOSED)
    store(globex, [call(1, 2), call(9, 5)], CLOSED)
    ours, theirs = bill(acme, 0), bill(globex, 0)
    assert (ours.manifest.events, ours.manifest.cost_nanos) == (theirs.manifest.events, theirs.manifest.cost_nanos)
    assert ours.manifest.digest != theirs.manifest.digest
    assert ours.manifest.digest != bill(acme, 500).manifest.digest


def test_hashes_add_up_in_any_order() -> None:
    one, two = Manifest(1, 2, 3, "f" * 64), Manifest(4, 5, 6, "0" * 15 + "2" + "0" * 48)
    assert one + two == two + one
    assert (one + two).digest == "0" * 15 + "1" + "f" * 48
    assert one + Manifest() == one


def test_daily_windows_and_lengths_are_told_apart(acme: Organization) -> None:
    with unscoped("list prices are everybody's"):
        version = PriceVersion.objects.create(
            kind=PriceKind.LIST, provider="openai", model="gpt-4o", valid_from="2020-01-01T00:00:00Z", source="test"
        )
        for above, starts, ends, femtos in (
            (0, "00:00", "12:00", 1_000_000_000),
            (0, "12:00", "00:00", 3_000_000_000),
            (10_000, "00:00", "12:00", 5_000_000_000),
            (10_000, "12:00", "00:00", 7_000_000_000),
        ):
            PriceRate.objects.create(
                version=version,
                bucket="input",
                femtos_per_unit=femtos,
                above_tokens=above,
                starts_at=starts,
                ends_at=ends,
            )
    early = START.replace(hour=0) + dt.timedelta(days=4, hours=3)
    events = [call(1, 4), call(2, 4, 20_000)]
    events += [
        make_event(f"n{n}", early, usage=Usage(input=size), provider="openai") for n, size in ((1, 1_000), (2, 20_000))
    ]
    store(acme, events, CLOSED)
    made = bill(acme, 0)
    lines = made.models[0].costs.lines
    assert len(lines) == 4
    assert sum(line.amount_femtos or 0 for line in lines) == made.manifest.cost_nanos * 10**6

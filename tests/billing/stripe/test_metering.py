"""Usage told to Stripe's meter comes to what the ledger says: late, corrected, interrupted, and after an outage."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import pytest
import stripe
from django.db import connections
from pytest_django.fixtures import Settings

from accounts.models import Organization
from billing.models import StripeCustomer, StripeMeterEvent
from billing.providers.stripe import customers, metering
from billing.providers.stripe.fake.state import State
from billing.providers.stripe.tasks import report_usage, report_usage_of_all
from core.periods import UTC
from core.tenancy import organization_scope
from metering.events import Usage
from metering.query.run import run
from metering.query.spec import UsageQuery
from tests.metering.query.usage import make_event, write

NAME = "tokenledger_tokens"
START = dt.datetime(2026, 6, 1, 9, tzinfo=UTC)
Clock = Callable[[dt.datetime], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stripe's."""
    moment = [START]
    monkeypatch.setattr(State, "now", lambda self, clock=None: int(moment[0].timestamp()))

    def move(at: dt.datetime) -> None:
        moment[0] = at

    return move


@pytest.fixture
def metered(acme: Organization, connected: str, settings: Settings, api: stripe.StripeClient, clock: Clock) -> str:
    """Acme is a customer, and the operator's meter counts since 1 June 2026."""
    settings.STRIPE_METER_EVENT = NAME
    meter = api.v1.billing.meters.create(
        {"display_name": "Tokens", "event_name": NAME, "default_aggregation": {"formula": "sum"}}
    )
    customers.customer_of(acme)
    metering.report(acme, START)
    return meter.id


@pytest.fixture
def at_meter(acme: Organization, api: stripe.StripeClient) -> Callable[[str], int]:
    def total(meter: str) -> int:
        with organization_scope(acme.pk):
            customer = StripeCustomer.objects.get().stripe_id
        asked = {"customer": customer, "start_time": 0, "end_time": 2**33}
        return int(api.v1.billing.meters.event_summaries.list(meter, asked).data[0].aggregated_value)  # type: ignore[arg-type]

    return total


def ledger(acme: Organization) -> int:
    since = START.replace(hour=0)
    return int(run(UsageQuery(acme.pk, since, since + dt.timedelta(days=900), acme.zone)).totals.total_tokens)


def use(acme: Organization, name: str, at: dt.datetime, tokens: int, model: str = "gpt-4o", **more: object) -> None:
    write(acme.pk, [make_event(name, at, model, Usage(input=tokens, output=tokens // 10), **more)])


def told(acme: Organization) -> list[StripeMeterEvent]:
    with organization_scope(acme.pk):
        return list(StripeMeterEvent.objects.order_by("pk"))


def after(days: float) -> dt.datetime:
    return START + dt.timedelta(days=days)


@pytest.mark.django_db
def test_late_and_corrected_usage_are_events_of_their_own(
    acme: Organization, metered: str, at_meter: Callable[[str], int], clock: Clock
) -> None:
    use(acme, "before", after(-2), 7_000)
    for number in range(6):
        use(acme, f"e{number}", after(number / 2), 1_000 + number, model=f"model-{number % 2}")
    clock(after(3))
    for _ in range(3):
        metering.report(acme, after(3))
    assert at_meter(metered) == ledger(acme) == sum(event.tokens for event in told(acme)) > 0
    first = {event.identifier for event in told(acme)}
    # Late usage of a day that was told, a correction that takes away, and a model that is new that day.
    use(acme, "late", after(0.1), 50)
    use(acme, "right", after(0), 400, model="model-0", supersedes="e0")
    use(acme, "new", after(1), 11, model="model-9")
    clock(after(4))
    metering.report(acme, after(4))
    assert at_meter(metered) == ledger(acme)
    later = [event for event in told(acme) if event.identifier not in first]
    assert {(event.model, event.token_type, event.tokens) for event in later} == {
        ("gpt-4o", "input", 50), ("gpt-4o", "output", 5), ("model-0", "input", -600), ("model-0", "output", -60),
        ("model-9", "input", 11), ("model-9", "output", 1),
    }  # fmt: skip
    assert len({event.identifier for event in told(acme)}) == len(told(acme))


@pytest.mark.django_db
def test_killed_behind_stripe_nothing_counts_twice(
    acme: Organization, metered: str, at_meter: Callable[[str], int], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(acme, "a", after(0), 1_000)
    use(acme, "b", after(0), 500, model="model-1")
    create = stripe.billing.MeterEventService.create

    def dies(*args: object, **kwargs: object) -> object:
        create(*args, **kwargs)  # type: ignore[arg-type]
        raise stripe.APIConnectionError("the line went dead")

    # At once, when the key of the call is remembered; and days later, when only the meter's sum says that it came.
    for days in (1.0, 1.5, 4.0):
        clock(after(days))
        with monkeypatch.context() as patched:
            patched.setattr(stripe.billing.MeterEventService, "create", dies)
            with pytest.raises(stripe.APIConnectionError):
                metering.report(acme, after(days))
        assert sum(event.sent_at is None for event in told(acme)) >= 1
    clock(after(9))
    metering.report(acme, after(9))
    assert at_meter(metered) == ledger(acme) == 1_650


@pytest.mark.django_db
def test_after_an_outage_it_catches_up(
    acme: Organization,
    metered: str,
    at_meter: Callable[[str], int],
    clock: Clock,
    settings: Settings,
    api: stripe.StripeClient,
) -> None:
    there = settings.STRIPE_API_BASE
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    for day in (0, 1, 2, 50):
        use(acme, f"e{day}", after(day), 100 + day)
    with pytest.raises(stripe.APIConnectionError):
        metering.report(acme, after(3))
    settings.STRIPE_API_BASE = there
    # Longer than Stripe takes what happened: it happens when it is told.
    clock(after(51))
    metering.report(acme, after(51))
    assert at_meter(metered) == ledger(acme)
    assert {event.sent_at for event in told(acme)} == {after(51)}


@pytest.mark.django_db
def test_somebody_elses_event_in_between_is_no_guess(
    acme: Organization, metered: str, clock: Clock, api: stripe.StripeClient
) -> None:
    use(acme, "a", after(0), 1_000)
    metering.note(acme, after(1))
    event = told(acme)[0]
    clock(after(3))
    with organization_scope(acme.pk):
        customer = StripeCustomer.objects.get().stripe_id
    api.v1.billing.meter_events.create(
        {"event_name": NAME, "payload": {"stripe_customer_id": customer, "value": "77"},
         "timestamp": int(event.happened_at.timestamp())}
    )  # fmt: skip
    with pytest.raises(metering.UnclearMeterError, match="has 77"):
        metering.report(acme, after(3))


@pytest.mark.django_db
def test_who_does_not_bill_there_tells_nothing(acme: Organization, connected: str, api: stripe.StripeClient) -> None:
    customers.customer_of(acme)
    use(acme, "a", after(0), 1_000)
    report_usage(acme.pk)
    report_usage_of_all()
    assert told(acme) == []


@pytest.mark.django_db(transaction=True)
def test_two_at_once_tell_each_once(
    acme: Organization, metered: str, at_meter: Callable[[str], int], clock: Clock
) -> None:
    use(acme, "a", after(0), 1_000)
    use(acme, "b", after(0.5), 2_000, model="model-1")
    clock(after(1))
    barrier = threading.Barrier(3)
    failed: list[BaseException] = []

    def reports() -> None:
        try:
            barrier.wait(20)
            metering.report(acme, after(1))
        except BaseException as error:  # noqa: BLE001
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=reports) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(told(acme)) == 4
    assert at_meter(metered) == ledger(acme) == 3_300

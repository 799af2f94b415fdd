"""Two that evaluate at once tell once; usage asks for one evaluation, however much of it there is."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.conf import settings
from django.db import connection
from redis import Redis

from accounts.models import Organization
from alerts.evaluation import touching
from alerts.evaluation.evaluate import evaluate
from alerts.evaluation.tasks import due_organizations, evaluate_due, evaluate_organization
from tests.alerts.rules.usage import alerts_of, berlin, rule, told_of, use


@pytest.mark.django_db(transaction=True)
def test_two_at_once_tell_once(acme: Organization) -> None:
    rule(acme, "daily_limit", "2026-09-01 09:00", threshold=10)
    use(acme, berlin("2026-09-01 10:00"), 11)
    together = threading.Barrier(3)
    problems: list[BaseException] = []

    def run() -> None:
        try:
            together.wait()
            evaluate(acme, berlin("2026-09-01 10:01"))
        except BaseException as error:  # noqa: BLE001  (told in the test's own thread)
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(alerts_of(acme)) == 1
    assert told_of(acme) == [("usage.threshold", "firing")]


@pytest.mark.django_db
def test_an_evaluation_on_its_way_is_not_asked_for_again(acme: Organization) -> None:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.delete(f"tl:evaluate:{acme.pk}")
    assert [touching.enqueue({acme.pk}) for _ in range(3)] == [1, 0, 0]
    # It has begun: what comes from now on is not what it reads.
    evaluate_organization(acme.pk)
    assert touching.enqueue({acme.pk}) == 1


@pytest.mark.django_db
def test_beat_knows_what_the_clock_alone_changes(acme: Organization, globex: Organization) -> None:
    for organization in (acme, globex):
        rule(organization, "daily_limit", "2026-09-01 09:00", threshold=10)
    nine = berlin("2026-09-01 09:00")
    assert due_organizations(nine) == {acme.pk, globex.pk}
    # Nothing came of it; it is looked at again, should the next usage not say so.
    evaluate(acme, nine)
    assert due_organizations(nine + dt.timedelta(minutes=9)) == {globex.pk}
    assert due_organizations(nine + dt.timedelta(minutes=10)) == {acme.pk, globex.pk}
    # When the day is over, at once.
    evaluate(acme, berlin("2026-09-01 23:58"))
    assert acme.pk in due_organizations(berlin("2026-09-02 00:00") + dt.timedelta(seconds=2))
    with Redis.from_url(settings.REDIS_URL) as client:
        client.delete(*(f"tl:evaluate:{one.pk}" for one in (acme, globex)))
        evaluate_due()
        assert client.exists(f"tl:evaluate:{acme.pk}", f"tl:evaluate:{globex.pk}") == 2

"""What is said of the past is what live evaluation said when it was the present."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client

from accounts.models import Organization
from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert
from alerts.rules.preview import preview
from core.tenancy import organization_scope
from tests.alerts.detection.usage import DAY, HOUR, NOW, hour_events, usual
from tests.alerts.rules.usage import alerts_of, rule
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
BEGIN, END = NOW - 2 * DAY, NOW + 12 * HOUR


@pytest.fixture
def eventful(acme: Organization) -> None:
    """Six weeks of office hours; then a burst of two hours, a new model, a night's calls, and calls that fail."""
    write(acme.pk, usual(calls=3, until=END))
    for hours in (-45, -44):
        write(acme.pk, list(hour_events(NOW + hours * HOUR, 25, name="burst")))
    write(acme.pk, list(hour_events(NOW - 30 * HOUR, 2, model="new-model")))
    write(acme.pk, list(hour_events(NOW + 9 * HOUR, 22, name="night")))
    failed = [
        make_event(f"failed-{n}", NOW - 3 * HOUR + n * dt.timedelta(minutes=1), status="error") for n in range(30)
    ]
    write(acme.pk, failed)


@pytest.mark.usefixtures("eventful")
def test_the_past_is_judged_as_it_was_when_it_came(acme: Organization) -> None:
    watching = rule(acme, "anomaly", BEGIN)
    at = BEGIN
    while at <= END:
        # A moment after the hour: late enough for what had come, too early for what is still to come.
        evaluate(acme, at + dt.timedelta(minutes=6))
        at += HOUR
    live = {(alert.about, alert.period_starts_at) for alert in alerts_of(acme)}
    firings = preview(acme, watching, END + dt.timedelta(minutes=6)).firings
    said = {(firing.about, firing.spell.start) for firing in firings if firing.spell.reading.at > BEGIN}
    assert said == live
    assert {about.partition(":")[0] for about, _ in said} >= {"unusual", "new_model", "unusual_hours"}
    with organization_scope(acme.pk):
        burst = Alert.objects.get(about="unusual:organization:0:usage", period_starts_at=NOW - 45 * HOUR)
    told = next(firing for firing in firings if firing.spell.start == burst.period_starts_at)
    assert told.spell.reading.finding is not None
    assert (told.spell.reading.value, told.spell.resolved_at is not None) == (burst.actual, True)


@pytest.mark.usefixtures("eventful")
def test_later_usage_changes_nothing_that_was_found(acme: Organization) -> None:
    watching = rule(acme, "anomaly", BEGIN)
    before = preview(acme, watching, NOW).firings
    write(acme.pk, list(hour_events(NOW + HOUR, 60, name="later")))
    assert preview(acme, watching, NOW).firings == before
    assert before


def test_nothing_was_unusual_where_nothing_was(acme: Organization) -> None:
    assert preview(acme, rule(acme, "anomaly", BEGIN), NOW).firings == ()


@pytest.mark.usefixtures("eventful")
def test_programs_read_what_was_unusual(acme_api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.endpoints.rules.now", lambda: END)
    answer = acme_api.post("/v1/alert-rules/preview", {"condition": "anomaly"}, content_type="application/json").json()
    assert answer["count"] == len(answer["firings"]) >= 3
    told = [(firing["about"], firing["text"]) for firing in answer["firings"]]
    assert any(about == "unusual:organization:0:usage" and "more than" in text for about, text in told)

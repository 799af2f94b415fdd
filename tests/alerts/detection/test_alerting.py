"""Findings become alerts: opened once, carried on while it goes on, over when it is."""

from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from accounts.models import APIKey, Organization
from alerts.evaluation.wording import unit_of
from alerts.models import AlertState
from alerts.rules.listing import explorer_url
from metering.pipeline import Sender
from tests.alerts.detection.usage import DAY, HOUR, NOW, hour_events, usual
from tests.alerts.rules.usage import evaluate_at, rule, told_of
from tests.cast import make_key
from tests.metering.query.usage import write

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def batch(acme: Organization) -> APIKey:
    """A key that was used before, so that it is no news by itself."""
    key = make_key(acme, name="Batch").row
    write(acme.pk, list(hour_events(NOW - 20 * DAY, 1, name="before")), Sender(api_key_id=key.pk))
    return key


def test_a_burst_is_one_alert_from_its_first_minutes_to_three_usual_hours_after(
    acme: Organization, batch: APIKey
) -> None:
    rule(acme, "anomaly", NOW - HOUR)
    write(acme.pk, usual(until=NOW + 6 * HOUR))
    assert evaluate_at(acme, NOW) == []
    for hour in range(2):
        write(acme.pk, list(hour_events(NOW + hour * HOUR, 30, name=f"burst{hour}")), Sender(api_key_id=batch.pk))
    (alert,) = evaluate_at(acme, NOW + 40 * MINUTE)
    assert (alert.state, alert.label, alert.period_starts_at) == (AlertState.OPEN, "Acme", NOW)
    assert "more than the" in alert.explanation["text"]
    for minutes in (50, 66, 125, 185):
        assert len(evaluate_at(acme, NOW + minutes * MINUTE)) == 1
    (alert,) = evaluate_at(acme, NOW + 5 * HOUR + 6 * MINUTE)
    assert (alert.state, alert.period_ends_at, alert.peak_ends_at) == (
        AlertState.RESOLVED,
        NOW + 2 * HOUR,
        NOW + 2 * HOUR,
    )
    assert told_of(acme) == [("usage.anomaly", "firing")]
    by = {one["dimension"]: one for one in alert.explanation["by"]}
    moved = sum(part["actual"] - part["expected"] for part in by["api_key"]["parts"]) + by["api_key"]["remainder"]
    assert moved == alert.actual - (alert.expected or 0)


def test_where_an_alert_leads_has_its_hours_and_measure_and_no_model(acme: Organization) -> None:
    rule(acme, "anomaly", NOW - HOUR)
    write(acme.pk, usual())
    write(acme.pk, list(hour_events(NOW, 30, name="burst")))
    (alert,) = evaluate_at(acme, NOW + HOUR)
    asked = parse_qs(urlsplit(explorer_url(acme, alert, None)).query)
    assert (asked["from"], asked["to"]) == (["2026-11-18T14:00"], ["2026-11-18T15:00"])
    assert asked["measure"] == [alert.explanation["measure"]]
    assert "model" not in asked


def test_alerts_of_findings_are_named_by_what_they_are(acme: Organization, batch: APIKey, alice_client: Client) -> None:
    rule(acme, "anomaly", NOW - HOUR)
    write(acme.pk, usual())
    write(acme.pk, [*hour_events(NOW, 2, "o3")])
    write(acme.pk, list(hour_events(NOW, 30, name="burst")))
    alerts = {alert.about: alert for alert in evaluate_at(acme, NOW + HOUR)}
    assert set(alerts) == {"unusual:organization:0:usage", "new_model:model:o3:usage"}
    listed = alice_client.get("/o/acme/alerts/").content.decode()
    assert "New model" in listed
    assert "unusual:" not in listed
    page = alice_client.get(f"/o/acme/alerts/{alerts['new_model:model:o3:usage'].pk}/").content.decode()
    assert "Model o3 was used for the first time: 2 calls since 14:00 on Wed 18 Nov." in page
    assert "new_model:" not in page


def test_an_alert_is_drawn_in_front_of_what_is_usual(acme: Organization, alice_client: Client) -> None:
    rule(acme, "anomaly", NOW - HOUR)
    write(acme.pk, usual(until=NOW + HOUR))
    write(acme.pk, list(hour_events(NOW, 30, name="burst")))
    (alert,) = evaluate_at(acme, NOW + HOUR)
    chart = alice_client.get(f"/o/acme/alerts/{alert.pk}/").context["chart"]
    series = {one["role"]: one for one in chart["json"]["series"]}
    ringed = [at for at, value in enumerate(series["anomaly"]["data"]) if value is not None]
    assert chart["json"]["titles"][ringed[0]] == "Wed 18 Nov, 14:00"
    texts = {role: one["texts"][ringed[0]] for role, one in series.items()}
    unit = unit_of(alert)
    assert len(ringed) == 1
    assert texts["now"] == texts["anomaly"] == unit.text(alert.actual)
    assert (texts["low"], texts["high"]) == (
        unit.text(alert.explanation["low"]),
        unit.text(alert.explanation["high"]),
    )
    assert chart["table"]["rows"][-1 - ringed[0]]["cells"][-1] == "yes"


def test_an_alert_of_a_feature_is_drawn_without_a_range(acme: Organization, alice_client: Client) -> None:
    rule(acme, "anomaly", NOW - HOUR)
    today = NOW - 14 * HOUR
    write(acme.pk, usual(days=30))
    for day, model in ((5, "gpt-4o"), (1, "o3")):
        write(acme.pk, list(hour_events(today - day * DAY + 10 * HOUR, 25, model, name="switch", feature="summary")))
    alerts = {alert.about: alert for alert in evaluate_at(acme, NOW)}
    alert = alerts["model_switched:feature:summary:usage"]
    chart = alice_client.get(f"/o/acme/alerts/{alert.pk}/").context["chart"]
    assert [one["role"] for one in chart["json"]["series"]] == ["now", "anomaly"]
    assert sum(value or 0 for value in chart["json"]["series"][1]["data"]) == 25

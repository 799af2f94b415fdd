"""/v1/alert-rules and /v1/alerts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, Team
from tests.alerts.rules.usage import evaluate_at, rule, told_of, use

pytestmark = pytest.mark.django_db
RULES = "/v1/alert-rules"


def post(client: Client, path: str, body: Any = None) -> Any:
    return client.post(path, body, content_type="application/json")


def test_a_rule_is_made_read_changed_and_removed(acme_api: Client, search: Team) -> None:
    made = post(acme_api, RULES, {"condition": "cost", "scope": "team", "of": "search", "threshold": "12.5"})
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["threshold"], body["unit"], body["window"], body["label"]) == ("12.5", "usd", "day", "Search")
    assert acme_api.get(RULES).json()["data"] == [body]
    path = f"{RULES}/{body['id']}"
    changed = acme_api.patch(path, {"window": "month", "renotify_minutes": 60}, content_type="application/json").json()
    assert (changed["window"], changed["renotify_minutes"], changed["terms"]) == ("month", 60, "> $12.50 a month")
    assert acme_api.delete(path).status_code == 204
    assert acme_api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "condition"),
        ({"condition": "weather"}, "condition"),
        ({"condition": "daily_limit", "threshold": -1}, "threshold"),
        ({"condition": "daily_limit", "threshold": "1.5"}, "threshold"),
        ({"condition": "daily_limit", "window": "hour"}, "window"),
        ({"condition": "hourly_spike", "threshold": 90}, "threshold"),
        ({"condition": "error_rate", "threshold": "100.01"}, "threshold"),
        ({"condition": "no_data", "threshold": 0}, "threshold"),
        ({"condition": "daily_limit", "scope": "team"}, "of"),
        ({"condition": "daily_limit", "scope": "team", "of": "nobody"}, "of"),
        ({"condition": "daily_limit", "of": "search"}, "of"),
        ({"condition": "daily_limit", "scope": "organization", "of": "search"}, "of"),
        ({"condition": ["daily_limit"]}, "condition"),
        ({"condition": {}}, "condition"),
        ({"condition": "credits_low", "scope": "model", "of": "gpt-4o"}, "scope"),
        ({"condition": "daily_limit", "renotify_minutes": 1}, "renotify_minutes"),
    ],
)
def test_nonsense_is_refused_by_name(acme_api: Client, search: Team, body: dict[str, Any], param: str) -> None:
    for path in (RULES, f"{RULES}/preview"):
        answer = post(acme_api, path, body)
        assert answer.status_code == 422, answer.content
        assert answer.json()["error"]["param"] == param


def test_a_rule_of_the_organization_stays_so_unless_its_scope_is_named(
    acme: Organization, acme_api: Client, search: Team
) -> None:
    path = f"{RULES}/{rule(acme, 'daily_limit', now()).pk}"
    for body, status, of in (
        ({"of": "search"}, 422, None),
        ({"of": None}, 200, None),
        ({"scope": "team", "of": "search"}, 200, "search"),
        ({"scope": "organization", "of": "search"}, 422, "search"),
        ({"scope": "organization"}, 200, None),
    ):
        answer = acme_api.patch(path, body, content_type="application/json")
        assert answer.status_code == status, answer.content
        assert acme_api.get(path).json()["of"] == of


def test_a_preview_says_when_and_saves_nothing(acme: Organization, acme_api: Client) -> None:
    day = now() - dt.timedelta(days=3)
    use(acme, day, 2_000)
    answer = post(acme_api, f"{RULES}/preview", {"condition": "daily_limit", "threshold": 1_000}).json()
    assert (answer["days"], answer["count"]) == (90, 1)
    (firing,) = answer["firings"]
    assert (firing["value"], firing["bound"]) == (2_000, 1_000)
    assert acme_api.get(RULES).json()["data"] == []


def test_an_alert_is_listed_acknowledged_snoozed_and_resolved(acme: Organization, acme_api: Client) -> None:
    at = now()
    made = rule(acme, "daily_limit", at - dt.timedelta(minutes=5), threshold=10)
    use(acme, at - dt.timedelta(seconds=2), 11)
    (alert,) = evaluate_at(acme, at)
    listed = acme_api.get("/v1/alerts", {"state": "open", "condition": "daily_limit", "rule": made.pk}).json()
    assert [one["id"] for one in listed["data"]] == [alert.pk]
    assert acme_api.get("/v1/alerts", {"state": "resolved"}).json()["data"] == []
    assert acme_api.get("/v1/alerts", {"state": "sleepy"}).status_code == 422
    path = f"/v1/alerts/{alert.pk}"
    for asked in ("/v1/alerts", path):
        refused = acme_api.get(asked, {"since": "2026-09-01"})
        assert refused.status_code == 422
        assert refused.json()["error"]["param"] == "since"
    body = acme_api.get(path).json()
    assert (body["value"], body["bound"], body["state"], body["rule"]["name"]) == (11, 10, "open", "Daily limit")
    assert body["explanation"]["by"][0]["parts"][0]["actual"] == 11
    use(acme, at, 4)
    evaluate_at(acme, at + dt.timedelta(seconds=1))
    body = acme_api.get(path).json()
    assert (body["value"], body["explanation"]["by"][0]["parts"][0]["actual"]) == (15, 15)
    assert post(acme_api, f"{path}/acknowledge").json()["state"] == "acknowledged"
    assert post(acme_api, f"{path}/snooze", {"minutes": 60}).json()["state"] == "snoozed"
    for nonsense in ({}, {"minutes": 60, "until": "2030-01-01T00:00:00Z"}, {"until": "2020-01-01T00:00:00Z"}):
        assert post(acme_api, f"{path}/snooze", nonsense).status_code == 422
    assert post(acme_api, f"{path}/resolve").json()["resolution"] == "by_hand"
    assert post(acme_api, f"{path}/resolve").status_code == 409
    assert told_of(acme) == [("usage.threshold", "firing"), ("usage.threshold", "resolved")]
    # Nobody who ended it is contradicted in its window.
    (alert,) = evaluate_at(acme, at + dt.timedelta(seconds=5))
    assert alert.state == "resolved"


def test_strangers_find_nothing(acme: Organization, globex_api: Client) -> None:
    at = now()
    made = rule(acme, "daily_limit", at - dt.timedelta(minutes=5), threshold=10)
    use(acme, at - dt.timedelta(seconds=2), 11)
    (alert,) = evaluate_at(acme, at)
    assert globex_api.get("/v1/alerts").json()["data"] == []
    for path in (f"{RULES}/{made.pk}", f"/v1/alerts/{alert.pk}"):
        assert globex_api.get(path).status_code == 404

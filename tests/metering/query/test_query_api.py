"""/v1/usage, /v1/usage/models and /v1/usage/query."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization, Project, Team
from metering.events import Usage
from metering.pipeline import Sender
from tests.cast import Key
from tests.metering.query.usage import make_event, write

PERIOD = {"from": "2025-03-01", "to": "2025-03-31"}


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.fixture
def usage(acme: Organization, website: Project, acme_key: Key) -> None:
    """Twelve calls in March: three models, one project, on two days (Berlin's)."""
    days = [at("2025-03-03T22:59:59Z"), at("2025-03-03T23:00:00Z")]
    models = ["gpt-4o", "free-one", "odd-one"]
    sender = Sender(api_key_id=acme_key.row.id, project_id=website.id)
    write(
        acme.id,
        [make_event(f"p{d}{m}", day, model) for d, day in enumerate(days) for m, model in enumerate(models)],
        sender,
    )
    write(acme.id, [make_event(f"n{d}{m}", day, model, Usage(input=100), provider="openai")
                    for d, day in enumerate(days) for m, model in enumerate(models)])  # fmt: skip


def get(api: Client, path: str = "/v1/usage/query", **given: Any) -> dict[str, Any]:
    response = api.get(path, {**PERIOD, **given})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def test_the_billing_period(acme_api: Client, usage: None) -> None:
    answer = get(acme_api, "/v1/usage")
    assert answer["period_start"] == "2025-02-28T23:00:00Z"
    assert answer["period_end"] == "2025-03-31T21:59:59Z"
    assert answer["total_requests"] == 12
    assert answer["total_tokens"] == 6 * 15 + 6 * 100
    priced = 2 * (10 * 2_501 + 5 * 10_007 + 100 * 2_501)
    assert Decimal(answer["total_cost_usd"]) == Decimal(priced) / 10**9
    assert answer["total_credits_used"] == round(Decimal(priced) / 10**5)
    assert answer["credits_remaining"] is None
    assert answer["allowance"] == {"limit": None, "used": 690, "remaining": None, "percent": None, "overage_tokens": 0}
    assert [day["date"] for day in answer["daily_breakdown"]] == [f"2025-03-{n:02d}" for n in range(31, 0, -1)]
    assert {day["date"]: day["requests"] for day in answer["daily_breakdown"] if day["requests"]} == {
        "2025-03-03": 6,
        "2025-03-04": 6,
    }
    assert answer["coverage"] == {
        "priced": {"events": 4, "tokens": 230},
        "free": {"events": 4, "tokens": 230},
        "estimated": {"events": 0, "tokens": 0},
        "unpriced": {"events": 4, "tokens": 230},
        "unknown_events": 0,
    }


def test_the_period_is_this_month_and_its_days_end_today(acme: Organization, acme_api: Client) -> None:
    answer = acme_api.get("/v1/usage").json()
    today = dt.datetime.now(acme.zone).date()
    assert answer["daily_breakdown"][0]["date"] == today.isoformat()
    assert answer["daily_breakdown"][-1]["date"] == today.replace(day=1).isoformat()


def test_models(acme_api: Client, usage: None) -> None:
    rows = get(acme_api, "/v1/usage/models")["data"]
    assert [(row["model"], row["provider"], row["total_tokens"]) for row in rows] == [
        ("free-one", "openai", 200),
        ("gpt-4o", "openai", 200),
        ("odd-one", "openai", 200),
        ("free-one", None, 30),
        ("gpt-4o", None, 30),
        ("odd-one", None, 30),
    ]
    assert [row["percentage"] for row in rows] == [29.0, 29.0, 29.0, 4.3, 4.3, 4.3]
    assert {row["model"]: row["cost_usd"] for row in rows if row["provider"]} == {
        "free-one": "0",
        "gpt-4o": "0.0005002",
        "odd-one": None,
    }
    assert {row["model"]: row["credits_used"] for row in rows if row["provider"]}["odd-one"] is None


def test_totals_and_coverage_do_not_depend_on_the_page(acme_api: Client, usage: None) -> None:
    whole = get(acme_api, group_by="model,project", interval="day")
    assert len(whole["data"]) == 12
    assert not whole["has_more"]
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = get(acme_api, group_by="model,project", interval="day", limit=5, **cursor)
        assert (page["totals"], page["coverage"]) == (whole["totals"], whole["coverage"])
        seen += page["data"]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == whole["data"]
    assert whole["totals"]["requests"] == 12


def test_groups_are_told_by_key_and_label(acme_api: Client, usage: None, search: Team) -> None:
    rows = get(acme_api, group_by="project", interval="none", order_by="project")["data"]
    assert [(row["group"], row["labels"]) for row in rows] == [
        ({"project": None}, {"project": None}),
        ({"project": "website"}, {"project": "Website"}),
    ]
    (row,) = get(acme_api, group_by="team,department,api_key", interval="none", team="search")["data"]
    assert row["group"]["team"] == "search"
    assert row["labels"] == {"team": "Search", "department": "Engineering", "api_key": "Test key"}


def test_metrics_are_chosen(acme_api: Client, usage: None) -> None:
    (row,) = get(acme_api, interval="none", metrics="requests,average_tokens,cost_usd")["data"]
    assert set(row) == {"start", "end", "group", "labels", "requests", "average_tokens", "cost_usd"}
    assert row["average_tokens"] == 57.5


def test_another_zone_moves_the_days(acme_api: Client, usage: None) -> None:
    rows = get(acme_api, interval="day", timezone="UTC", metrics="requests")["data"]
    assert {row["start"]: row["requests"] for row in rows if row["requests"]} == {"2025-03-03T00:00:00Z": 12}


def test_unpriced_groups_have_no_cost_and_come_last(acme_api: Client, usage: None) -> None:
    rows = get(acme_api, group_by="model", interval="none", order_by="-cost_usd,model")["data"]
    assert [(row["group"]["model"], row["cost_usd"]) for row in rows] == [
        ("gpt-4o", "0.00065029"),
        ("free-one", "0"),
        ("odd-one", None),
    ]


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"interval": "minute"}, "interval"),
        ({"interval": "15m", "to": "2025-04-30"}, "interval"),
        ({"interval": "hour", "to": "2026-05-01"}, "interval"),
        ({"group_by": "colour"}, "group_by"),
        ({"group_by": "tag."}, "group_by"),
        ({"group_by": "model,provider,endpoint,project,team,member,tool"}, "group_by"),
        ({"metrics": "speed"}, "metrics"),
        ({"order_by": "-speed"}, "order_by"),
        ({"order_by": "model"}, "order_by"),
        ({"interval": "none", "order_by": "start"}, "order_by"),
        ({"limit": "10001"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"cursor": "zzz"}, "cursor"),
        ({"cursor": "Wzld"}, "cursor"),
        ({"project": "globex-project"}, "project"),
        ({"member": "charlie@globex.test"}, "member"),
        ({"bogus": "1"}, "bogus"),
        ({"tag." + "x" * 65: "1"}, "tag." + "x" * 65),
        ({"from": "2025-03-01T00:00:00+25:00"}, "from"),
        ({"from": "2025-03-01T00:00"}, "from"),
    ],
)
def test_refusals_name_the_culprit(acme_api: Client, given: dict[str, str], param: str) -> None:
    response = acme_api.get("/v1/usage/query", {**PERIOD, **given})
    assert response.status_code == 422, response.content
    assert response.json()["error"]["param"] == param


def test_a_cursor_belongs_to_its_question(acme_api: Client, usage: None) -> None:
    cursor = get(acme_api, group_by="model", limit=1)["next_cursor"]
    for given in (
        {"group_by": "provider"},
        {"group_by": "model", "order_by": "-requests"},
        {"group_by": "model", "model": "x"},
    ):
        response = acme_api.get("/v1/usage/query", {**PERIOD, **given, "cursor": cursor})
        assert response.status_code == 422
        assert response.json()["error"]["code"] == "invalid_cursor"


def test_other_organizations_are_never_counted(acme_api: Client, globex: Organization, usage: None) -> None:
    write(globex.id, [make_event("x", at("2025-03-03T12:00:00Z"), "globex-model", chat="c", tags={"env": "x"})])
    for group_by in ("model", "api_key", "team", "chat", "file", "tag.env", "user"):
        answer = get(acme_api, group_by=group_by, interval="none")
        assert answer["totals"]["requests"] == 12
        assert "globex" not in str(answer)


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/usage/models", "/v1/usage/query", "/v1/usage/export"])
def test_keys_are_asked_for(client: Client, new_key: Any, path: str) -> None:
    assert client.get(path).status_code == 401
    assert new_key("usage:write").client.get(path).status_code == 403
    assert new_key("usage:read").client.get(path).status_code == 200

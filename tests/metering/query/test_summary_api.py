"""/api/usage/summary, /hourly and /export: promised to the byte."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.test import Client

from accounts.models import Organization
from core.tenancy import unscoped
from metering.events import Usage
from tests.cast import Key, make_key
from tests.metering.query.usage import make_event, write


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.fixture
def utc_api(db: None) -> Client:
    """A key of an organization in UTC with three calls in January 2025."""
    with unscoped("test"):
        organization = Organization.objects.create(name="Initech", slug="initech", timezone="UTC")
    write(
        organization.id,
        [
            make_event("a", at("2025-01-02T00:15:00Z"), "gpt-4", Usage(input=1000, cache_read=250, output=830)),
            make_event("b", at("2025-01-17T00:59:59.999999Z"), "gpt-4", Usage(input=1000, output=100, reasoning=20)),
            make_event("c", at("2025-01-17T00:00:00Z"), "gpt-3.5-turbo", Usage(input=700, output=100)),
            make_event("d", at("2025-01-17T23:59:59Z"), "claude-3", Usage(input=1)),
            make_event("e", at("2025-01-18T00:00:00Z"), "gpt-4", Usage(input=9)),
        ],
    )
    return make_key(organization).client


def body(client: Client, path: str, **given: str) -> str:
    response = client.get(path, given)
    content = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
    assert response.status_code == 200, content
    return content.decode()


def test_summary(utc_api: Client) -> None:
    assert body(utc_api, "/api/usage/summary", **{"from": "2025-01-01", "to": "2025-01-17"}) == (
        '{"period":{"start":"2025-01-01T00:00:00Z","end":"2025-01-17T23:59:59Z"},'
        '"summary":{"total_tokens":4001,"prompt_tokens":2951,"completion_tokens":1050,"requests":4},'
        '"by_model":[{"model":"gpt-4","tokens":3200,"percentage":80.0},'
        '{"model":"gpt-3.5-turbo","tokens":800,"percentage":20.0},'
        '{"model":"claude-3","tokens":1,"percentage":0.0}]}'
    )


def test_hours(utc_api: Client) -> None:
    answer = json.loads(body(utc_api, "/api/usage/hourly", date="2025-01-17"))
    assert list(answer) == ["date", "data"]
    assert answer["date"] == "2025-01-17"
    assert [row["timestamp"] for row in answer["data"]] == [f"2025-01-17T{hour:02d}:00:00Z" for hour in range(24)]
    assert answer["data"][0] == {
        "timestamp": "2025-01-17T00:00:00Z",
        "prompt_tokens": 1700,
        "completion_tokens": 220,
        "total_tokens": 1920,
        "requests": 2,
    }
    assert [row["requests"] for row in answer["data"][1:]] == [*[0] * 22, 1]


CSV = (
    "timestamp,model,prompt_tokens,completion_tokens,total_tokens,requests\n"
    "2025-01-02T00:00:00Z,gpt-4,1250,830,2080,1\n"
    "2025-01-17T00:00:00Z,gpt-3.5-turbo,700,100,800,1\n"
    "2025-01-17T00:00:00Z,gpt-4,1000,120,1120,1\n"
    "2025-01-17T23:00:00Z,claude-3,1,0,1,1\n"
)


@pytest.mark.parametrize("path", ["/api/usage/export", "/v1/usage/export"])
def test_csv(utc_api: Client, path: str) -> None:
    assert body(utc_api, path, format="csv", **{"from": "2025-01-01", "to": "2025-01-17"}) == CSV
    assert body(utc_api, path, **{"from": "2025-01-01", "to": "2025-01-18T00:00:00Z"}) == CSV


def test_json_lines_and_json_say_the_same(utc_api: Client) -> None:
    period = {"from": "2025-01-01", "to": "2025-01-17"}
    lines = body(utc_api, "/v1/usage/export", format="jsonl", **period).splitlines()
    whole = json.loads(body(utc_api, "/api/usage/export", format="json", **period))
    assert whole["period"] == {"start": "2025-01-01T00:00:00Z", "end": "2025-01-17T23:59:59Z"}
    assert [json.loads(line) for line in lines] == whole["data"]
    assert [",".join(str(value) for value in row.values()) for row in whole["data"]] == CSV.splitlines()[1:]


@pytest.mark.parametrize(("day", "hours"), [("2025-03-30", 23), ("2025-03-31", 24), ("2025-10-26", 25)])
def test_a_day_has_the_hours_its_clock_shows(acme: Organization, acme_key: Key, day: str, hours: int) -> None:
    first = dt.datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=acme.zone)
    write(acme.id, [make_event(str(n), first.astimezone(dt.UTC) + n * dt.timedelta(hours=1)) for n in range(hours)])
    rows = json.loads(body(acme_key.client, "/api/usage/hourly", date=day))["data"]
    assert [row["requests"] for row in rows] == [1] * hours
    assert len({row["timestamp"] for row in rows}) == hours
    assert rows[0]["timestamp"] == first.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("path", "given", "param"),
    [
        ("summary", {"from": "yesterday"}, "from"),
        ("summary", {"from": "2025-02-30"}, "from"),
        ("summary", {"from": "2025-01-01T00:00:00", "to": "2025-01-02"}, "from"),
        ("summary", {"from": "0001-01-01"}, "from"),
        ("summary", {"to": "9999-12-31"}, "to"),
        ("summary", {"from": "2025-01-02", "to": "2025-01-01"}, "to"),
        ("summary", {"from": "2025-01-02T10:00:00Z", "to": "2025-01-02T10:00:00Z"}, "to"),
        ("summary", {"form": "2025-01-02"}, "form"),
        ("summary", {"timezone": "Mars/Olympus"}, "timezone"),
        ("summary", {"timezone": "../../etc/passwd"}, "timezone"),
        ("summary", {"project": "no-such"}, "project"),
        ("hourly", {"date": "2025-13-01"}, "date"),
        ("hourly", {"day": "2025-01-01"}, "day"),
        ("export", {"format": "ods"}, "format"),
        ("export", {"columns": "timestamp,secret"}, "columns"),
        ("export", {"columns": "model,model "}, None),
        ("export", {"interval": "minute"}, "interval"),
        ("export", {"model": ""}, "model"),
        ("export", {"feature": "a\0b"}, "feature"),
    ],
)
def test_refusals_name_the_culprit(acme_api: Client, path: str, given: dict[str, str], param: str | None) -> None:
    response = acme_api.get(f"/api/usage/{path}", given)
    if param is None:
        assert response.status_code == 200
        return
    assert response.status_code == 422, response.content
    error = response.json()["error"]
    assert error["param"] == param
    assert error["request_id"]


def test_a_plus_sign_may_arrive_as_a_space(utc_api: Client) -> None:
    with_space = utc_api.get("/api/usage/summary?from=2025-01-02T01:00:00+01:00&to=2025-01-02T01:30:00%2B01:00").json()
    assert with_space["period"] == {"start": "2025-01-02T00:00:00Z", "end": "2025-01-02T00:29:59Z"}
    assert with_space["summary"]["requests"] == 1


@pytest.mark.parametrize("path", ["summary", "hourly", "export"])
def test_keys_are_asked_for(client: Client, new_key: object, path: str) -> None:
    assert client.get(f"/api/usage/{path}").status_code == 401
    writer = new_key("usage:write")  # type: ignore[operator]
    assert writer.client.get(f"/api/usage/{path}").status_code == 403

"""POST /v1/admissions, settle, release: as a client meets them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from accounts.models import Organization, Project, Scope
from core.tenancy import organization_scope
from metering.limits.expiry import expire_holds
from metering.models import Hold, LimitKind, LimitUnit, RateLimit
from tests.cast import Key
from tests.metering.door import INPUT_NANOS, OUTPUT_NANOS, Door, event, select
from tests.metering.limits.calls import Desk, assert_proved, call, limit, open_holds, with_desk

pytestmark = pytest.mark.usefixtures("prices")

ASK = {"id": "call-1", "model": "gpt-4o", "provider": "openai", "estimated_input_tokens": 300,
       "estimated_output_tokens": 100}  # fmt: skip
DONE = {"model": "gpt-4o", "provider": "openai", "usage": {"prompt_tokens": 250, "completion_tokens": 40}}

Post = Callable[..., httpx.Response]


@pytest.fixture
def post(door: Door) -> Post:
    def send(path: str, body: Any = None, key: Key | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {key.secret if key else door.secret}"}
        return door.request("POST", f"/v1/admissions{path}", json=body, headers=headers)

    return send


def expire(organization: Organization) -> None:
    with organization_scope(organization.id):
        Hold.objects.update(expires_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))
    assert expire_holds() == 1


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


# ── The ordinary course ──


def test_reserve_settle_and_settle_again(acme: Organization, post: Post) -> None:
    limit(acme, 1_000)
    admitted = post("", ASK)
    assert admitted.status_code == 200
    body = admitted.json()
    assert (body["id"], body["allowed"]) == ("call-1", True)
    assert body["remaining"] == {"tokens": 600, "cost_usd": None, "credits": None}
    assert post("", ASK).json() == body, "the same id is the same admission"
    assert open_holds(acme) == ["call-1"]
    settled = post("/call-1/settle", DONE)
    assert settled.json() == {
        "id": "call-1", "event_id": "call-1", "status": "created", "pricing": "priced",
        "cost_usd": "0.001025",
    }  # fmt: skip
    assert post("/call-1/settle", DONE).json()["status"] == "duplicate"
    assert code(post("/call-1/settle", DONE | {"model": "other"})) == (409, "event_conflict")
    assert code(post("/call-1/release")) == (409, "admission_closed")
    assert code(post("", ASK)) == (409, "admission_closed")
    assert select(acme, "SELECT event_id, input, output, is_estimated FROM metering_event") == [
        ("call-1", 250, 40, False)
    ]
    assert_proved(acme)


def test_reserve_and_release(acme: Organization, post: Post) -> None:
    limit(acme, 400)
    post("", ASK)
    assert code(post("", ASK | {"id": "call-2"})) == (429, "insufficient_quota")
    for _ in range(2):
        assert post("/call-1/release").json() == {"id": "call-1", "status": "released"}
    assert post("", ASK | {"id": "call-2"}).status_code == 200
    assert code(post("", ASK)) == (409, "admission_closed")


def test_without_a_limit_it_is_remembered_all_the_same(acme: Organization, post: Post) -> None:
    body = post("", {name: value for name, value in ASK.items() if name != "id"}).json()
    assert body["remaining"] == {"tokens": None, "cost_usd": None, "credits": None}
    assert body["id"].startswith("adm_")
    assert post(f"/{body['id']}/settle", DONE).json()["status"] == "created"


def test_settled_after_it_expired(acme: Organization, post: Post) -> None:
    limit(acme, 1_000)
    post("", ASK)
    expire(acme)
    assert code(post("/call-1/release")) == (409, "admission_closed")
    for expected in ("created", "duplicate"):
        answer = post("/call-1/settle", DONE).json()
        assert (answer["event_id"], answer["status"]) == ("call-1:settled", expected)
    rows = select(acme, "SELECT event_id, input, superseded_by IS NOT NULL FROM metering_event ORDER BY 1")
    assert rows == [("call-1", 300, True), ("call-1:settled", 250, False)]
    assert_proved(acme)


def test_an_event_takes_place_when_it_was_admitted(acme: Organization, post: Post) -> None:
    limit(acme, 1_000)
    post("", ASK)
    with organization_scope(acme.id):
        before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=7)
        Hold.objects.update(occurred_at=before)
    post("/call-1/settle", DONE)
    assert select(acme, "SELECT occurred_at FROM metering_event") == [(before,)]


def test_the_key_is_the_id_where_there_is_none(acme: Organization, door: Door, acme_key: Key) -> None:
    body = {name: value for name, value in ASK.items() if name != "id"}

    def ask(key: str, **fields: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {door.secret}", "idempotency-key": key}
        return door.request("POST", "/v1/admissions", json=body | fields, headers=headers)

    assert {ask("retry-1").json()["id"] for _ in range(2)} == {"retry-1"}
    assert open_holds(acme) == ["retry-1"]
    assert code(ask("retry-1", estimated_input_tokens=301)) == (409, "admission_conflict")
    assert ask("retry-1", id="call-1").json()["id"] == "call-1"
    for key in ("a/b", "x" * 200):
        assert code(ask(key)) == (422, "invalid_parameter")


@pytest.mark.parametrize("of_another", [False, True])
def test_an_expired_estimate_of_the_gateway_is_no_admission(
    acme: Organization, website: Project, post: Post, new_key: Callable[..., Key], of_another: bool
) -> None:
    limit(acme, 1_000)

    async def act(desk: Desk) -> None:
        assert await desk.hold(call("measured", 300), lifetime_seconds=60)

    with_desk(acme, act)
    expire(acme)
    key = new_key(Scope.GATEWAY, project=website if of_another else None)
    for path in ("/measured/settle", "/measured/release"):
        assert code(post(path, DONE, key)) == (404, "not_found")
    assert select(acme, "SELECT event_id, input, superseded_by IS NULL FROM metering_event") == [
        ("measured", 300, True)
    ]


def test_an_expired_admission_of_another_project_is_not_found(
    acme: Organization, website: Project, post: Post, new_key: Callable[..., Key]
) -> None:
    limit(acme, 1_000)
    post("", ASK)
    expire(acme)
    assert code(post("/call-1/settle", DONE, new_key(Scope.GATEWAY, project=website))) == (404, "not_found")
    assert post("/call-1/settle", DONE).json()["status"] == "created"


# ── Refusals ──


def test_nobody_knows_that_id(acme: Organization, post: Post, globex_key: Key) -> None:
    limit(acme, 1_000)
    post("", ASK)
    for path in ("/nothing/settle", "/nothing/release"):
        assert code(post(path, DONE)) == (404, "not_found")
    for path in ("/call-1/settle", "/call-1/release"):
        assert code(post(path, DONE, globex_key)) == (404, "not_found")
    assert open_holds(acme) == ["call-1"]


def test_keys_of_one_project_and_of_too_few_scopes(
    acme: Organization, post: Post, website: Project, new_key: Callable[..., Key]
) -> None:
    limit(acme, 1_000)
    post("", ASK)
    bound, reader = new_key(Scope.GATEWAY, project=website), new_key(Scope.USAGE_READ)
    assert code(post("/call-1/settle", DONE, bound)) == (404, "not_found")
    assert post("", ASK | {"id": "call-2"}, bound).status_code == 200
    assert post("/call-2/settle", DONE, bound).status_code == 200
    for path in ("", "/call-1/settle", "/call-1/release"):
        assert code(post(path, ASK, reader)) == (403, "missing_scope")


def test_the_same_id_for_another_call(acme: Organization, post: Post) -> None:
    post("", ASK)
    assert code(post("", ASK | {"estimated_output_tokens": 1})) == (409, "admission_conflict")


@pytest.mark.parametrize(
    ("body", "expected", "param"),
    [
        ({"id": "a", "model": "m"}, "missing_field", "estimated_tokens"),
        ({"id": "a", "estimated_tokens": 5}, "missing_field", "model"),
        ({"id": "a/b", "model": "m", "estimated_tokens": 5}, "invalid_field", "id"),
        ({"id": "a", "model": "m", "estimated_tokens": -1}, "invalid_field", "estimated_tokens"),
        ({"id": "a", "model": "m", "estimated_tokens": 1, "estimated_input_tokens": 1}, "ambiguous_estimate",
         "estimated_tokens"),
        ({"id": "a", "model": "m", "estimated_tokens": 1, "estimated_cost_usd": "cheap"}, "invalid_field",
         "estimated_cost_usd"),
        ({"id": "a", "model": "m", "estimated_tokens": 1, "expires_in_seconds": 0}, "invalid_field",
         "expires_in_seconds"),
        ({"id": "a", "model": "m", "estimated_tokens": 1, "colour": "red"}, "unknown_field", "colour"),
        ({"id": "a", "model": "m\0", "estimated_tokens": 1}, "nul_character", None),
        ({"id": "a", "model": "m", "estimated_tokens": 1, "project": "nowhere"}, "unknown_project", "project"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(post: Post, body: dict[str, Any], expected: str, param: str | None) -> None:
    response = post("", body)
    assert code(response) == (422, expected)
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("body", "expected"),
    [({"id": "other"} | DONE, "invalid_field"), (DONE | {"supersedes": "x"}, "invalid_field"),
     ({"model": "gpt-4o"}, "missing_field"), ([DONE], "invalid_body")],
)  # fmt: skip
def test_what_settles_nothing(acme: Organization, post: Post, body: Any, expected: str) -> None:
    post("", ASK)
    assert code(post("/call-1/settle", body)) == (422, expected)
    assert open_holds(acme) == ["call-1"]


def test_no_json(post: Post, door: Door) -> None:
    headers = {"authorization": f"Bearer {door.secret}", "content-type": "application/json"}
    response = door.request("POST", "/v1/admissions", content=b"{", headers=headers)
    assert code(response) == (400, "invalid_json")
    headers["content-type"] = "text/plain"
    assert code(door.request("POST", "/v1/admissions", content=b"{}", headers=headers)) == (415, "unsupported_type")


# ── Money and rates ──


def test_tokens_that_may_be_read_or_written_are_held_at_the_dearer_price(acme: Organization, post: Post) -> None:
    limit(acme, 10**9, LimitUnit.COST, kind=LimitKind.CREDITS, period="fixed", starts_on=dt.date(2020, 1, 1))
    ask = {"model": "gpt-4o", "provider": "openai", "estimated_tokens": 1_000}
    response = post("", ask)
    left = 10**9 - 1_000 * OUTPUT_NANOS
    assert response.json()["remaining"] == {"tokens": None, "cost_usd": "0.99", "credits": left // 10**5}
    assert response.headers["x-credits-remaining"] == str(left // 10**5)
    assert post("", ask | {"estimated_cost_usd": "0.99"}).json()["remaining"]["cost_usd"] == "0"
    refused = post("", ask)
    assert code(refused) == (402, "insufficient_credits")
    assert refused.headers["x-credits-remaining"] == "0"


def test_request_rates_hold_for_admissions(acme: Organization, post: Post) -> None:
    with organization_scope(acme.id):
        RateLimit.objects.create(organization=acme, requests_per_minute=2)
    answers = [post("", ASK | {"id": f"call-{n}"}) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert code(answers[2]) == (429, "rate_limit_exceeded")
    assert answers[0].headers["x-ratelimit-remaining-rpm"] == "1"
    assert len(open_holds(acme)) == 2


def test_while_calls_are_suspended_nothing_is_let_in_and_what_happened_is_recorded(
    acme: Organization, door: Door, post: Post
) -> None:
    limit(acme, 0, source="plan")
    limit(acme, 0, source="payment", kind=LimitKind.PAYMENT, label="Calls are suspended: INV-1 is not paid")
    limit(
        acme, 0, source="operator", kind=LimitKind.SUSPENDED, label="Calls are suspended by the operator: odd traffic"
    )
    refused = post("", ASK)
    assert code(refused) == (403, "organization_suspended"), "before whatever else holds"
    assert refused.json()["error"]["type"] == "permission_error"
    assert "by the operator: odd traffic. They go on when" in refused.json()["error"]["message"]
    assert refused.headers["x-should-retry"] == "false"
    headers = {"authorization": f"Bearer {door.secret}"}
    recorded = door.request("POST", "/v1/events", json={**DONE, "id": "happened"}, headers=headers)
    assert recorded.json()["created"] == 1


# ── What has happened already ──


def test_events_beyond_a_limit_are_stored_and_flagged(acme: Organization, door: Door) -> None:
    limit(acme, 1_500)
    limit(acme, 10**9 * INPUT_NANOS, LimitUnit.COST, source="budget:1", label="Plenty")
    answer = door.send(event("e0")).json()
    assert "limits_exceeded" not in answer
    for number in range(1, 60):
        answer = door.send(event(f"e{number}")).json()
        assert answer["created"] == 1
        if "limits_exceeded" in answer:
            break
        time.sleep(0.2)  # how limits stand is remembered for some seconds
    assert answer["limits_exceeded"] == ["The monthly allowance"]


def test_a_key_of_one_project_is_told_of_no_others_limits(
    acme: Organization, door: Door, website: Project, new_key: Callable[..., Key]
) -> None:
    bound = new_key(Scope.USAGE_WRITE, project=website)
    door.send(event("e0"))
    limit(acme, 1, source="theirs", label="Another project's", project_id=website.id + 1)
    limit(acme, 1, source="own", label="The website's", project_id=website.id)
    limit(acme, 1, source="all", label="Everybody's")
    door.send(event("e1"), key=bound)
    assert door.send(event("e2"), key=bound).json()["limits_exceeded"] == ["Everybody's", "The website's"]

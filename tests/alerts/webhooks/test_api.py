"""/v1/webhooks: set up, changed, rotated, tested, replayed; what is refused; whose it is."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from django.test import Client
from standardwebhooks import Webhook as Verifier

from accounts.models import AuditEntry, Organization
from alerts.catalogue import KINDS
from alerts.webhooks.delivery import deliver
from core.tenancy import organization_scope
from tests.alerts.webhooks.receiver import Receiver, Said
from tests.cast import Key

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.com/tokenledger"
# As the first customer asked for it.
SEED = {
    "url": URL,
    "events": ["usage.threshold", "credits.low"],
    "settings": {"usage_threshold_percent": 80, "credits_low_threshold": 1000},
}


def post(client: Client, path: str, body: Any = None, **headers: str) -> Any:
    return client.post(path, json.dumps(body or {}), "application/json", headers=headers)


def patch(client: Client, path: str, body: Any) -> Any:
    return client.patch(path, json.dumps(body), "application/json")


def created(client: Client, **values: Any) -> dict[str, Any]:
    response = post(client, "/v1/webhooks", {**SEED, **values})
    assert response.status_code == 201, response.content
    return response.json()  # type: ignore[no-any-return]


def test_one_is_set_up_and_shows_its_secret_once(acme: Organization, acme_api: Client) -> None:
    made = created(acme_api)
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert {name: made[name] for name in SEED} == SEED
    assert (made["is_enabled"], made["description"], made["failing_since"]) == (True, "", None)
    path = f"/v1/webhooks/{made['id']}"
    assert acme_api.get(path).json() == made
    assert acme_api.get("/v1/webhooks").json() == {"data": [made], "has_more": False, "next_cursor": None}
    with organization_scope(acme.pk):
        entry = AuditEntry.objects.get(action="webhook.create")
    assert (entry.target, entry.target_label) == ("webhook", URL)
    assert secret not in str(entry.changes)


def test_the_same_request_again_is_the_same_webhook(acme_api: Client) -> None:
    first = post(acme_api, "/v1/webhooks", SEED, **{"Idempotency-Key": "k"})
    again = post(acme_api, "/v1/webhooks", SEED, **{"Idempotency-Key": "k"})
    assert first.json() == again.json()
    assert len(acme_api.get("/v1/webhooks").json()["data"]) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "url"),
        ({**SEED, "url": ""}, "url"),
        ({**SEED, "url": "http://hooks.example.com/"}, "url"),
        ({**SEED, "url": "https://127.0.0.1/"}, "url"),
        ({**SEED, "url": "https://metadata.internal/"}, "url"),
        ({**SEED, "url": "https://user:secret@hooks.example.com/"}, "url"),
        ({**SEED, "url": "https://hooks.example.com:6379/"}, "url"),
        ({**SEED, "url": "https://hooks.example.com/#part"}, "url"),
        ({**SEED, "url": "https://hooks.example.com/ü"}, "url"),
        ({**SEED, "url": "https://hooks.example.com/" + "a" * 2000}, "url"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": ["usage.treshold"]}, "events"),
        ({"url": URL, "events": "usage.threshold"}, "events"),
        ({**SEED, "settings": {"usage_threshold_percent": 0}}, None),
        ({**SEED, "settings": {"usage_threshold_percent": 1001}}, None),
        ({**SEED, "settings": {"credits_low_threshold": -1}}, None),
        ({**SEED, "settings": {"credits_low_threshold": "many"}}, None),
        ({**SEED, "settings": 80}, None),
    ],
)
def test_what_is_no_webhook_is_refused_by_field(acme_api: Client, body: dict[str, Any], param: str | None) -> None:
    response = post(acme_api, "/v1/webhooks", body)
    assert response.status_code == 422, response.content
    error = response.json()["error"]
    assert param is None or error["param"] == param
    assert acme_api.get("/v1/webhooks").json()["data"] == []


def test_there_is_a_most(acme_api: Client) -> None:
    for _ in range(20):
        created(acme_api)
    response = post(acme_api, "/v1/webhooks", SEED)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "too_many_webhooks")
    page = acme_api.get("/v1/webhooks?limit=15").json()
    rest = acme_api.get(f"/v1/webhooks?cursor={page['next_cursor']}").json()
    assert (len(page["data"]), len(rest["data"]), rest["has_more"]) == (15, 5, False)


def test_one_is_changed_switched_and_deleted(acme: Organization, acme_api: Client) -> None:
    path = f"/v1/webhooks/{created(acme_api)['id']}"
    changed = patch(acme_api, path, {"events": ["*", "credits.low"], "settings": {"credits_low_threshold": None}})
    assert (changed.status_code, changed.json()["events"]) == (200, ["*"])
    assert changed.json()["settings"] == {"usage_threshold_percent": 80, "credits_low_threshold": None}
    assert patch(acme_api, path, {"url": "ftp://x"}).status_code == 422
    off = patch(acme_api, path, {"is_enabled": False}).json()
    assert (off["is_enabled"], off["disabled_by"]) == (False, "person")
    for act in ("test", "replay"):
        refused = post(acme_api, f"{path}/{act}", {"since": off["disabled_at"]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "webhook_disabled")
    assert patch(acme_api, path, {"is_enabled": True}).json()["is_enabled"]
    assert acme_api.delete(path).status_code == 204
    assert acme_api.get(path).status_code == 404
    with organization_scope(acme.pk):
        actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == [f"webhook.{act}" for act in ("create", "change", "disable", "enable", "delete")]


def test_a_test_its_log_and_a_replay(acme: Organization, acme_api: Client, program: Receiver) -> None:
    made = created(acme_api, url=program.url, events=["*"])
    path = f"/v1/webhooks/{made['id']}"
    program.answers = [Said(500, {"Retry-After": "7"}, b"broken"), Said()]
    sent = post(acme_api, f"{path}/test")
    assert (sent.status_code, sent.json()["state"]) == (202, "waiting")
    deliver(acme.pk, made["id"])
    [one] = acme_api.get(f"{path}/deliveries?state=failed&type=webhook.test").json()["data"]
    assert (one["id"], one["last_status"], one["attempts"], one["next_attempt_at"]) == (sent.json()["id"], 500, 1, None)
    assert acme_api.get(f"{path}/deliveries?state=delivered").json()["data"] == []
    for query, param in (("state=lost", "state"), ("type=nonsense", "type"), ("type=%00", "type")):
        refused = acme_api.get(f"{path}/deliveries?{query}")
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, param)
    whole = acme_api.get(f"{path}/deliveries/{one['id']}").json()
    assert whole["body"]["type"] == "webhook.test"
    [attempt] = whole["attempt_log"]
    assert (attempt["status"], attempt["response_body"], attempt["response_headers"]["retry-after"]) == (
        500,
        "broken",
        "7",
    )
    assert post(acme_api, f"{path}/deliveries/{one['id']}/replay").status_code == 202
    deliver(acme.pk, made["id"])
    assert acme_api.get(f"{path}/deliveries/{one['id']}").json()["state"] == "delivered"
    assert set(program.ids) == {one["message_id"]}
    # What happens from then on, this key's creation included, is replayed with what was taken.
    response = post(acme_api, "/v1/keys", {"name": "k", "scopes": ["gateway"]})
    assert response.status_code == 201
    replayed = post(acme_api, f"{path}/replay", {"since": made["created_at"], "with_delivered": True})
    assert (replayed.status_code, replayed.json()) == (202, {"messages": 0}), "no channel has the fact yet"


def test_rotating(acme_api: Client, acme: Organization, program: Receiver) -> None:
    made = created(acme_api, url=program.url)
    path = f"/v1/webhooks/{made['id']}"
    rotated = post(acme_api, f"{path}/rotate", {"overlap_seconds": 60}).json()
    assert rotated["secret"] != made["secret"]
    assert rotated["former_secret_until"] is not None
    post(acme_api, f"{path}/test")
    deliver(acme.pk, made["id"])
    for secret in (made["secret"], rotated["secret"]):
        Verifier(secret).verify(program.got[0].body, program.got[0].headers)
    at_once = post(acme_api, f"{path}/rotate", {"overlap_seconds": 0}).json()
    assert at_once["former_secret_until"] is None
    assert post(acme_api, f"{path}/rotate", {"overlap_seconds": 8 * 86400}).status_code == 422


def test_only_who_administers(new_key: Any, globex_api: Client, acme_api: Client) -> None:
    path = f"/v1/webhooks/{created(acme_api)['id']}"
    weak: Key = new_key("billing:read", "usage:read")
    assert weak.client.get("/v1/webhooks").status_code == 403
    for suffix in ("", "/deliveries"):
        assert globex_api.get(f"{path}{suffix}").status_code == 404
    assert globex_api.delete(path).status_code == 404


def test_the_catalogue(acme_api: Client) -> None:
    found = {one["type"]: one for one in acme_api.get("/v1/webhooks/events").json()["data"]}
    assert list(found) == list(KINDS)
    for name, one in found.items():
        jsonschema.validate(one["example"]["data"], one["data_schema"], cls=jsonschema.Draft202012Validator)
        assert one["example"]["type"] == name
        assert "page" not in one["example"]["data"]

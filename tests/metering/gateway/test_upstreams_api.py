"""/v1/upstreams and the command beside it."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import AuditEntry, Organization
from core.encryption import decrypt
from core.tenancy import organization_scope
from metering.gateway.upstreams import read_upstreams
from metering.models import Upstream

SECRET = "sk-proj-0123456789abcdef"
BODY = {
    "name": "OpenAI",
    "protocol": "openai",
    "base_url": "https://api.openai.com/v1",
    "credential": SECRET,
    "models": ["gpt-*"],
}


def send(client: Client, method: str, path: str, body: Any, **headers: str) -> Any:
    return client.generic(method, path, json.dumps(body), content_type="application/json", headers=headers)


def post(client: Client, body: Any, **headers: str) -> Any:
    return send(client, "POST", "/v1/upstreams", body, **headers)


def test_created_read_listed_changed_deleted(acme: Organization, acme_api: Client) -> None:
    answer = post(acme_api, BODY)
    assert answer.status_code == 201, answer.content
    created = answer.json()
    assert "credential" not in created
    assert (created["credential_state"], created["credential_hint"]) == ("stored", "cdef")
    assert (created["provider"], created["effective_provider"]) == ("", "openai")
    path = f"/v1/upstreams/{created['id']}"
    assert acme_api.get(path).json() == created
    post(acme_api, {"name": "Claude", "protocol": "anthropic", "base_url": "https://api.anthropic.com"})
    first = acme_api.get("/v1/upstreams?limit=1").json()
    assert (first["data"], first["has_more"]) == ([created], True)
    rest = acme_api.get(f"/v1/upstreams?limit=1&cursor={first['next_cursor']}").json()
    assert [(row["name"], row["position"], row["models"]) for row in rest["data"]] == [("Claude", 1, ["*"])]
    changed = send(acme_api, "PATCH", path, {"is_active": False, "position": 9}).json()
    assert (changed["is_active"], changed["position"], changed["credential_state"]) == (False, 9, "stored")
    assert changed["updated_at"] > created["updated_at"]
    assert send(acme_api, "PATCH", path, {"credential": None}).json()["credential_state"] == "none"
    assert acme_api.delete(path).status_code == 204
    assert acme_api.get(path).status_code == 404
    with organization_scope(acme.pk):
        entries = AuditEntry.objects.filter(target="upstream").order_by("id")
        assert [entry.action.partition(".")[2] for entry in entries] == [
            "create",
            "create",
            "update",
            "update",
            "delete",
        ]
        assert {entry.actor_label[:4] for entry in entries} == {"key "}


def test_no_answer_ever_holds_the_credential(acme_api: Client) -> None:
    created = post(acme_api, BODY)
    for answer in (created, acme_api.get("/v1/upstreams"), acme_api.get("/v1/audit")):
        assert SECRET.encode() not in answer.content


def test_the_same_request_twice_creates_once(acme: Organization, acme_api: Client) -> None:
    first, second = (post(acme_api, BODY, **{"idempotency-key": "abc"}) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert post(acme_api, BODY).status_code == 409
    assert len(read_upstreams(acme.pk)) == 1


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"base_url": "https://169.254.169.254/latest"}, 422, "invalid_url", "base_url"),
        ({"base_url": "http://api.openai.com/v1"}, 422, "invalid_url", "base_url"),
        ({"base_url": None}, 422, "invalid_parameter", "base_url"),
        ({"protocol": "telnet"}, 422, "invalid_parameter", "protocol"),
        ({"models": []}, 422, "invalid_parameter", "models"),
        ({"models": "gpt-*"}, 422, "invalid_parameter", "models"),
        ({"models": [1, {"a": 2}]}, 422, "invalid_parameter", "models.1"),
        ({"name": "\0"}, 422, "invalid_parameter", "name"),
        ({"credential": "a b"}, 422, "invalid_parameter", "credential"),
        ({"position": 10**12}, 422, "invalid_parameter", "position"),
        ({"timeout_seconds": "soon"}, 422, "invalid_parameter", "timeout_seconds"),
    ],
)
def test_what_is_wrong_is_named(
    acme: Organization, acme_api: Client, change: dict[str, Any], status: int, code: str, param: str
) -> None:
    answer = post(acme_api, BODY | change)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert read_upstreams(acme.pk) == ()


@pytest.mark.parametrize("body", ["", "[", "[]", '"text"', "null"])
def test_what_is_no_object_is_refused(acme_api: Client, body: str) -> None:
    answer = acme_api.generic("POST", "/v1/upstreams", body, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_new_server_needs_the_credential_again(acme_api: Client) -> None:
    path = f"/v1/upstreams/{post(acme_api, BODY).json()['id']}"
    answer = send(acme_api, "PATCH", path, {"base_url": "https://collector.example/v1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "credential_required")


def test_nobody_elses_can_be_touched(acme_api: Client, globex_api: Client) -> None:
    path = f"/v1/upstreams/{post(acme_api, BODY).json()['id']}"
    assert globex_api.get(path).status_code == 404
    assert send(globex_api, "PATCH", path, {"is_active": False}).status_code == 404
    assert globex_api.delete(path).status_code == 404
    assert acme_api.get(path).json()["is_active"] is True
    assert acme_api.get("/v1/upstreams/99999999999999999999").status_code == 404


# ── manage.py add_upstream ──


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("add_upstream", *arguments, stdout=output)
    return output.getvalue()


OPENAI = ("acme", "--name", "OpenAI", "--protocol", "openai", "--base-url", "https://api.openai.com/v1")


def test_the_command_takes_the_credential_from_the_environment(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    answer = run(*OPENAI, "--credential-env", "OPENAI_API_KEY", "--models", "gpt-*", "o3*", "--json")
    assert SECRET not in answer
    shown = json.loads(answer)
    assert (shown["provider"], shown["models"], shown["position"]) == ("openai", ["gpt-*", "o3*"], 0)
    with organization_scope(acme.pk):
        row = Upstream.objects.get(pk=shown["id"])
        assert decrypt(row.credential) == SECRET
        assert AuditEntry.objects.get(action="upstream.create").actor_label == "command add_upstream"


def test_the_command_without_a_credential(acme: Organization) -> None:
    text = run(*OPENAI, "--provider", "azure", "--position", "7", "--timeout", "20")
    assert text == "OpenAI serves * for acme.\n"
    (route,) = read_upstreams(acme.pk)
    assert (route.credential, route.provider, route.timeout_seconds) == (None, "azure", 20.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody", *OPENAI[1:]), "no organization nobody"),
        ((*OPENAI, "--credential-env", "NOT_THERE"), "NOT_THERE is not set"),
        ((*OPENAI[:-1], "https://127.0.0.1/v1"), "base_url: 127.0.0.1"),
        ((*OPENAI, "--timeout", "0"), "timeout_seconds"),
    ],
)
def test_the_command_says_what_is_wrong(acme: Organization, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(*arguments)
    assert read_upstreams(acme.pk) == ()

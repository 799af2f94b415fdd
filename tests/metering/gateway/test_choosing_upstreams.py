"""Which upstream a call goes to, and what happens when it does not answer."""

from __future__ import annotations

import threading
import time
from typing import Any

from accounts.models import Organization
from core.tenancy import organization_scope
from metering.models import Upstream as UpstreamRow
from tests.metering.gateway.conftest import Edge, add_upstream, stored
from tests.metering.gateway.upstream import (
    Script,
    Upstream,
    completion,
    whole,
)

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


def only_upstreams(acme: Organization, *rows: dict[str, Any]) -> None:
    with organization_scope(acme.pk):
        UpstreamRow.objects.all().delete()
    for number, row in enumerate(rows):
        add_upstream(acme, **({"name": f"u{number}", "position": number} | row))
    time.sleep(0.3)  # the announcement


def test_the_next_upstream_takes_over(edge: Edge, provider: Upstream, acme: Organization) -> None:
    only_upstreams(
        acme,
        {"base_url": "http://127.0.0.1:9/v1", "name": "away"},
        {"base_url": f"{provider.url}/busy", "name": "busy"},
        {"base_url": f"{provider.url}/v1", "name": "good"},
    )
    provider.says("/busy/chat/completions", whole({"error": {"message": "busy"}}, 503))
    provider.says(CHAT, whole(completion()))
    assert edge.chat().status_code == 200
    event = edge.event()
    assert event["detail"]["upstream"] == "good"
    assert event["detail"]["attempts"] == [
        {"upstream": "away", "status": None, "error": "connection_failed"},
        {"upstream": "busy", "status": 503, "error": None},
    ]


def test_models_choose_their_upstream(edge: Edge, provider: Upstream, acme: Organization) -> None:
    only_upstreams(
        acme,
        {"base_url": f"{provider.url}/any"},
        {"base_url": f"{provider.url}/own", "models": ["llama-*", "qwen"], "credential": None},
    )
    provider.says("/any/chat/completions", whole(completion()))
    provider.says("/own/chat/completions", whole(completion()))
    for model in ("llama-4", "qwen", "gpt-4o"):
        assert edge.chat(model=model).status_code == 200
    assert [asked.path.split("/")[1] for asked in provider.asked] == ["own", "own", "any"]
    assert "Authorization" not in provider.asked[0].headers


def test_no_upstream_answers(edge: Edge, acme: Organization) -> None:
    only_upstreams(acme, {"base_url": "http://127.0.0.1:9/v1"})
    response = edge.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_unreachable")
    event = edge.event()
    assert (event["status"], event["cost_nanos"]) == ("error", 0)
    assert event["event_id"] == response.headers["x-tokenledger-event"]


def test_an_upstream_that_takes_too_long(edge: Edge, provider: Upstream, acme: Organization) -> None:
    only_upstreams(acme, {"base_url": f"{provider.url}/v1", "timeout_seconds": 1})
    provider.says(CHAT, Script([b"{}"], wait=5))
    response = edge.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (504, "upstream_timeout")
    assert edge.event()["status"] == "timeout"


def test_private_addresses_are_refused(edge: Edge, provider: Upstream, acme: Organization, settings: Any) -> None:
    settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS = False
    provider.says(CHAT, whole(completion()))
    assert edge.chat().status_code == 502
    # A name that leads inside.
    only_upstreams(acme, {"base_url": provider.url.replace("127.0.0.1", "localhost") + "/v1"})
    assert edge.chat().status_code == 502
    assert provider.asked == []
    assert {event["detail"]["error_code"] for event in edge.events(2)} == {"upstream_unreachable"}


def test_redirects_are_not_followed(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, Script([b""], 307, headers={"location": f"{provider.url}/elsewhere"}))
    assert edge.chat().status_code == 502
    assert [asked.path for asked in provider.asked] == [CHAT]


def test_a_new_upstream_is_used_at_once(edge: Edge, provider: Upstream, acme: Organization) -> None:
    provider.says(CHAT, whole(completion()))
    assert edge.chat().status_code == 200
    only_upstreams(acme)
    assert edge.chat().status_code == 404


def test_models_are_merged(edge: Edge, provider: Upstream, acme: Organization) -> None:
    only_upstreams(
        acme,
        {"base_url": f"{provider.url}/v1", "models": ["gpt-*"]},
        {"base_url": f"{provider.url}/dead", "models": ["local-llama", "x-*"]},
        {"base_url": provider.url, "protocol": "anthropic", "provider": "anthropic"},
    )
    provider.says("/v1/models", whole({"object": "list", "data": [
        {"id": "gpt-4o", "object": "model", "created": 5, "owned_by": "openai"}, {"id": "dall-e-3"},
        {"id": "claude-sonnet-4-5", "type": "model", "display_name": "Claude"}]}))  # fmt: skip
    listed = edge.client.get("/v1/models").json()
    assert [model["id"] for model in listed["data"]] == ["gpt-4o", "local-llama", "dall-e-3", "claude-sonnet-4-5"]
    assert listed["data"][0] == {"id": "gpt-4o", "object": "model", "created": 5, "owned_by": "openai"}
    asked = len(provider.asked)
    shown = edge.client.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()
    assert (shown["first_id"], shown["has_more"]) == ("gpt-4o", False)
    assert edge.client.get("/v1/models/gpt-4o").json()["owned_by"] == "openai"
    assert edge.client.get("/v1/models/vendor/none").status_code == 404
    assert len(provider.asked) == asked  # remembered


def test_many_calls_at_once(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, whole(completion()))

    def call() -> None:
        for _ in range(10):
            assert edge.chat().status_code == 200

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    found = edge.events(80)
    assert len({event["event_id"] for event in found}) == 80
    assert sum(event["output"] for event in stored(edge.organization)) == 80 * 7

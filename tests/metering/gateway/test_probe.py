"""Testing an upstream: what it says when all is well, and the exact failure when not."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pytest_django import Settings

from metering.gateway.probe import Probe, probe
from metering.gateway.upstreams import Route
from tests.metering.gateway.listing import Listing, serving

SECRET = "sk-proj-0123456789abcdef"


@pytest.fixture(autouse=True)
def _private(settings: Settings) -> None:
    settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS = True


def ask(listing: Listing, **changes: Any) -> Probe:
    with serving(listing):
        return probe(route(listing.url + "/v1", **changes))


def route(base_url: str, **changes: Any) -> Route:
    values: dict[str, Any] = {
        "id": 1, "name": "Own", "protocol": "openai", "base_url": base_url, "credential": SECRET, "provider": "",
        "models": ("gpt-*",), "timeout_seconds": 600.0,
    }  # fmt: skip
    return Route(**values | changes)


def test_it_counts_the_models_and_those_it_serves() -> None:
    listing = Listing()
    found = ask(listing)
    assert (found.problem, found.models, found.served) == ("", 3, 2)
    assert found.latency_ms is not None
    assert 0 <= found.latency_ms < 5_000
    ((path, headers),) = listing.asked
    assert (path, headers["authorization"]) == ("/v1/models", f"Bearer {SECRET}")


def test_anthropics_protocol_has_its_own_address_and_headers() -> None:
    listing = Listing()
    with serving(listing):
        assert probe(route(listing.url, protocol="anthropic", models=("*",))).served == 3
    ((path, headers),) = listing.asked
    assert (path, headers["x-api-key"]) == ("/v1/models?limit=1000", SECRET)
    assert headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in headers


def test_a_bare_list_is_a_list_and_no_credential_is_none() -> None:
    listing = Listing(body=b'[{"id": "gpt-oss"}, {"object": "model"}, 5]')
    assert ask(listing, credential=None).models == 1
    assert "authorization" not in listing.asked[0][1]


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        (
            Listing(401, b'{"error": {"message": "Incorrect API key provided"}}'),
            "401: Incorrect API key provided. Look at",
        ),
        (Listing(401, f'{{"error": "no such key {SECRET}"}}'.encode()), "401: no such key …"),
        (Listing(403, b'{"detail": "Forbidden here"}'), "403: Forbidden here"),
        (Listing(404, b"<html>not found</html>"), "It answered 404. Look at the address"),
        (Listing(500, b"\xff\x00 broken"), "It answered 500"),
        (Listing(302, b"", {"location": "http://169.254.169.254/"}), "302, a redirect"),
        (Listing(200, b"<html>welcome</html>"), "something else than JSON"),
        (Listing(200, b"[" * 100_000), "something else than JSON"),
        (Listing(200, b'{"models": []}'), "something else than a list"),
        (Listing(200, b" " * (5 * 2**20)), "does not end"),
    ],
)
def test_a_failure_is_told_exactly(listing: Listing, words: str) -> None:
    found = ask(listing)
    assert words in found.problem
    assert SECRET not in found.problem
    assert len(listing.asked) == 1


def test_who_hangs_up_has_not_answered() -> None:
    assert ask(Listing(hangs_up=True)).problem == "It hung up without an answer."


def test_who_does_not_answer_is_not_waited_for() -> None:
    assert ask(Listing(delay_seconds=1.5), timeout_seconds=0.2).problem == "It did not answer within 0.2 seconds."


def test_nobody_at_the_port() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found = probe(route(f"http://127.0.0.1:{unused.getsockname()[1]}/v1"))
    assert "cannot be reached" in found.problem
    assert "refused" in found.problem.lower()


def test_a_server_without_tls() -> None:
    with serving(Listing()) as listing:
        found = probe(route(listing.url.replace("http:", "https:") + "/v1"))
    assert "no TLS that can be trusted: " in found.problem


def test_a_name_nobody_knows() -> None:
    assert probe(route("https://models.invalid/v1")).problem == "Its name, models.invalid, is not known."


def test_a_lost_credential_is_not_sent() -> None:
    assert "Enter it again" in probe(route("https://models.invalid/v1", is_locked=True)).problem


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_inside_addresses_are_not_asked_unless_allowed(settings: Settings, host: str) -> None:
    settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS = False
    with serving(Listing()) as listing:
        found = probe(route(listing.url.replace("127.0.0.1", host)))
    assert "public address" in found.problem
    assert listing.asked == []

"""Upstreams: who serves a model, what may be set up, and that a credential stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from accounts.audit import Actor
from accounts.models import AuditEntry, Organization
from core.encryption import decrypt
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped
from metering.gateway import providers
from metering.gateway.providers import provider_at
from metering.gateway.upstreams import (
    MOST_UPSTREAMS,
    Route,
    create_upstream,
    credential_state,
    delete_upstream,
    in_order,
    move_upstream,
    read_upstreams,
    routes_for,
    update_upstream,
)
from metering.keyring import DIRECTORY_CHANNEL
from metering.models import Upstream
from metering.normalize import ALIASES, PROVIDERS

BY = Actor.of_command("test")
CREDENTIAL = "sk-proj-0123456789abcdef"
OPENAI: dict[str, Any] = {"name": "OpenAI", "protocol": "openai", "base_url": "https://api.openai.com/v1"}
ANTHROPIC: dict[str, Any] = {"name": "Anthropic", "protocol": "anthropic", "base_url": "https://api.anthropic.com"}


def make(acme: Organization, **values: Any) -> Upstream:
    return create_upstream(acme, by=BY, **{**OPENAI, **values})


def route(name: str, *models: str, protocol: str = "openai", is_locked: bool = False) -> Route:
    return Route(1, name, protocol, "https://x.example", None, "", models, 600.0, is_locked)


def names(routes: list[Route]) -> list[str]:
    return [each.name for each in routes]


# ── Which of them ──


def test_who_names_a_model_comes_before_patterns_and_those_before_everything() -> None:
    routes = (
        route("all", "*"),
        route("pattern", "gpt-*"),
        route("exact", "gpt-4o"),
        route("also exact", "o3", "gpt-4o"),
        route("mixed", "*", "gpt-4*"),
        route("other", "claude-*"),
    )
    assert names(routes_for(routes, "openai", "gpt-4o")) == ["exact", "also exact", "pattern", "mixed", "all"]
    assert names(routes_for(routes, "openai", "gpt-5")) == ["pattern", "all", "mixed"]
    assert names(routes_for(routes, "openai", "llama-3")) == ["all", "mixed"]
    assert names(routes_for(routes, "anthropic", "gpt-4o")) == []


def test_patterns_mind_the_case_and_cross_slashes() -> None:
    routes = (route("hub", "meta-llama/*", "Qwen/Qwen3-?B"),)
    assert names(routes_for(routes, "openai", "meta-llama/Llama-3/instruct")) == ["hub"]
    assert names(routes_for(routes, "openai", "Meta-Llama/x")) == []
    assert names(routes_for(routes, "openai", "Qwen/Qwen3-8B")) == ["hub"]
    assert names(routes_for(routes, "openai", "Qwen/Qwen3-32B")) == []


def test_a_locked_upstream_is_passed_over_and_said_when_it_is_the_only_one() -> None:
    routes = (route("lost", "*", is_locked=True), route("open", "gpt-*"))
    assert names(routes_for(routes, "openai", "gpt-4o")) == ["open"]
    with pytest.raises(ApiError, match="credential of the upstream lost") as refused:
        routes_for(routes, "openai", "o3")
    assert (refused.value.status, refused.value.code) == (503, "upstream_credential_lost")


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://acme.openai.azure.com/openai/v1", "azure"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "google"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "google"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1", "bedrock"),
        ("https://bedrock-mantle.us-east-1.api.aws/v1", "bedrock"),
        ("https://ec2-1-2-3-4.compute-1.amazonaws.com/v1", ""),
        ("https://storage.googleapis.com/v1", ""),
        ("https://openai.com.evil.example/v1", ""),
        ("https://notapi.openai.com.example/v1", ""),
        ("https://evilapi.openai.com/v1", ""),
        ("http://localhost:8000/v1", ""),
    ],
)
def test_the_address_tells_the_provider(url: str, provider: str) -> None:
    assert provider_at(url) == provider


def test_the_normalizers_know_every_provider_of_the_table() -> None:
    known = {*PROVIDERS, *ALIASES}
    assert {*providers._PROVIDERS.values(), *(name for _, name in providers._REGIONAL)} <= known


# ── What the gateway reads ──


def test_the_gateway_reads_the_active_ones_in_order_with_their_credentials(in_acme: Organization) -> None:
    make(in_acme, credential=CREDENTIAL, models=["gpt-*", "gpt-*"], timeout_seconds=30)
    make(in_acme, **ANTHROPIC)
    make(in_acme, name="Paused", is_active=False)
    make(in_acme, name="First", position=0, provider="together", models=["a", "b"])
    routes = read_upstreams(in_acme.pk)
    assert [(each.name, each.provider) for each in routes] == [
        ("OpenAI", "openai"),
        ("First", "together"),
        ("Anthropic", "anthropic"),
    ]
    assert routes[0] == Route(
        routes[0].id, "OpenAI", "openai", "https://api.openai.com/v1", CREDENTIAL, "openai", ("gpt-*",), 30.0
    )
    assert CREDENTIAL not in repr(routes[0])
    assert routes[2].credential is None


def test_nobody_elses_are_read(in_acme: Organization, globex: Organization) -> None:
    make(in_acme)
    assert read_upstreams(globex.pk) == ()


def test_a_credential_of_a_forgotten_secret_key_locks_its_upstream(in_acme: Organization, settings: Settings) -> None:
    upstream = make(in_acme, credential=CREDENTIAL)
    settings.SECRET_KEY, old = "another", settings.SECRET_KEY
    assert credential_state(upstream) == "lost"
    assert [(each.credential, each.is_locked) for each in read_upstreams(in_acme.pk)] == [(None, True)]
    settings.SECRET_KEY_FALLBACKS = [old]
    assert credential_state(upstream) == "stored"
    assert read_upstreams(in_acme.pk)[0].credential == CREDENTIAL


def test_credentials_are_renewed_so_that_an_old_secret_key_can_go(
    acme: Organization, globex: Organization, settings: Settings
) -> None:
    for organization in (acme, globex):
        with organization_scope(organization.pk):
            make(organization, credential=CREDENTIAL)
            make(organization, name="Without")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    output = StringIO()
    call_command("renew_credentials", stdout=output)
    assert output.getvalue() == "2 credentials encrypted anew.\n"
    settings.SECRET_KEY_FALLBACKS = []
    assert read_upstreams(acme.pk)[0].credential == CREDENTIAL
    settings.SECRET_KEY = "a third"
    with pytest.raises(CommandError, match="acme/OpenAI, globex/OpenAI"):
        call_command("renew_credentials", stdout=output)
    settings.SECRET_KEY = "another"
    assert read_upstreams(globex.pk)[0].credential == CREDENTIAL


# ── Setting up ──


def audited(action: str) -> list[dict[str, Any]]:
    return [entry.changes for entry in AuditEntry.objects.filter(action=action).order_by("id")]


def test_a_new_upstream_is_normalized_sealed_and_audited(in_acme: Organization) -> None:
    upstream = make(
        in_acme, name="  OpenAI ", base_url="HTTPS://API.openai.com:443/v1/", credential=f" {CREDENTIAL}\n",
        provider=" OpenAI ", models=[" gpt-* "],
    )  # fmt: skip
    upstream.refresh_from_db()
    assert (upstream.name, upstream.base_url, upstream.provider) == ("OpenAI", "https://api.openai.com/v1", "openai")
    assert upstream.models == ["gpt-*"]
    assert upstream.credential is not None
    assert decrypt(upstream.credential) == CREDENTIAL
    assert CREDENTIAL.encode() not in bytes(upstream.credential)
    assert upstream.credential_hint == "cdef"
    (changes,) = audited("upstream.create")
    assert changes["credential"] == [None, "…cdef"]
    assert changes["base_url"] == [None, "https://api.openai.com/v1"]
    assert CREDENTIAL not in str(changes)


def test_a_short_credential_has_no_hint(in_acme: Organization) -> None:
    assert make(in_acme, credential="secret").credential_hint == ""


@pytest.mark.parametrize(
    ("values", "param", "words"),
    [
        ({"name": " "}, "name", "line"),
        ({"name": "a\nb"}, "name", "line"),
        ({"name": "a" * 61}, "name", "60"),
        ({"protocol": "gemini"}, "protocol", "valid choice"),
        ({"base_url": "http://api.openai.com/v1"}, "base_url", "https"),
        ({"base_url": "https://10.0.0.1/v1"}, "base_url", "public"),
        ({"base_url": "https://api.openai.com/v1/chat/completions"}, "base_url", "Leave out /chat/completions"),
        ({"protocol": "anthropic", "base_url": "https://api.anthropic.com/v1"}, "base_url", "Leave out /v1"),
        ({"credential": "sk two words"}, "credential", "without spaces"),
        ({"credential": "sk-\r\nX-Evil: 1"}, "credential", "without spaces"),
        ({"credential": "schlüssel"}, "credential", "ASCII"),
        ({"credential": "x" * 8001}, "credential", "8,000"),
        ({"provider": "open ai"}, "provider", "name such as"),
        ({"models": []}, "models", "Name a model"),
        ({"models": ["gpt-4o", ""]}, "models", "line"),
        ({"models": ["a" * 201]}, "models", "200"),
        ({"models": [str(number) for number in range(201)]}, "models", "200"),
        ({"position": -1}, "position", "greater"),
        ({"position": 40_000}, "position", "32767"),
        ({"timeout_seconds": 0}, "timeout_seconds", "greater"),
        ({"timeout_seconds": 3601}, "timeout_seconds", "3600"),
    ],
)
def test_what_does_not_hold_is_refused(in_acme: Organization, values: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        make(in_acme, **values)
    assert (refused.value.status, refused.value.param) == (422, param)
    upstream = make(in_acme)
    with pytest.raises(ApiError, match=words):
        update_upstream(upstream, values, by=BY)
    upstream.refresh_from_db()
    assert upstream.base_url == OPENAI["base_url"]


def test_an_operator_may_allow_ones_own_network(in_acme: Organization, settings: Settings) -> None:
    settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS = True
    assert make(in_acme, base_url="http://vllm:8000/v1/").base_url == "http://vllm:8000/v1"


def test_a_name_is_there_once_whatever_its_case(in_acme: Organization, globex: Organization) -> None:
    make(in_acme)
    with pytest.raises(ApiError, match="already") as refused:
        make(in_acme, name="OPENAI")
    assert (refused.value.status, refused.value.param) == (409, "name")
    other = make(in_acme, name="Other")
    with pytest.raises(ApiError, match="already"):
        update_upstream(other, {"name": "openai"}, by=BY)
    with organization_scope(globex.pk):
        make(globex)


def test_there_is_an_end_to_them(in_acme: Organization) -> None:
    Upstream.objects.bulk_create(
        Upstream(organization=in_acme, name=f"u{number}", protocol="openai", base_url="https://a.example")
        for number in range(MOST_UPSTREAMS)
    )
    with pytest.raises(ApiError, match="at most") as refused:
        make(in_acme)
    assert refused.value.code == "too_many_upstreams"


def test_a_change_is_audited_before_and_after(in_acme: Organization) -> None:
    upstream = make(in_acme, credential=CREDENTIAL)
    assert update_upstream(upstream, {"name": "OpenAI", "is_active": False}, by=BY) == ["is_active"]
    assert audited("upstream.update") == [{"is_active": [True, False]}]
    assert update_upstream(upstream, {"is_active": False}, by=BY) == []
    assert update_upstream(upstream, {"credential": "sk-another-one-0123456789"}, by=BY) == ["credential"]
    assert audited("upstream.update")[-1] == {"credential": ["…cdef", "…6789"]}
    assert update_upstream(upstream, {"credential": None}, by=BY) == ["credential"]
    assert audited("upstream.update")[-1] == {"credential": ["…6789", None]}
    assert read_upstreams(in_acme.pk) == ()
    assert credential_state(upstream) == "none"
    assert update_upstream(upstream, {"credential": ""}, by=BY) == []


def test_a_credential_goes_to_no_other_server(in_acme: Organization) -> None:
    upstream = make(in_acme, credential=CREDENTIAL)
    with pytest.raises(ApiError, match="another server") as refused:
        update_upstream(upstream, {"base_url": "https://collector.example/v1"}, by=BY)
    assert (refused.value.status, refused.value.param) == (422, "credential")
    with pytest.raises(ApiError):
        update_upstream(upstream, {"base_url": "https://api.openai.com:8443/v1"}, by=BY)
    update_upstream(upstream, {"base_url": "https://api.openai.com/v2"}, by=BY)
    update_upstream(upstream, {"base_url": "https://proxy.example/v1", "credential": "sk-of-the-proxy-1234"}, by=BY)
    assert upstream.base_url == "https://proxy.example/v1"
    assert read_upstreams(in_acme.pk)[0].credential == "sk-of-the-proxy-1234"


def test_an_unknown_field_is_a_mistake_of_ours(in_acme: Organization) -> None:
    with pytest.raises(ValueError, match="organization_id"):
        update_upstream(make(in_acme), {"organization_id": 1}, by=BY)


def test_the_order_is_changed_step_by_step(in_acme: Organization) -> None:
    a, b, c = (make(in_acme, name=name) for name in "abc")
    move_upstream(c, -1, by=BY)
    assert [row.name for row in in_order()] == ["a", "c", "b"]
    move_upstream(a, -1, by=BY)
    assert audited("upstream.move") == [{"order": ["a, b, c", "a, c, b"]}]
    move_upstream(a, 5, by=BY)
    assert [(row.name, row.position) for row in in_order()] == [("c", 0), ("b", 1), ("a", 2)]
    assert make(in_acme, name="d").position == 3
    delete_upstream(b, by=BY)
    assert [row.name for row in in_order()] == ["c", "a", "d"]
    with pytest.raises(ApiError) as refused:
        move_upstream(b, 1, by=BY)
    assert refused.value.status == 404


@pytest.mark.django_db(transaction=True)
def test_every_process_hears_of_a_change_that_calls_depend_on(acme: Organization) -> None:
    with organization_scope(acme.pk):
        upstream = make(acme, credential=CREDENTIAL)
        other = make(acme, name="Other")

    def heard_after(act: Callable[[], object]) -> list[str]:
        connection.ensure_connection()
        raw = connection.connection
        raw.execute(f"LISTEN {DIRECTORY_CHANNEL}")
        try:
            with organization_scope(acme.pk):
                act()
            return [notice.payload for notice in raw.notifies(timeout=0.5, stop_after=1)]
        finally:
            raw.execute(f"UNLISTEN {DIRECTORY_CHANNEL}")

    changes: list[dict[str, Any]] = [
        {"name": "Renamed"}, {"base_url": "https://api.openai.com/v2"}, {"credential": "sk-another-0123456789"},
        {"models": ["gpt-*"]}, {"provider": "azure"}, {"timeout_seconds": 5}, {"is_active": False},
    ]  # fmt: skip
    for values in changes:
        assert heard_after(lambda values=values: update_upstream(upstream, values, by=BY)) == [str(acme.pk)], values
    assert heard_after(lambda: move_upstream(other, -1, by=BY)) == [str(acme.pk)]
    assert heard_after(lambda: delete_upstream(other, by=BY)) == [str(acme.pk)]
    assert heard_after(lambda: make(acme, name="New")) == [str(acme.pk)]


def test_deleting_leaves_a_line_in_the_log(in_acme: Organization) -> None:
    delete_upstream(make(in_acme, credential=CREDENTIAL), by=BY)
    assert not Upstream.objects.exists()
    assert audited("upstream.delete") == [{"base_url": ["https://api.openai.com/v1", None]}]
    with unscoped("test"):
        assert CREDENTIAL not in "".join(str(entry.changes) for entry in AuditEntry.objects.all())

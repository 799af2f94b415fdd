"""The settings page of upstreams: listed in order, added, changed, paused, moved, tested, deleted."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.audit import Actor
from accounts.models import Organization
from core.encryption import decrypt
from core.tenancy import organization_scope
from metering.gateway.upstreams import create_upstream, in_order, read_upstreams
from metering.models import Upstream
from tests.metering.gateway.listing import Listing, serving

PAGE = "/o/acme/settings/upstreams/"
SECRET = "sk-proj-0123456789abcdef"
FORM = {
    "name": "OpenAI",
    "protocol": "openai",
    "base_url": "https://api.openai.com/v1",
    "credential": SECRET,
    "models": "gpt-*\r\n\r\n o3* ",
    "provider": "",
    "timeout_seconds": "600",
}


def make(acme: Organization, name: str = "OpenAI", **values: Any) -> Upstream:
    defaults = {"protocol": "openai", "base_url": "https://api.openai.com/v1", "credential": SECRET}
    with organization_scope(acme.pk):
        return create_upstream(acme, by=Actor.of_command("test"), name=name, **{**defaults, **values})


def names(acme: Organization) -> list[str]:
    with organization_scope(acme.pk):
        return [row.name for row in in_order()]


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_an_empty_page_says_what_the_gateway_is_and_how_to_begin(adam_client: Client, settings: Settings) -> None:
    settings.BASE_URL = "https://ledger.example"
    page = text(adam_client.get(PAGE))
    assert "No upstreams yet" in page
    assert "base_url=&quot;https://ledger.example/v1&quot;" in page or 'base_url="https://ledger.example/v1"' in page
    assert f"{PAGE}new/?protocol=anthropic" in page
    assert 'value="https://api.anthropic.com"' in text(adam_client.get(f"{PAGE}new/?protocol=anthropic"))
    assert adam_client.get(f"{PAGE}new/?protocol=telnet").status_code == 200


def test_added_and_listed(acme: Organization, alice_client: Client) -> None:
    answer = alice_client.post(f"{PAGE}new/", FORM, follow=True)
    page = text(answer)
    assert "Upstream OpenAI added" in page
    assert "…cdef" in page
    assert SECRET not in page
    (route,) = read_upstreams(acme.pk)
    assert (route.credential, route.models, route.provider) == (SECRET, ("gpt-*", "o3*"), "openai")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_url": "https://192.168.0.1/v1"}, "no address of the public Internet"),
        ({"base_url": "http://api.openai.com/v1"}, "Use https://"),
        ({"models": " \n "}, "This field is required"),
        ({"timeout_seconds": "0"}, "greater than or equal to 1"),
        ({"credential": "two words"}, "without spaces"),
        ({"name": "openai"}, "already"),
    ],
)
def test_what_does_not_hold_is_said_at_its_field(
    acme: Organization, alice_client: Client, change: dict[str, str], words: str
) -> None:
    if "name" in change:
        make(acme)
    answer = alice_client.post(f"{PAGE}new/", FORM | change)
    assert answer.status_code == 422
    assert words in text(answer)
    assert SECRET not in text(answer)


def test_changed_without_touching_the_credential_then_replaced_then_removed(
    acme: Organization, alice_client: Client
) -> None:
    row = make(acme)
    path = f"{PAGE}{row.pk}/"
    assert SECRET not in text(alice_client.get(path))
    form = FORM | {"credential": "", "name": "Renamed"}
    assert alice_client.post(path, form).status_code == 302
    assert [(each.name, each.credential) for each in read_upstreams(acme.pk)] == [("Renamed", SECRET)]
    moved = alice_client.post(path, form | {"base_url": "https://collector.example/v1"})
    assert "another server" in text(moved)
    alice_client.post(path, form | {"credential": "sk-new-0123456789abcd", "removes_credential": "on"})
    with organization_scope(acme.pk):
        row.refresh_from_db()
    assert row.credential is not None
    assert decrypt(row.credential) == "sk-new-0123456789abcd"
    alice_client.post(path, form | {"removes_credential": "on"})
    assert read_upstreams(acme.pk)[0].credential is None


def test_moved_paused_resumed_deleted(acme: Organization, alice_client: Client) -> None:
    first, second = make(acme, "First"), make(acme, "Second")
    assert "Second is asked earlier now" in text(
        alice_client.post(f"{PAGE}{second.pk}/act/", {"do": "earlier"}, follow=True)
    )
    assert names(acme) == ["Second", "First"]
    alice_client.post(f"{PAGE}{second.pk}/act/", {"do": "later"})
    assert names(acme) == ["First", "Second"]
    assert "First is paused" in text(alice_client.post(f"{PAGE}{first.pk}/act/", {"do": "pause"}, follow=True))
    assert [route.name for route in read_upstreams(acme.pk)] == ["Second"]
    alice_client.post(f"{PAGE}{first.pk}/act/", {"do": "resume"})
    assert [route.name for route in read_upstreams(acme.pk)] == ["First", "Second"]
    assert "earlier or later" in text(alice_client.post(f"{PAGE}{first.pk}/act/", {"do": "explode"}, follow=True))
    alice_client.post(f"{PAGE}{first.pk}/delete/")
    assert names(acme) == ["Second"]


def test_a_lost_credential_is_shown(acme: Organization, alice_client: Client, settings: Settings) -> None:
    make(acme)
    settings.SECRET_KEY_FALLBACKS = []
    with organization_scope(acme.pk):
        Upstream.objects.update(credential=b"sealed by somebody else")
    assert "Credential lost" in text(alice_client.get(PAGE))


def test_tested_with_and_without_scripts(acme: Organization, alice_client: Client, settings: Settings) -> None:
    settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS = True
    with serving(Listing()) as listing:
        row = make(acme, base_url=f"{listing.url}/v1", models=["gpt-*"])
        path = f"{PAGE}{row.pk}/test/"
        whole = text(alice_client.post(path))
        part = text(alice_client.post(path, headers={"hx-request": "true"}))
    assert "<h1>Upstreams</h1>" in whole
    assert "<h1>" not in part
    for page in (whole, part):
        assert "3 models in" in page
        assert "2 of them served by its patterns" in page
    assert "Failed" in text(alice_client.post(path))


def test_nobody_elses_is_there(acme: Organization, charlie_client: Client, globex: Organization) -> None:
    row = make(acme)
    for path in ("", "delete/", "act/", "test/"):
        assert charlie_client.post(f"/o/globex/settings/upstreams/{row.pk}/{path}").status_code == 404
    assert "OpenAI</h3>" not in text(charlie_client.get("/o/globex/settings/upstreams/"))

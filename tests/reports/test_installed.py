"""The installed application: its manifest, the worker's release, and where it starts."""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from PIL import Image

from accounts.models import Organization, User
from tests.cast import logged_in, make_user


@pytest.mark.django_db
def test_the_manifest_names_icons_of_the_sizes_it_says(client: Client) -> None:
    response = client.get("/manifest.webmanifest")
    assert response.headers["Content-Type"] == "application/manifest+json"
    manifest = json.loads(response.content)
    purposes = {(icon["purpose"], icon["sizes"]) for icon in manifest["icons"]}
    assert {("any", "192x192"), ("any", "512x512"), ("maskable", "192x192"), ("maskable", "512x512")} <= purposes
    for icon in manifest["icons"]:
        path = finders.find(icon["src"].removeprefix("/static/"))
        assert path, icon
        if icon["type"] == "image/png":
            with Image.open(path) as image:
                assert f"{image.width}x{image.height}" == icon["sizes"]
    for shortcut in manifest["shortcuts"]:
        assert client.get(shortcut["url"]).status_code == 302


def release(client: Client) -> dict[str, object]:
    response = client.get("/sw.js")
    assert response.headers["Content-Type"].startswith("text/javascript")
    assert "no-cache" in response.headers["Cache-Control"]
    found = re.search(r"^const RELEASE = (.*);$", response.content.decode(), re.MULTILINE)
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


@pytest.mark.django_db
def test_the_worker_brings_every_script_and_style_and_no_page(client: Client) -> None:
    assets = release(client)["assets"]
    assert isinstance(assets, list)
    assert {"/static/css/shell.css", "/static/js/app.js", "/static/vendor/chart.umd.min.js"} <= set(assets)
    assert all(url.startswith("/static/") for url in assets)
    assert not [url for url in assets if "drf" in url or "print" in url]


@pytest.mark.django_db
def test_the_offline_page_is_nobodys(client: Client, alice: User) -> None:
    ours = logged_in(alice).get("/offline").content.decode()
    assert "No connection" in ours
    assert alice.email not in ours
    assert "acme" not in ours.lower()


def test_it_starts_with_the_organization_looked_at_last(alice_client: Client, globex: Organization) -> None:
    assert alice_client.get("/start").headers["Location"] == "/o/acme/quick"
    assert alice_client.get("/start?to=chats").headers["Location"] == "/o/acme/chats/"
    assert alice_client.get("/start?to=elsewhere").headers["Location"] == "/o/acme/quick"


@pytest.mark.django_db
def test_without_an_organization_it_starts_as_the_pages_do() -> None:
    assert logged_in(make_user("nina")).get("/start").headers["Location"] == "/"

"""Upstreams as an owner sets them up: from the empty page to one that answers, wide and narrow."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from accounts.models import Organization, User
from metering.gateway.upstreams import read_upstreams
from tests.browser.conftest import Visitor
from tests.metering.gateway.listing import Listing, serving

PAGE = "/o/acme/settings/upstreams/"


def test_added_tested_in_place_moved_and_paused(
    visitor: Visitor, acme: Organization, alice: User, settings: Settings
) -> None:
    settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS = True
    visitor.log_in(alice.email)
    page = visitor.open(PAGE)
    page.get_by_role("link", name="Upstreams").first.wait_for()
    with serving(Listing()) as listing:
        for name, models in (("Own server", "gpt-*"), ("Spare", "*")):
            page.goto(f"{visitor.base_url}{PAGE}new/?protocol=openai")
            assert page.get_by_label("Address").input_value() == "https://api.openai.com/v1"
            page.get_by_label("Name").fill(name)
            page.get_by_label("Address").fill(f"{listing.url}/v1")
            page.get_by_label("Credential").fill("sk-browser-0123456789")
            page.get_by_label("Models").fill(models)
            page.get_by_role("button", name="Add upstream").click()
            page.wait_for_url(f"**{PAGE}")
        page.get_by_role("button", name="Test Own server").click()
        page.get_by_text("3 models in").wait_for()
        assert "2 of them served by its patterns" in page.locator(".tl-upstream-answer").first.inner_text()
        # In place: nothing else was loaded, the other one has not been asked.
        assert not page.locator(".tl-upstream-answer").nth(1).is_visible()
    page.get_by_role("button", name="Test Spare").click()
    page.get_by_text("cannot be reached").wait_for()
    page.get_by_role("button", name="Ask Spare earlier").click()
    page.get_by_text("Spare is asked earlier now.").wait_for()
    page.get_by_role("button", name="Pause Own server").click()
    page.get_by_role("button", name="Resume Own server").wait_for()
    assert [route.name for route in read_upstreams(acme.pk)] == ["Spare"]


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_width_scrolls_sideways(visitor: Visitor, acme: Organization, alice: User, width: int) -> None:
    visitor.log_in(alice.email)
    visitor.page.set_viewport_size({"width": width, "height": 800})
    for path in (PAGE, f"{PAGE}new/"):
        visitor.open(path)
        assert not visitor.is_wider_than_its_window()

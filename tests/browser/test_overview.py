"""The first page as a person uses it: log in, look, filter, switch to the table, save a picture; wide and narrow."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils.timezone import now

from accounts.models import Organization, User
from metering.events import Usage
from tests.browser.conftest import Visitor
from tests.metering.query.usage import make_event, write


@pytest.fixture
def usage(acme: Organization, alice: User) -> None:
    at = now() - dt.timedelta(seconds=30)
    events = [make_event(f"a{n}", at, "gpt-4o", Usage(input=1000, output=100), user=alice.email) for n in range(3)]
    events.append(make_event("b", at, "claude <b>&amp;", Usage(input=2000, output=50), user="\u202eevil@acme.test"))
    write(acme.pk, events)


def test_from_log_in_to_a_filtered_view(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email)
    page = visitor.page
    assert page.url.endswith("/o/acme/overview")
    assert page.locator(".tl-hero-figure").inner_text() == "5,350"
    page.get_by_role("link", name="Today", exact=True).click()
    page.wait_for_url("**range=today**")
    page.get_by_role("link", name="gpt-4o").first.click()
    page.wait_for_url("**model=gpt-4o**")
    assert page.locator(".tl-chip").inner_text().replace("\n", " ").startswith("Model is gpt-4o")
    assert page.locator(".tl-strip .tl-figure").first.inner_text() == "3,300"
    page.go_back()
    assert page.locator(".tl-chip").count() == 0


def test_the_proof_line_recounts_behind_the_page(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email)
    visitor.page.get_by_text("Adds up from 4 events, difference 0").wait_for(timeout=10_000)


def test_every_chart_has_its_table(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email)
    page = visitor.open("/o/acme/overview?range=today")
    page.get_by_role("button", name="Table").first.click()
    table = page.locator("figure [data-pane=table]").first
    assert table.is_visible()
    assert "5,350" in table.inner_text()


def test_a_drawn_slice_can_be_clicked(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email)
    page = visitor.open("/o/acme/overview?range=today")
    canvas = page.locator("canvas[data-chart=models]")
    box = canvas.bounding_box()
    assert box
    radius = min(box["width"], box["height"]) / 2
    canvas.click(position={"x": box["width"] / 2 + radius * 0.87, "y": box["height"] / 2})
    page.wait_for_url("**model=gpt-4o**")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_system_is(visitor: Visitor, alice: User, usage: None, theme: str) -> None:
    visitor.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    visitor.log_in(alice.email)
    assert visitor.page.evaluate("document.documentElement.dataset.bsTheme") == theme


def test_the_first_event_opens_the_overview_by_itself(visitor: Visitor, alice: User, acme: Organization) -> None:
    visitor.log_in(alice.email)
    visitor.page.get_by_text("Waiting for the first event").wait_for()
    write(acme.pk, [make_event("first", now() - dt.timedelta(seconds=5))])
    visitor.page.get_by_text("Tokens this month").wait_for(timeout=15_000)

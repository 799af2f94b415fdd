"""Usage and models as a person uses them: drill down, sort, more rows, filters from page to page; wide and narrow."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page

from accounts.models import Organization, User
from metering.events import Usage
from reports.breakdown import ROWS
from tests.browser.conftest import Visitor
from tests.metering.query.usage import make_event, write


@pytest.fixture
def usage(acme: Organization, alice: User) -> None:
    at = now() - dt.timedelta(seconds=30)
    events = [make_event(f"a{n}", at, "gpt-4o", Usage(input=1000, output=100), user=alice.email) for n in range(3)]
    events.append(make_event("b", at, "claude <b>&amp;", Usage(input=2000, output=50), user="‮evil@acme.test"))
    events.append(make_event("old", at - dt.timedelta(days=2), "claude <b>&amp;", Usage(input=9, output=1)))
    write(acme.pk, events)


def settle(page: Page) -> None:
    """Wait for what a page asks for last: an answer to nobody would meet a database that is cleared already."""
    page.get_by_text("Adds up from").wait_for()


def test_a_row_drills_down_and_the_filter_goes_along(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/usage?range=7d")
    page = visitor.page
    page.locator("#breakdown").get_by_role("link", name="gpt-4o").click()
    page.wait_for_url("**model=gpt-4o**")
    assert page.locator(".tl-strip .tl-figure").first.inner_text() == "3,300"
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Models").click()
    page.wait_for_url("**/models?range=7d&model=gpt-4o")
    page.get_by_role("link", name="Remove filter: Model").click()
    page.wait_for_url("**/models?range=7d")
    page.go_back()
    page.wait_for_url("**model=gpt-4o**")
    settle(page)


def test_sorting_and_a_second_dimension_are_links(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/usage?range=7d")
    page = visitor.page
    page.locator("#breakdown").get_by_role("link", name="Cost", exact=True).first.click()
    page.wait_for_url("**sort=-cost_usd**")
    assert page.locator("#breakdown th[aria-sort=descending]").inner_text().strip() == "Cost"
    page.locator("#breakdown summary", has_text="made of").click()
    page.locator("#breakdown").get_by_role("link", name="Member", exact=True).click()
    page.wait_for_url("**then=member**")
    assert page.get_by_role("heading", name="Model by member").is_visible()
    settle(page)


def test_more_rows_come_into_the_table_and_the_focus_goes_on(visitor: Visitor, alice: User, acme: Organization) -> None:
    at = now() - dt.timedelta(seconds=30)
    write(acme.pk, [make_event(f"e{n}", at, f"model-{n:02}") for n in range(ROWS + 5)])
    visitor.log_in(alice.email, "/o/acme/usage?range=7d&sort=name")
    page = visitor.page
    rows = page.locator("#breakdown tbody th")
    assert rows.count() == ROWS
    page.get_by_role("link", name="Show more").press("Enter")
    page.get_by_role("link", name=f"model-{ROWS + 4}").wait_for()
    assert rows.count() == ROWS + 5
    assert page.evaluate("document.activeElement.textContent") == f"model-{ROWS}"


def test_areas_are_drawn_and_read_by_keyboard(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/models?range=7d&measure=tokens")
    page = visitor.page
    canvas = page.locator("canvas[data-chart=models-over-time]")
    canvas.focus()
    canvas.press("End")
    said = page.locator("figure [role=status]").first
    said.wait_for(state="attached")
    assert "5,350" in said.inner_text()
    page.get_by_role("button", name="Table").first.click()
    assert "5,360" in page.locator("figure [data-pane=table]").first.inner_text()


def test_nothing_sticks_out_at_any_width(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email)
    visitor.open("/o/acme/usage?range=7d&then=member&measure=input_cost")
    assert visitor.too_narrow_widths() == []

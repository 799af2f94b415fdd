"""Costs, a comparison, and hours of the week, as a person uses them: links, forms, arrow keys; wide and narrow."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page

from accounts.models import Organization, User
from metering.events import Usage
from tests.browser.conftest import Visitor
from tests.metering.query.priced_usage import set_prices, write_rated
from tests.metering.query.usage import make_event


@pytest.fixture
def usage(acme: Organization, alice: User) -> None:
    set_prices()
    at = now() - dt.timedelta(hours=2)
    write_rated(
        acme.pk,
        [
            make_event(f"e{n}", at, model, Usage(input=100_000, output=1_000), provider="openai", user=alice.email)
            for n, model in enumerate(("plain", "plain", "long", "odd-one"))
        ],
    )


def settle(page: Page) -> None:
    """Wait for what a page asks for last: an answer to nobody would meet a database that is cleared already."""
    page.get_by_text("Adds up from").wait_for()


def test_from_a_bill_to_its_lines_and_to_other_prices(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/costs/?range=7d")
    page = visitor.page
    lines = page.get_by_role("region", name="Lines of cost, table")
    assert "100,000" in lines.inner_text()
    lines.get_by_role("link", name="plain openai").click()
    page.wait_for_url("**model=plain**")
    page.get_by_role("link", name="Compare prices").click()
    page.wait_for_url("**/costs/comparison?range=7d&model=plain")
    page.get_by_label("Another model").fill("openai/long")
    page.get_by_role("button", name="Add").click()
    page.wait_for_url("**with=openai%2Flong**")
    assert page.get_by_role("region", name="Models at other prices, table").get_by_text("plain").is_visible()
    page.get_by_label("$ a GPU-hour").fill("3.25")
    page.get_by_role("button", name="Calculate").click()
    page.wait_for_url("**gpu_hour_usd=3.25**")
    assert page.get_by_role("link", name="Remove from the comparison: openai/long").is_visible()
    settle(page)
    page.locator(".tl-head-actions summary").click()
    assert page.get_by_role("link", name="Parquet: FOCUS 1.2, cost and usage").is_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Keep under a name").click()
    page.get_by_label("Name").fill("Plain at long")
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("heading", name="Plain at long").wait_for()
    page.get_by_text("comes to the same figures, to the last digit").wait_for()


def test_arrows_move_through_the_hours_of_the_week(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/usage/patterns?range=7d")
    page = visitor.page
    said = page.locator("[data-heat-said]")
    page.locator("[data-heat] td[tabindex='0']").focus()
    assert said.inner_text().startswith("Monday 00:00 to 01:00")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert said.inner_text().startswith("Tuesday 01:00 to 02:00")
    page.keyboard.press("End")
    assert said.inner_text().startswith("Tuesday 23:00 to 00:00")
    settle(page)


@pytest.mark.parametrize(
    "path", ["costs/", "costs/comparison?with=openai/long", "usage/tokens", "usage/efficiency", "usage/patterns"]
)
def test_no_page_scrolls_sideways_on_a_phone(visitor: Visitor, alice: User, usage: None, path: str) -> None:
    visitor.page.set_viewport_size({"width": 360, "height": 780})
    visitor.log_in(alice.email, f"/o/acme/{path}")
    settle(visitor.page)
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

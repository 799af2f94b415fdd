"""The operator's area as a person uses it: filter by a click, look at an organization, take a place and leave it."""

from __future__ import annotations

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page

from accounts.models import Organization, User
from tests.browser.conftest import Visitor
from tests.cast import PASSWORD
from tests.metering.query.usage import make_event, write


@pytest.fixture
def usage(acme: Organization, globex: Organization) -> None:
    at = now().replace(hour=12, minute=0)
    write(acme.pk, [make_event("a1", at, "gpt-4o", provider="openai"), make_event("a2", at, "odd-one")])
    write(globex.pk, [make_event("g1", at, "claude-x", provider="anthropic")])


def settle(page: Page) -> None:
    """Wait for what a page asks for last: an answer to nobody would meet a database that is cleared already."""
    page.get_by_text("Adds up from").wait_for()


def test_a_row_and_a_list_filter_the_overview(visitor: Visitor, olga: User, usage: None) -> None:
    visitor.log_in(olga.email, "/operator/")
    page = visitor.page
    page.get_by_role("figure", name="Top organizations").get_by_role("link", name="Globex").click()
    page.wait_for_url("**/operator/?organization=globex")
    page.get_by_role("link", name="Remove filter: Organization").click()
    page.wait_for_url("**/operator/")
    page.get_by_role("link", name="View all by model").click()
    page.wait_for_url("**/operator/by/model")
    page.get_by_role("link", name="gpt-4o").click()
    page.wait_for_url("**/operator/?model=gpt-4o")
    settle(page)


def test_taking_a_place_and_leaving_it(visitor: Visitor, olga: User, bob: User, usage: None) -> None:
    visitor.log_in(olga.email, "/operator/organizations/")
    page = visitor.page
    page.get_by_role("link", name="Acme").click()
    page.get_by_role("link", name="Take their place: Bob").click()
    page.get_by_label("Reason").fill("Ticket 4711")
    page.get_by_role("button", name="Take their place").click()
    # The password once more, and then what was asked for.
    page.wait_for_url("**/accounts/reauthenticate/**")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button").first.click()
    page.wait_for_url("**/o/acme/overview")
    banner = page.get_by_role("region", name="You are in a member’s place")
    assert "olga@operator.test in the place of bob@acme.test, read-only," in banner.inner_text()
    banner.get_by_role("button", name="End now").click()
    page.wait_for_url("**/operator/organizations/acme/")
    page.get_by_text("impersonation.end").wait_for()


def test_a_price_for_a_model_without_one(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/settings/prices/")
    page = visitor.page
    page.get_by_role("link", name="Set price of odd-one").click()
    page.get_by_label("Input", exact=False).first.fill("1")
    page.locator("#id_rate_output").fill("2")
    page.get_by_role("button", name="Set price").click()
    page.wait_for_url("**/settings/prices/reprice/**")
    page.get_by_role("button", name="Reprice 1 call").click()
    page.wait_for_url("**/settings/prices/model/**")
    page.get_by_role("heading", name="Prices over time").wait_for()


def test_jumping_to_a_place_and_to_an_organization(visitor: Visitor, olga: User, usage: None) -> None:
    visitor.log_in(olga.email, "/operator/health/")
    page = visitor.page
    page.keyboard.press("Control+k")
    page.keyboard.type("queue")
    page.keyboard.press("Enter")
    page.wait_for_url("**/operator/queue/")
    page.keyboard.press("Control+k")
    page.keyboard.type("glo")
    page.get_by_role("option", name="Globex").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/operator/organizations/globex/")

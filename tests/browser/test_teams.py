"""Overview, teams and shared costs as people use them: an owner, a team's admin, a member; wide and narrow."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page

from accounts.models import Organization, Team, TeamMembership, User
from core.tenancy import organization_scope
from metering.events import Usage
from tests.browser.conftest import Visitor
from tests.cast import membership_of
from tests.metering.limits.calls import limit
from tests.metering.query.usage import make_event, write


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User, search: Team) -> None:
    at = now() - dt.timedelta(seconds=30)
    with organization_scope(acme.pk):
        TeamMembership.objects.filter(membership=membership_of(bob, acme)).update(is_admin=True)
    write(
        acme.pk,
        [
            make_event("b", at, usage=Usage(input=45_000, output=230), user=bob.email),
            make_event("a", at, "claude", Usage(input=9_000, output=1_000), user=alice.email),
        ],
    )
    limit(acme, 100_000)


def settle(page: Page) -> None:
    """Wait for what a page asks for last: an answer to nobody would meet a database that is cleared already."""
    page.get_by_text("Adds up from").wait_for()


def test_from_a_team_to_its_members_and_back(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/teams/?range=today")
    page = visitor.page
    page.get_by_role("region", name="Teams, table").get_by_role("link", name="Search").click()
    page.wait_for_url("**/teams/?range=today&team=search")
    assert page.get_by_role("heading", name="Search", level=1).is_visible()
    assert "45,230" in page.get_by_role("region", name="Members, table").inner_text()
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Teams").click()
    page.wait_for_url("**/teams/?range=today")
    page.get_by_role("region", name="Departments, table").get_by_role("link", name="Engineering").click()
    page.wait_for_url("**/usage?**department=Engineering**")
    settle(page)


def test_shared_costs_are_divided_as_the_address_says(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/teams/?range=today")
    page = visitor.page
    page.get_by_role("link", name="Shared costs").click()
    page.wait_for_url("**/costs/shared?range=today")
    for name, word in (("Evenly", "even"), ("By people", "headcount")):
        page.get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(f"**rule={word}")
        assert page.get_by_role("link", name=name, exact=True).get_attribute("aria-current") == "true"
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as CSV").first.click()
    assert download.value.suggested_filename == "acme-shared-costs.csv"
    settle(page)


def test_who_leads_a_team_lands_on_it(visitor: Visitor, bob: User, usage: None) -> None:
    visitor.log_in(bob.email, "/o/acme/usage?range=today")
    page = visitor.page
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Teams").click()
    page.wait_for_url("**/teams/?range=today")
    assert page.get_by_role("heading", name="Search", level=1).is_visible()
    assert page.get_by_role("region", name="Departments, table").count() == 0
    settle(page)


def test_a_bars_part_filters(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/usage?range=7d&by=model")
    page = visitor.page
    canvas = page.locator("canvas[data-chart=usage-parts]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    # Today is the last of seven bars; its lowest part is the largest.
    canvas.click(position={"x": 52 + (box["width"] - 52) * 6.5 / 7, "y": box["height"] * 0.75})
    page.wait_for_url("**model=gpt-4o**")
    settle(page)


def test_a_day_of_the_table_is_looked_into(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/usage?range=7d")
    page = visitor.page
    figure = page.locator("figure").first
    figure.get_by_role("button", name="Table").click()
    figure.locator("tbody a").last.click()
    page.wait_for_url("**range=custom&from=**")
    assert page.locator(".tl-strip .tl-figure").first.inner_text() == "55.2K"
    assert page.get_by_role("heading", name="Tokens by hour", exact=True).is_visible()
    settle(page)


def test_nothing_sticks_out_at_any_width(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email)
    for path in ("teams/?range=today", "teams/?range=today&team=search", "costs/shared?range=today"):
        visitor.open(f"/o/acme/{path}")
        assert visitor.too_narrow_widths() == [], path

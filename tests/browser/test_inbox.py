"""The bell and the inbox in a browser: the count moves without a reload, a message leads to what it is about."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from accounts.models import Organization, User
from tests.alerts.notices.telling import happen
from tests.browser.conftest import Visitor
from tests.reports.live import Server
from tests.reports.live import server as server

PATIENCE = 20_000
PAGE = "/o/acme/budgets/"


def test_a_message_comes_while_one_looks(chromium: Browser, server: Server, acme: Organization, fiona: User) -> None:
    context = chromium.new_context(reduced_motion="reduce", service_workers="block")
    visitor = Visitor(context.new_page(), server.url)
    visitor.log_in(fiona.email, "/o/acme/settings/members/")
    page = visitor.page
    bell = page.locator("[data-bell]")
    expect(bell).to_have_attribute("aria-label", "Inbox, none unread")
    happen(acme, page=PAGE)
    expect(bell).to_have_attribute("aria-label", "Inbox, 1 unread", timeout=PATIENCE)
    expect(page.locator("[data-bell-said]")).to_have_text("1 unread in your inbox")

    bell.click()
    rows = page.locator(".tl-inbox > li")
    expect(rows).to_have_count(1)
    happen(acme, "credits.low", page=PAGE)
    # The list, too, and the page stays the one it was.
    expect(rows).to_have_count(2, timeout=PATIENCE)
    expect(bell).to_have_attribute("aria-label", "Inbox, 2 unread")
    expect(rows.first).to_contain_text("Credits of Acme are low: $9.81 left")

    rows.last.get_by_role("button", name="Unread: Support has reached 90%").click()
    page.wait_for_url(f"**{PAGE}")
    expect(bell).to_have_attribute("aria-label", "Inbox, 1 unread")
    bell.click()
    page.get_by_role("button", name="Mark all as read").click()
    expect(bell).to_have_attribute("aria-label", "Inbox, none unread")
    assert not visitor.is_wider_than_its_window()
    context.close()
    assert visitor.complaints == []

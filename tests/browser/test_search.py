"""The palette: pages at once, what the server finds a moment later, by keyboard, by touch, and without scripts."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils.timezone import now
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import Organization, User
from tests.browser.conftest import Visitor
from tests.cast import logged_in
from tests.metering.query.usage import make_event, write


@pytest.fixture
def chats(acme: Organization, alice: User) -> None:
    at = now() - dt.timedelta(minutes=5)
    titles = ("Audit of <b>Q3</b>", "Auditing suppliers", "Something else")
    events = [
        make_event(f"a{n}", at, chat=f"c{n}", chat_title=title, detail={"chat_title": title})
        for n, title in enumerate(titles)
    ]
    write(acme.pk, events)


def options(page: Page) -> list[str]:
    rows = page.locator("#jump [role=option]:visible > span:first-of-type")
    return [text.strip() for text in rows.all_inner_texts()]


def chosen(page: Page) -> str:
    return page.locator("#jump [aria-selected=true] > span").first.inner_text().strip()


def test_the_palette_by_keyboard(visitor: Visitor, alice: User, chats: None) -> None:
    visitor.log_in(alice.email, "/o/acme/settings/members/")
    page = visitor.page
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search, or jump to a page")
    expect(field).to_be_focused()
    assert {"Overview", "Members", "Security"} <= set(options(page))
    page.keyboard.type("audit")
    assert options(page)[0] == "Audit log"  # before any answer
    page.get_by_role("option", name="Audit of <b>Q3</b>").wait_for()
    assert options(page) == ["Audit log", "Audit of <b>Q3</b>", "Auditing suppliers", "All results"]
    assert chosen(page) == "Audit log"
    page.keyboard.press("ArrowDown")
    assert chosen(page) == "Audit of <b>Q3</b>"
    active = field.get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").inner_text().startswith("Audit of")
    expect(page.locator("#jump [role=status]")).to_have_text("4 results")
    page.keyboard.press("Enter")
    page.wait_for_url("**/chats/id/c0")
    page.get_by_role("heading", level=1, name="Audit of <b>Q3</b>").wait_for()


def test_nothing_found_is_said_and_escape_closes(visitor: Visitor, alice: User, chats: None) -> None:
    visitor.log_in(alice.email, "/o/acme/settings/members/")
    page = visitor.page
    page.get_by_role("link", name="Search or jump to…").click()
    page.keyboard.type("zzzz")
    page.get_by_text("Nothing has this name or id.").wait_for()
    assert options(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#jump")).to_be_hidden()


def test_the_palette_on_a_phone(visitor: Visitor, alice: User, chats: None) -> None:
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    visitor.log_in(alice.email, "/o/acme/settings/members/")
    page = visitor.page
    page.get_by_role("link", name="Search or jump to…").click()
    page.get_by_role("combobox").fill("audit")
    page.get_by_role("option", name="Auditing suppliers").click()
    page.wait_for_url("**/chats/id/c1")
    page.get_by_role("heading", level=1, name="Auditing suppliers").wait_for()
    assert not visitor.is_wider_than_its_window()


def test_search_without_scripts(chromium: Browser, live_server: LiveServer, alice: User, chats: None) -> None:
    session = logged_in(alice).cookies["sessionid"].value
    context = chromium.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page = context.new_page()
    page.goto(f"{live_server.url}/o/acme/settings/members/")
    page.get_by_role("link", name="Search or jump to…").click()
    page.get_by_label("Search for").fill("audit q3")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**q=audit+q3")
    assert page.get_by_role("link", name="Audit of <b>Q3</b>").is_visible()
    context.close()

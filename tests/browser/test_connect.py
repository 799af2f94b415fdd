"""The Connect page in a browser: tabs, copying, and usage that arrives while one looks."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils.timezone import now
from playwright.sync_api import expect

from accounts.models import Organization, Scope, User
from metering.events import Usage
from tests.browser.conftest import Visitor
from tests.cast import make_key, membership_of
from tests.metering.query.usage import make_event, write

URL = "/o/acme/connect/"


def arrive(organization: Organization, event_id: str) -> None:
    at = now() - dt.timedelta(seconds=1)
    write(organization.pk, [make_event(event_id, at, "gpt-4o", Usage(input=1000, output=100))])


def test_the_first_event_arrives_and_the_counters_go_on(visitor: Visitor, alice: User, acme: Organization) -> None:
    visitor.log_in(alice.email)
    page = visitor.open(URL)
    live, said = page.locator("#live"), page.locator("#arrival")
    expect(live).to_contain_text("Waiting for your first event")
    arrive(acme, "e1")
    expect(live).to_contain_text("gpt-4o", timeout=10_000)
    expect(live).not_to_contain_text("Waiting")
    expect(said).to_have_text("An event of gpt-4o has arrived.")
    expect(live.locator("dd.tl-figure").first).to_have_text("1")
    arrive(acme, "e2")
    expect(live.locator("dd.tl-figure").first).to_have_text("2", timeout=10_000)


def test_tabs_by_keyboard_and_the_way_back(visitor: Visitor, alice: User) -> None:
    visitor.log_in(alice.email)
    page = visitor.open(URL)
    page.locator("#with-curl").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#with-curl")).to_have_attribute("aria-current", "true")
    expect(page.locator("#code-curl-1")).to_contain_text(f"{settings.BASE_URL}/v1/events")
    assert page.url.endswith("?with=curl")
    page.go_back()
    expect(page.locator("#code-openai-1")).to_be_visible()


def test_an_example_is_copied_whole(visitor: Visitor, alice: User, acme: Organization) -> None:
    key = make_key(acme, [Scope.USAGE_WRITE, Scope.GATEWAY], member=membership_of(alice, acme))
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.log_in(alice.email)
    page = visitor.open(f"{URL}?with=openai")
    page.locator("[data-copy=code-openai-1]").click()
    expect(page.locator("[data-copy=code-openai-1]")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("from openai import OpenAI\n\nclient = OpenAI(\n    base_url=")
    assert f'    api_key="{key.row.prefix}...",\n' in copied


def test_without_scripts_it_is_all_there(visitor: Visitor, alice: User) -> None:
    visitor.log_in(alice.email)
    browser = visitor.page.context.browser
    assert browser is not None
    state = visitor.page.context.storage_state()
    context = browser.new_context(java_script_enabled=False, storage_state=state)
    page = context.new_page()
    page.goto(visitor.base_url + URL)
    page.locator("#with-curl").click()
    expect(page.locator("#code-curl-1")).to_be_visible()
    expect(page.locator("[data-copy=code-curl-1]")).to_be_hidden()
    context.close()


def test_nothing_sticks_out(visitor: Visitor, alice: User, acme: Organization) -> None:
    arrive(acme, "e1")
    visitor.log_in(alice.email)
    for way in ("openai", "javascript", "litellm"):
        visitor.page.goto(f"{visitor.base_url}{URL}?with={way}")
        expect(visitor.page.locator("#live")).to_be_visible()
        assert visitor.too_narrow_widths() == [], way

"""From the menu to the receipt of a call: which conversation cost that, and why; at every width."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils.timezone import now

from accounts.models import Organization, User
from metering.events import Usage
from tests.browser.conftest import Visitor
from tests.metering.query.usage import make_event, write
from tests.reports.priced import set_prices, write_priced


@pytest.fixture
def chats(acme: Organization, alice: User) -> None:
    set_prices()
    at = now() - dt.timedelta(minutes=3)
    detail = {
        "chat_title": "Q3 <b>Marketing", "input_parts": {"message": 100, "context": 900},
        "files": [{"id": "f1", "name": "a-long-name-without-a-break-" * 5 + ".pdf", "size_bytes": 10, "tokens": 4}],
        "attempts": [{"upstream": "first", "status": None, "error": "x" * 200}], "odd": "y" * 300,
    }  # fmt: skip
    told = {"chat": "c1", "chat_title": "Q3 <b>Marketing", "user": alice.email, "provider": "openai"}
    events = [
        make_event(f"call-{n}", at + n * dt.timedelta(seconds=20), usage=Usage(input=1000, output=100 * n),
                   detail=detail, duration_ms=1500, raw_usage={"long": "z" * 400}, tags={"env": "prod"}, **told)
        for n in (1, 2)
    ]  # fmt: skip
    write_priced(acme.pk, [*events, make_event("x" * 200, at, "m" * 200, chat="w" * 200, user="u" * 200)])


def test_from_the_menu_to_the_receipt(visitor: Visitor, alice: User, chats: None) -> None:
    visitor.log_in(alice.email)
    page = visitor.page
    page.locator(".tl-nav-link", has_text="Chats").click()
    page.wait_for_url("**/o/acme/chats/**")
    page.fill("#find", "marketing")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**q=marketing**")
    assert page.locator("tbody tr").count() == 1
    page.get_by_role("link", name="Q3 <b>Marketing").click()
    page.wait_for_url("**/chats/id/c1**")
    assert page.locator(".tl-strip .tl-figure").first.inner_text() == "2,300"
    assert page.locator(".tl-nav-link[aria-current]").inner_text() == "Chats"
    figure = page.locator("figure", has=page.locator("#calls-title"))
    figure.get_by_role("button", name="Table").click()
    assert "message 100, context 900, output 100" in figure.locator("table").inner_text()
    figure.get_by_role("button", name="Bars").click()
    page.locator(".tl-msg-link").first.click()
    page.wait_for_url("**/calls/id/call-1**")
    receipt = page.locator(".tl-receipt").inner_text()
    assert "$0.003500000001" in receipt
    assert "equal" in receipt
    page.get_by_text("Usage as it was sent").click()
    assert "zzz" in page.locator(".tl-raw pre").inner_text()
    model = page.locator(".tl-pairs").get_by_role("link", name="gpt-4o")
    assert "model=gpt-4o" in (model.get_attribute("href") or "")


def test_a_list_sorts_and_goes_back(visitor: Visitor, alice: User, chats: None) -> None:
    visitor.log_in(alice.email)
    page = visitor.open("/o/acme/chats/?range=7d")
    page.get_by_role("link", name="Tokens").click()
    page.wait_for_url("**sort=-total_tokens**")
    assert page.locator("th[aria-sort=descending]").inner_text().strip() == "Tokens"
    page.get_by_role("link", name="Recent calls").click()
    page.wait_for_url("**/o/acme/calls/?range=7d")
    page.go_back()
    page.wait_for_url("**sort=-total_tokens**")


def test_calls_arrive_where_refreshing_was_chosen(
    visitor: Visitor, alice: User, acme: Organization, chats: None
) -> None:
    visitor.log_in(alice.email)
    page = visitor.open("/o/acme/calls/?range=7d")
    page.get_by_role("link", name="10 s").click()
    page.wait_for_url("**refresh=on**")
    write(acme.pk, [make_event("later", now() - dt.timedelta(seconds=1), "a-new-model")])
    page.get_by_text("a-new-model").wait_for(timeout=20_000)


def test_nothing_sticks_out_at_any_width(visitor: Visitor, alice: User, chats: None) -> None:
    visitor.log_in(alice.email)
    for path in (f"chats/id/{'w' * 200}", f"calls/id/{'x' * 200}"):
        visitor.open(f"/o/acme/{path}")
        assert visitor.too_narrow_widths() == [], path

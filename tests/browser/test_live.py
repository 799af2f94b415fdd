"""Figures that move in an open page: what stays as it was, and what happens when the stream cannot be had."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.utils.timezone import now
from playwright.sync_api import Browser, Page, expect

from accounts.models import Organization, User
from metering.events import Usage
from tests.browser.conftest import Visitor
from tests.cast import Key
from tests.metering.query.usage import make_event, write
from tests.reports.live import Server, serving
from tests.reports.live import server as server

PATIENCE = 20_000
TODAY = "/o/acme/overview?range=today"


@pytest.fixture
def usage(acme: Organization, alice: User) -> None:
    at = now() - dt.timedelta(seconds=30)
    write(acme.pk, [make_event("a", at, "gpt-4o", Usage(input=1000, output=100), user=alice.email)])


@pytest.fixture
def watching(chromium: Browser, server: Server, alice: User, usage: None) -> Iterator[Visitor]:
    """Alice looks at today."""
    context = chromium.new_context()
    visitor = Visitor(context.new_page(), server.url)
    visitor.log_in(alice.email)
    # Not until the network is idle: with a stream it never is.
    visitor.page.goto(server.url + TODAY)
    expect(state_of(visitor.page)).to_have_text("Live", timeout=PATIENCE)
    yield visitor
    context.close()


def state_of(page: Page) -> Any:
    return page.locator("[data-live-state]")


def card(page: Page, number: int = 0) -> Any:
    return page.locator(".tl-strip .tl-figure").nth(number)


def call(server: Server, key: Key, event_id: str) -> None:
    """Through the door: 2,200 tokens."""
    answer = httpx.post(
        f"{server.url}/v1/events",
        json={"id": event_id, "model": "gpt-4o", "usage": {"prompt_tokens": 2000, "completion_tokens": 200}},
        headers={"Authorization": f"Bearer {key.secret}"},
    )
    assert answer.status_code == 200


def test_cards_and_chart_move_without_a_reload(watching: Visitor, server: Server, acme_key: Key) -> None:
    page = watching.page
    # before the first frame
    page.add_init_script(
        "addEventListener('DOMContentLoaded',"
        " () => { for (const figure of document.querySelectorAll('figure')) figure.wasThere = true; })"
    )
    page.reload()
    expect(card(page)).to_have_text("1,100")
    page.evaluate("window.isTheSamePage = true")
    page.get_by_role("button", name="Table").first.click()
    page.locator(".tl-ranked a").first.focus()
    focused = page.evaluate("document.activeElement.href")
    call(server, acme_key, "e1")
    expect(card(page)).to_have_text("3,300", timeout=PATIENCE)
    expect(card(page, 3)).to_have_text("2")
    expect(page.locator(".tl-hero-figure")).to_have_text("3,300")
    # the chart's numbers, its table, and what a person had chosen and pointed at
    drawn = page.evaluate(
        "Chart.getChart(document.querySelector('canvas[data-chart=usage]')).data.datasets"
        ".filter((d) => d.label === 'Total').flatMap((d) => d.data).reduce((sum, v) => sum + (v ?? 0), 0)"
    )
    assert drawn == 3300
    table = page.locator("figure [data-pane=table]").first
    expect(table).to_be_visible()
    expect(table).to_contain_text("3,300")
    assert page.evaluate("document.activeElement.href") == focused
    call(server, acme_key, "e2")
    expect(card(page)).to_have_text("5,500", timeout=PATIENCE)
    assert page.evaluate("window.isTheSamePage && document.querySelector('figure').wasThere")
    said = acme_key.client.get("/v1/usage").json()
    expect(page.locator(".tl-hero-figure")).to_have_text(f"{said['total_tokens']:,}")
    assert watching.complaints == []


def test_the_first_usage_of_a_range_fills_the_page(
    watching: Visitor, server: Server, acme_key: Key, acme: Organization
) -> None:
    page = watching.page
    page.goto(f"{server.url}{TODAY}&model=new-model")
    expect(page.get_by_text("No usage matches these filters")).to_be_visible()
    write(acme.pk, [make_event("n", now() - dt.timedelta(seconds=1), "new-model", Usage(input=40, output=2))])
    expect(card(page)).to_have_text("42", timeout=PATIENCE)
    assert page.evaluate("!!Chart.getChart(document.querySelector('canvas[data-chart=usage]'))")


def test_nothing_is_open_while_nobody_looks(watching: Visitor) -> None:
    page = watching.page
    hide = (
        "(isHidden) => { Object.defineProperty(document, 'hidden', {value: isHidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.evaluate(hide, True)
    expect(state_of(page)).to_have_text("Paused")
    page.evaluate(hide, False)
    expect(state_of(page)).to_have_text("Live", timeout=PATIENCE)


def test_without_a_stream_it_asks(watching: Visitor, server: Server, acme_key: Key) -> None:
    page = watching.page
    page.route("**/overview/stream*", lambda route: route.fulfill(status=503))
    page.reload()
    expect(state_of(page)).to_have_text("Every 10 s")
    call(server, acme_key, "e1")
    expect(card(page)).to_have_text("3,300", timeout=PATIENCE)


def test_it_comes_back_after_a_restart_by_itself(
    chromium: Browser, transactional_db: None, acme: Organization, alice: User, usage: None
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    with serving() as first:
        visitor = Visitor(page, first.url)
        visitor.log_in(alice.email)
        page.goto(first.url + TODAY)
        expect(state_of(page)).to_have_text("Live", timeout=PATIENCE)
        port = first.port
    expect(state_of(page)).to_have_text("Reconnecting", timeout=PATIENCE)
    write(acme.pk, [make_event("b", now() - dt.timedelta(seconds=1), "gpt-4o", Usage(input=2000, output=200))])
    with serving(port):
        expect(state_of(page)).to_have_text("Live", timeout=PATIENCE)
        expect(card(page)).to_have_text("3,300", timeout=PATIENCE)
        context.close()


def test_who_is_logged_out_meanwhile_is_sent_to_log_in(watching: Visitor) -> None:
    page = watching.page
    page.context.clear_cookies()
    page.route("**/overview/stream*", lambda route: route.fulfill(status=401))
    page.reload()
    page.wait_for_url("**/accounts/login/**")

"""Files, features, services and voice as a person finds them: from the menu to the chat, the model and the call."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils.timezone import now

from accounts.models import Organization, User
from metering.events import Usage
from tests.browser.conftest import Visitor
from tests.metering.query.usage import make_event, write

REPORT = {"id": "reports/2025 <b>.pdf", "name": "Annual <b> Report.pdf", "size_bytes": 2_300_000, "tokens": 400}
BRIEF = {"id": "brief", "name": "Brief.docx", "tokens": 100}


@pytest.fixture
def usage(acme: Organization, alice: User) -> None:
    at = now() - dt.timedelta(minutes=5)
    common: dict[str, Any] = {"user": alice.email, "duration_ms": 900, "time_to_first_token_ms": 120}
    write(
        acme.pk,
        [
            make_event("1", at, usage=Usage(input=1_000), chat="c1", chat_title="Q3 marketing", integration="slack",
                       feature="chat", tool="web_search", detail={"chat_title": "Q3 marketing", "files": [REPORT]},
                       **common),
            make_event("2", at, usage=Usage(input=1_000), chat="c2", integration="zendesk", feature="agents",
                       detail={"files": [REPORT, BRIEF]}, **common),
            make_event("3", at, "talker", Usage(input=10, audio_input=300, audio_output=40), feature="voice", **common),
        ],
    )  # fmt: skip


def test_from_the_menu_to_a_file_and_the_chats_that_used_it(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email)
    page = visitor.page
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Files").click()
    page.wait_for_url("**/o/acme/files/**")
    assert page.locator("tbody tr").count() == 2
    page.get_by_role("columnheader", name="Chats").get_by_role("link").click()
    page.wait_for_url("**sort=-chats**")
    page.fill("#find", "annual")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**q=annual**")
    assert page.locator("tbody tr").count() == 1
    page.get_by_role("link", name="Annual <b> Report.pdf").click()
    page.wait_for_url("**/files/id/reports/**")
    assert "2 chats" in page.locator(".tl-strip").inner_text()
    figure = page.locator("figure", has=page.locator("#file-trend-title"))
    figure.get_by_role("button", name="Table").click()
    assert "Tokens in prompts" in figure.locator("table").inner_text()
    page.get_by_role("link", name="Q3 marketing").click()
    page.wait_for_url("**/chats/id/c1**")
    page.get_by_role("link", name="Annual <b> Report.pdf", exact=True).click()
    page.wait_for_url("**/files/id/reports/**")


def test_a_service_by_itself_and_the_way_to_connect(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/integrations/")
    page = visitor.page
    page.locator("#services").get_by_role("link", name="slack").click()
    page.wait_for_url("**integration=slack**")
    assert page.locator("h1").inner_text() == "slack"
    figure = page.locator("figure", has=page.locator("#latency-title"))
    figure.get_by_role("button", name="Table").click()
    assert "p95" in figure.locator("table").inner_text()
    assert "gpt-4o" in page.locator("#models").inner_text()
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Integrations").click()
    page.wait_for_url(lambda url: "integration=slack" not in url)
    page.locator("section", has=page.locator("#connecting-title")).get_by_role("link", name="Connect").click()
    page.wait_for_url("**/o/acme/connect/**")
    assert page.locator(".tl-nav-link[aria-current]").inner_text() == "Integrations"


def test_from_usage_to_features_and_voice(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/usage?range=7d")
    page = visitor.page
    page.get_by_role("navigation", name="Pages of usage").get_by_role("link", name="Features and tools").click()
    page.wait_for_url("**/usage/features?range=7d")
    page.locator("#tools").get_by_role("link", name="web_search").click()
    page.wait_for_url("**tool=web_search**")
    assert page.locator("#features tbody tr").count() == 1
    page.get_by_role("link", name="Remove filter: Tool").click()
    page.wait_for_url(lambda url: "tool=" not in url)
    page.get_by_role("navigation", name="Pages of usage").get_by_role("link", name="Voice").click()
    page.wait_for_url("**/usage/voice?range=7d")
    assert "talker" in page.locator("#models").inner_text()
    page.locator("#calls tbody").get_by_role("link").first.click()
    page.wait_for_url("**/calls/id/3")


def test_nothing_sticks_out_and_nothing_complains(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email)
    for path in ("files/id/brief", "integrations/?integration=slack", "usage/voice"):
        visitor.open(f"/o/acme/{path}")
        assert visitor.too_narrow_widths() == [], path

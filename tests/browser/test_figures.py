"""The demo's pages against its API and its files: the same figures for the same filters, to the last digit."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page

from core.figures import money
from core.money import nanos_from_usd
from tests.browser.conftest import PEOPLE, Window
from tests.browser.every_page import settle
from tests.demo import ORGANIZATION, Demo

ZONE = ZoneInfo("Europe/Berlin")
ALICE, BOB, ERIK = "alice@northbound.test", "bob@northbound.test", "erik@northbound.test"
# Who looks, at what, and what the API must be asked beside that for the same figures.
VIEWS = (
    (ALICE, "range=month", {}),
    (ALICE, "range=30d&model=gpt-4o", {}),
    (ALICE, "range=90d&project=support-bot&status=error", {}),
    (ALICE, "range=yesterday&feature=chat", {}),
    (ERIK, "range=30d", {"member": ERIK}),
    (BOB, "range=30d&team=search", {}),
)
VIEW_NAMES = [f"{PEOPLE[person]} {view}" for person, view, _ in VIEWS]


def open_page(window: Window, path: str, query: str = "") -> Page:
    window.page.goto(f"{window.base_url}/o/{ORGANIZATION}/{path}?{query}")
    settle(window.page)
    return window.page


def api_totals(demo: Demo, page: Page, query: str, beside: dict[str, str]) -> dict[str, Any]:
    """What the API says of the range the page's bar names, and of its filters."""
    start, end = (
        dt.datetime.fromisoformat(page.locator(f"#range-{which}").input_value()).replace(tzinfo=ZONE).isoformat()
        for which in ("from", "to")
    )
    filters = {name: value for name, value in parse_qsl(query) if name != "range"}
    asked = {"from": start, "to": end, "timezone": ZONE.key, "interval": "none", **filters, **beside}
    answer = demo.get(f"/v1/usage/query?{urlencode(asked)}")
    assert answer.status_code == 200, answer.text
    totals: dict[str, Any] = answer.json()["totals"]
    return totals


def rows_of(window: Window, name: str) -> list[dict[str, str]]:
    """The file a link of the page leads to."""
    address = window.page.locator(f'a[href*="{name}"]').first.get_attribute("href")
    assert address
    return list(csv.DictReader(io.StringIO(window.asks.get(address).text)))


def exported(window: Window) -> list[dict[str, str]]:
    """The file that the export menu offers, or has prepared: the same, only not at once."""
    offer = window.page.locator('a[href*="export/usage.csv"], form[action*="export/usage.csv"]').first
    address = offer.get_attribute("href") or (offer.get_attribute("action") or "").replace("/prepare", "")
    return list(csv.DictReader(io.StringIO(window.asks.get(address).text)))


def summed(rows: list[dict[str, str]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows if row[column]), Decimal(0))


def foot(page: Page, number: int) -> str:
    """The last line of a table, whether its pane is shown or not."""
    return page.locator("tfoot").nth(number).text_content() or ""


@pytest.mark.parametrize(("person", "query", "beside"), VIEWS, ids=VIEW_NAMES)
def test_overview(person: str, query: str, beside: dict[str, str], demo: Demo, windows: dict[str, Window]) -> None:
    page = open_page(windows[person], "overview", query)
    totals = api_totals(demo, page, query, beside)
    assert totals["total_tokens"] >= 0
    for figure in ("total_tokens", "prompt_tokens", "completion_tokens"):
        assert f"{totals[figure]:,}" in foot(page, 0)
    series, export = rows_of(windows[person], "series.csv"), exported(windows[person])
    for column in ("total_tokens", "requests"):
        assert summed(export, column) == totals[column]
    assert summed(series, "total") == totals["total_tokens"]
    cards = page.locator(".tl-strip").last.inner_text()
    assert f"{totals['requests']:,}" in cards


@pytest.mark.parametrize(("person", "query", "beside"), VIEWS, ids=VIEW_NAMES)
def test_usage_and_models(
    person: str, query: str, beside: dict[str, str], demo: Demo, windows: dict[str, Window]
) -> None:
    page = open_page(windows[person], "usage", query)
    totals = api_totals(demo, page, query, beside)
    breakdown = rows_of(windows[person], "breakdown.csv")
    assert summed(breakdown, "total_tokens") == totals["total_tokens"]
    assert summed(breakdown, "cost_usd") == Decimal(totals["cost_usd"])
    cost = money(nanos_from_usd(Decimal(totals["cost_usd"])))
    whole = page.locator("#breakdown tfoot").inner_text()
    for text in (f"{totals['total_tokens']:,}", f"{totals['requests']:,}", cost):
        assert text in whole
    assert cost in page.locator(".tl-strip").inner_text()
    page = open_page(windows[person], "models", query)
    assert cost in page.locator(".tl-strip").inner_text()
    assert f"{totals['total_tokens']:,}" in page.locator("tfoot").last.inner_text()


def test_chats(demo: Demo, windows: dict[str, Window]) -> None:
    query = "range=7d&project=support-bot&sort=-total_tokens"
    window = windows[ALICE]
    page = open_page(window, "chats/", query)
    rows = rows_of(window, "list.csv")
    start = min(row["last_at"] for row in rows)
    known: dict[str, dict[str, Any]] = {}
    cursor = ""
    while cursor is not None:
        asked = {"from": start, "project": "support-bot", "limit": 100} | ({"cursor": cursor} if cursor else {})
        answer = demo.get(f"/v1/chats?{urlencode(asked)}").json()
        known |= {chat["id"]: chat for chat in answer["data"]}
        cursor = answer["next_cursor"]
    assert {row["id"] for row in rows} == set(known)
    for row in rows:
        assert int(row["total_tokens"]) == known[row["id"]]["total_tokens"]
        assert Decimal(row["cost_usd"]) == Decimal(known[row["id"]]["cost_usd"])
    most = max(known.values(), key=lambda chat: chat["total_tokens"])
    assert f"{most['total_tokens']:,}" in page.locator("tbody tr").first.inner_text()
    page.locator("tbody tr").first.get_by_role("link").first.click()
    page.wait_for_url(f"**/chats/id/{most['id']}**")
    assert f"{most['total_tokens']:,}" in page.locator("main").inner_text()


def test_drilling_down_and_going_back(demo: Demo, windows: dict[str, Window]) -> None:
    window = windows[ALICE]
    page = open_page(window, "usage", "range=7d")
    everything = page.locator("#breakdown tfoot").inner_text()
    page.locator("#breakdown tbody").get_by_role("link", name="gpt-4o", exact=True).click()
    page.wait_for_url("**model=gpt-4o**")
    settle(page)
    totals = api_totals(demo, page, "model=gpt-4o", {})
    assert f"{totals['total_tokens']:,}" in page.locator("#breakdown tfoot").inner_text()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Chats").click()
    page.wait_for_url("**/chats/?range=7d&model=gpt-4o")
    page.go_back()
    page.wait_for_url(re.compile(r"/usage\?.*model=gpt-4o"))
    page.go_back()
    page.wait_for_url(re.compile(r"/usage\?range=7d$"))
    settle(page)
    assert page.locator("#breakdown tfoot").inner_text() == everything
    assert window.complaints == []

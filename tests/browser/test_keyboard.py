"""The demo without a mouse, and without motion for who does not want any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Window
from tests.browser.every_page import settle
from tests.demo import ORGANIZATION

FOCUSED = "document.activeElement"
# Changes of looks under the focus: what has none of them cannot be found.
IS_SEEN = """() => {
    const look = (element) => { const s = getComputedStyle(element); return [s.outlineStyle, s.outlineWidth,
        s.boxShadow, s.borderColor, s.backgroundColor, s.textDecorationLine].join(); };
    const focused = document.activeElement;
    // what surrounds a field may show the focus for it
    const shown = [focused, focused.parentElement].map(look);
    focused.blur();
    const hidden = [focused, focused.parentElement].map(look);
    focused.focus({ focusVisible: true });
    return shown.join() !== hidden.join();
}"""


@pytest.fixture
def page(windows: dict[str, Window]) -> Iterator[Page]:
    window = windows["alice@northbound.test"]
    window.complaints.clear()
    window.page.goto(f"{window.base_url}/o/{ORGANIZATION}/usage?range=30d")
    settle(window.page)
    yield window.page
    assert window.complaints == []


def test_the_first_stop_skips_the_menu(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("path", ["overview", "usage", "chats/", "settings/keys/", "estimate/"])
def test_every_stop_is_seen(page: Page, path: str) -> None:
    page.goto(page.url.split("/usage")[0] + "/" + path)
    settle(page)
    for number in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(f"{FOCUSED} === document.body"):
            break
        assert page.evaluate(IS_SEEN), f"stop {number}: {page.evaluate(f'{FOCUSED}.outerHTML')[:200]}"


def test_filters_by_keyboard(page: Page) -> None:
    menu = page.locator("details.tl-menu", has_text="Filter").locator("summary")
    menu.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(f"{FOCUSED}.matches('.tl-menu-panel a')")
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    expect(menu.locator("xpath=..")).not_to_have_attribute("open", "")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Feature", exact=True).first.press("Enter")
    page.wait_for_url("**/choose/feature**")
    page.locator("main").get_by_role("link", name="chat", exact=True).press("Enter")
    page.wait_for_url("**feature=chat**")
    page.get_by_role("link", name="Remove filter: Feature").press("Enter")
    page.wait_for_url(lambda url: "feature" not in url)


def test_the_palette_by_keyboard(page: Page) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Usage").focus()
    page.keyboard.press("Control+k")
    field = page.locator("#jump input")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#jump")).not_to_be_visible()
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Usage")).to_be_focused()
    page.keyboard.press("Control+k")
    page.keyboard.type("mod")
    # The first that fits is chosen.
    expect(page.locator("#jump [aria-selected=true]")).to_contain_text("Models")
    page.keyboard.press("Enter")
    page.wait_for_url("**/models**")


def test_a_chart_and_its_table_by_keyboard(page: Page) -> None:
    figure = page.locator("figure.tl-chart").first
    canvas = figure.locator("canvas").first
    canvas.focus()
    canvas.press("Home")
    said = figure.locator("[role=status]").first
    expect(said).not_to_be_empty()
    first = said.text_content()
    canvas.press("ArrowRight")
    expect(said).not_to_have_text(first or "")
    figure.get_by_role("button", name="Table").press("Enter")
    expect(figure.locator("[data-pane=table] table").first).to_be_visible()
    assert figure.locator("[data-pane=table] caption").count() >= 1


def test_nothing_moves_for_who_wants_no_motion(page: Page) -> None:
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((element) => {
            const { transitionDuration, animationDuration } = getComputedStyle(element);
            return [transitionDuration, animationDuration].some((all) =>
                all.split(",").some((one) => parseFloat(one) > 0.02));
        }).map((element) => element.outerHTML.slice(0, 80))"""
    )
    assert moving == []
    charts = "[...document.querySelectorAll('canvas')].map((canvas) => Chart.getChart(canvas)?.options.animation)"
    assert not any(page.evaluate(charts))

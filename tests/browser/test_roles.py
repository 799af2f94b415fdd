"""The demo as each of its people sees it: what is linked opens, and nothing in the browser complains."""

from __future__ import annotations

import httpx
import pytest

from tests.browser.conftest import PEOPLE, Window, start_of
from tests.browser.every_page import settle
from tests.browser.pages import addresses, name_of
from tests.demo import html_at


@pytest.mark.parametrize("person", PEOPLE, ids=PEOPLE.get)
def test_every_link_opens(person: str, people: dict[str, httpx.Client]) -> None:
    """No page shows somebody a way to what they may not do."""
    refused = []

    def hear(answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            refused.append(f"{answer.status_code} {answer.url}")

    browser = people[person]
    browser.event_hooks = {"response": [hear]}
    found = addresses(lambda path: html_at(browser, path), start_of(person))
    browser.event_hooks = {"response": []}
    assert refused == []
    assert name_of(start_of(person)) in found


@pytest.mark.parametrize("person", PEOPLE, ids=PEOPLE.get)
def test_every_place_of_the_menu_is_silent(person: str, windows: dict[str, Window]) -> None:
    window = windows[person]
    page, traffic = window.page, window.traffic
    page.goto("about:blank")
    traffic.forget()
    window.complaints.clear()
    page.goto(window.base_url + start_of(person))
    settle(page)
    links = page.get_by_role("navigation", name="Main").get_by_role("link")
    places = dict.fromkeys(link.get_attribute("href") or "" for link in links.all())
    assert places
    for place in places:
        page.goto(window.base_url + place)
        settle(page)
        assert page.locator("h1").count() == 1, place
    # The stream of the last page ends with it.
    page.goto("about:blank")
    assert [*window.complaints, *traffic.failed, *traffic.of_other_hosts(window.base_url)] == []

"""The demo as each of its people sees it: what is linked opens, and nothing in the browser complains."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import PEOPLE, Walk, Window, start_of
from tests.browser.every_page import settle
from tests.browser.pages import name_of


@pytest.mark.parametrize("person", PEOPLE, ids=PEOPLE.get)
def test_every_link_opens(person: str, walk: Callable[[str], Walk]) -> None:
    """No page shows somebody a way to what they may not do."""
    walked = walk(person)
    assert walked.refused == []
    assert name_of(start_of(person)) in walked.reached


# The first two are those whom test_every_page.py looks at pages as.
@pytest.mark.parametrize("person", list(PEOPLE)[2:], ids=PEOPLE.get)
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

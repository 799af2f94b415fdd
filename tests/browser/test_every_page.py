"""Every page of the demo in a browser, as somebody it is open to. A new page is here as soon as it has an address."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NOBODY, Walk, Window
from tests.browser.every_page import MOST_BYTES, WIDTHS, Traffic, findings, settle, sticks_out_at
from tests.browser.pages import ENTRANCE, NAMES
from tests.demo import ORGANIZATION, Demo

REDUCED = "reduce"
# Without the secret of its address there is nothing to see; with one, others have it.
SECRET = frozenset({"accounts:invitation", "alerts:unsubscribe"})
# Swagger UI brings its own looks, and more bytes than all of ours.
# In a mail's document no script may run, not even a test's.
NOT_OURS = frozenset({"metering-api:docs", "alerts:mail-body"})


def test_every_page_is_found(places: dict[str, tuple[str, str]]) -> None:
    missing = sorted(set(NAMES) - set(places))
    assert not missing, "link these from a page, or give them an address in tests/browser/pages.py"


@pytest.mark.parametrize("name", sorted(set(NAMES) - SECRET))
def test_page(
    name: str, places: dict[str, tuple[str, str]], walk: Callable[[str], Walk], windows: dict[str, Window]
) -> None:
    person, path = places[name]
    if path in walk(person).pages:
        wrong = wrong_with(windows[person], path, is_ours=name not in NOT_OURS)
        assert not wrong, "\n".join(wrong)
    else:
        # 204: asked whether there is anything new, and there is not.
        answer = windows[person].asks.get(path)
        assert answer.status_code in (200, 204, 302), answer.text[:500]


@pytest.mark.parametrize("path", ENTRANCE)
def test_page_before_logging_in(path: str, windows: dict[str, Window]) -> None:
    assert not (wrong := wrong_with(windows[NOBODY], path)), "\n".join(wrong)


def test_invitation(demo: Demo, windows: dict[str, Window]) -> None:
    """By the link of the e-mail, which the demo keeps."""
    alice = windows["alice@northbound.test"].asks
    form = {"email": "nora@northbound.test", "role": "member", "csrfmiddlewaretoken": alice.cookies["csrftoken"]}
    answer = alice.post(f"/o/{ORGANIZATION}/settings/members/invite/", data=form, headers={"Referer": demo.url})
    assert answer.status_code == 302
    mail = re.search(r"/mailbox/[\w-]+/", alice.get("/mailbox/").text)
    assert mail
    link = re.search(r"/invitations/[\w-]+/", alice.get(f"{mail[0]}?show=text").text)
    assert link
    assert not (wrong := wrong_with(windows[NOBODY], link[0])), "\n".join(wrong)


def wrong_with(window: Window, path: str, *, is_ours: bool = True) -> list[str]:
    """Everything that is wrong with a page; in light and dark, at every width."""
    page, traffic, complaints = window.page, window.traffic, window.complaints
    page.goto("about:blank")  # what the page before still waits for is none of this one's
    traffic.forget()
    complaints.clear()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light", reduced_motion=REDUCED)
    page.goto(window.base_url + path)
    settle(page)
    found = looks_wrong(page, traffic) if is_ours else []
    return [*found, *complaints, *traffic.failed, *traffic.of_other_hosts(window.base_url)]


def looks_wrong(page: Page, traffic: Traffic) -> list[str]:
    found = [f"light: {finding}" for finding in findings(page)]
    page.emulate_media(color_scheme="dark", reduced_motion=REDUCED)
    found += [f"dark: {finding}" for finding in findings(page, "color-contrast", "link-in-text-block")]
    found += [f"{width} px: {part}" for width in WIDTHS for part in sticks_out_at(page, width)]
    if (headings := page.locator("h1").count()) != 1:
        found.append(f"{headings} h1")
    if (weight := traffic.compressed_bytes()) >= MOST_BYTES:
        found.append(f"{weight:,} bytes")
    return found

"""Pages in a real Chromium. Without one installed these tests are skipped, and the report says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.browser.every_page import WIDTHS, Traffic, sticks_out_at
from tests.browser.pages import NAMES, addresses
from tests.cast import PASSWORD
from tests.demo import OPERATOR, ORGANIZATION, Demo, directory_of_a_demo, html_at

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


# First, because xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)
            # Those that share the demo share its process; the others go one at a time.
            needs_demo = "demo" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("demo" if needs_demo else "browser"))


# Not for the session: while it lives its loop runs in this thread, where other tests want one of their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM: pages are not tested. Install one, for instance apt-get install chromium.")
    # Playwright's loop lives in this thread, which Django takes for an asynchronous context.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Visitor:
    """A browser window. Whatever a page complains about, the policy included, fails the test."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page = page
        self.base_url = base_url
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        is_ours = "Service Worker registration blocked by Playwright" not in message.text
        if message.type in ("error", "warning") and is_ours:
            self.complaints.append(f"{message.text} ({self.page.url})")

    def open(self, path: str) -> Page:
        self.page.goto(self.base_url + path)
        self.page.wait_for_load_state("networkidle")
        return self.page

    def log_in(self, email: str, then: str = "") -> None:
        """`then` is where to go on, instead of where the person lands."""
        self.open(f"/accounts/login/?next={quote(then)}" if then else "/accounts/login/")
        self.page.fill("input[name=login]", email)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("main button[type=submit]")
        # A click returns before the page it leads to has begun to load: "idle" may still be the old page's.
        self.page.wait_for_url(lambda url: "/accounts/login/" not in url)
        self.page.wait_for_load_state("networkidle")

    def is_wider_than_its_window(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))

    def too_narrow_widths(self) -> list[int]:
        """The widths of window at which the page scrolls sideways."""
        return [width for width in WIDTHS if sticks_out_at(self.page, width)]


@pytest.fixture
def visitor(chromium: Browser, live_server: LiveServer, transactional_db: None) -> Iterator[Visitor]:
    # What is kept for when there is no connection is tried in test_offline.py, and would only slow the others down.
    context = chromium.new_context(
        viewport={"width": 1440, "height": 900}, reduced_motion="reduce", service_workers="block"
    )
    visitor = Visitor(context.new_page(), live_server.url)
    yield visitor
    context.close()
    assert visitor.complaints == []


# ── The demo ──

# Who has which role in the demo; pages are looked at as the first whom they are open to.
PEOPLE = {
    "alice@northbound.test": "owner",
    OPERATOR: "operator",
    "adam@northbound.test": "admin",
    "fiona@northbound.test": "finance",
    "bob@northbound.test": "team-admin",
    "erik@northbound.test": "member",
    "vera@northbound.test": "viewer",
}
NOBODY = "nobody"


def start_of(person: str) -> str:
    """Where they land after logging in."""
    return "/operator/" if PEOPLE[person] == "operator" else f"/o/{ORGANIZATION}/overview"


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    with directory_of_a_demo() as directory, Demo(directory, "--no-traffic") as demo:
        yield demo


@pytest.fixture(scope="session")
def people(demo: Demo) -> Iterator[dict[str, httpx.Client]]:
    """Everybody of the demo, logged in, and nobody."""
    browsers = {email: demo.log_in(email) for email in PEOPLE}
    browsers[NOBODY] = httpx.Client(base_url=demo.url, timeout=30)
    yield browsers
    for browser in browsers.values():
        browser.close()


@dataclass(frozen=True)
class Walk:
    """Where links lead somebody: pages' names with an address of each, which are whole pages, what was refused."""

    reached: dict[str, str] = field(default_factory=dict)
    pages: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def walk(people: dict[str, httpx.Client]) -> Callable[[str], Walk]:
    @cache
    def walk(person: str) -> Walk:
        browser, walked = people[person], Walk()

        def hear(answer: httpx.Response) -> None:
            if answer.status_code >= 400:
                walked.refused.append(f"{answer.status_code} {answer.url}")

        def read(path: str) -> str:
            html = html_at(browser, path)
            if "</html>" in html:
                walked.pages.add(path)
            return html

        browser.event_hooks = {"response": [hear]}
        walked.reached.update(addresses(read, start_of(person)))
        browser.event_hooks = {"response": []}
        return walked

    return walk


@pytest.fixture(scope="session")
def places(walk: Callable[[str], Walk]) -> dict[str, tuple[str, str]]:
    """Every page's name, with the first of the demo's people who can reach it, and its address."""
    found: dict[str, tuple[str, str]] = {}
    for person in PEOPLE:
        found = {name: (person, path) for name, path in walk(person).reached.items()} | found
        if set(NAMES) <= set(found):
            break
    return found


class Window(Visitor):
    """A window of the demo in which somebody is logged in; `asks` is the same person without a browser."""

    def __init__(self, page: Page, base_url: str, asks: httpx.Client) -> None:
        super().__init__(page, base_url)
        self.asks = asks
        self.traffic = Traffic(page)


@pytest.fixture(scope="module")
def windows(chromium: Browser, demo: Demo, people: dict[str, httpx.Client]) -> Iterator[dict[str, Window]]:
    """A window for each of the demo's people, and one for nobody."""
    contexts = {}
    for name, browser in people.items():
        contexts[name] = chromium.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        contexts[name].add_cookies(
            [{"name": c.name, "value": c.value or "", "url": demo.url} for c in browser.cookies.jar]
        )
    yield {name: Window(context.new_page(), demo.url, people[name]) for name, context in contexts.items()}
    for context in contexts.values():
        context.close()

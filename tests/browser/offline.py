"""A phone with the application on it: a window whose service worker runs, and a network that can be taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.browser.conftest import Visitor
from tests.cast import PASSWORD

PATIENCE = 20_000
READY = """
async () => {
  const registration = await navigator.serviceWorker.ready;
  if (registration.active.state !== "activated")
    await new Promise((done) => registration.active.addEventListener("statechange", done, { once: true }));
  return !!navigator.serviceWorker.controller || new Promise((done) =>
    navigator.serviceWorker.addEventListener("controllerchange", () => done(true), { once: true }));
}
"""
KEPT = """
async () => {
  const found = [];
  for (const name of await caches.keys()) {
    if (!name.startsWith("tl-pages-")) continue;
    for (const request of await (await caches.open(name)).keys()) found.push(new URL(request.url).pathname);
  }
  return found.sort();
}
"""


class Phone(Visitor):
    """What cannot be loaded without a connection is no complaint."""

    def _heard(self, message: ConsoleMessage) -> None:
        if "net::ERR_" not in message.text and "blocked by Playwright" not in message.text:
            super()._heard(message)

    def log_in(self, email: str, then: str = "") -> None:
        """Without waiting for a quiet network: the worker may be at work behind the page."""
        self.page.goto(f"{self.base_url}/accounts/login/?next={then}")
        self.page.fill("input[name=login]", email)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("main button[type=submit]")
        self.page.wait_for_url(lambda url: "/accounts/login/" not in url)

    def ready(self) -> Page:
        """Once the worker is there and has seen a page."""
        assert self.page.evaluate(READY)
        self.page.reload()
        return self.page

    def kept(self) -> list[str]:
        """The addresses of which the worker has a copy."""
        return list(self.page.evaluate(KEPT))

    def keeps(self, *paths: str) -> bool:
        """Whether these, and no others, are what the worker comes to have; it works behind the page."""
        return self._comes_to_have(lambda kept: kept == sorted(paths))

    def keeps_also(self, *paths: str) -> bool:
        """The same, whatever else it has."""
        return self._comes_to_have(lambda kept: set(paths) <= set(kept))

    def _comes_to_have(self, is_enough: Callable[[list[str]], bool]) -> bool:
        until = time.monotonic() + PATIENCE / 1000
        while not is_enough(self.kept()):
            if time.monotonic() > until:
                return False
            self.page.wait_for_timeout(50)
        return True

    def lose_connection(self) -> None:
        self.page.context.set_offline(True)

    def find_connection(self) -> None:
        self.page.context.set_offline(False)


@contextmanager
def phone_at(chromium: Browser, url: str, service_workers: Literal["allow", "block"] = "allow") -> Iterator[Phone]:
    """Blocked, the worker is not there, and requests can be tampered with."""
    context = chromium.new_context(
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
        service_workers=service_workers,
    )
    phone = Phone(context.new_page(), url)
    phone.page.set_default_timeout(PATIENCE)
    yield phone
    context.close()
    assert not phone.complaints, phone.complaints

"""A phone with the application on it: a window whose service worker runs, and a network that can be taken away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.browser.conftest import Visitor

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
        if "net::ERR_" not in message.text:
            super()._heard(message)

    def ready(self) -> Page:
        """Once the worker is there and has seen a page."""
        assert self.page.evaluate(READY)
        self.page.reload()
        return self.page

    def kept(self) -> list[str]:
        """The addresses of which the worker has a copy."""
        return list(self.page.evaluate(KEPT))

    def lose_connection(self) -> None:
        self.page.context.set_offline(True)

    def find_connection(self) -> None:
        self.page.context.set_offline(False)


@contextmanager
def phone_at(chromium: Browser, url: str) -> Iterator[Phone]:
    context = chromium.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    phone = Phone(context.new_page(), url)
    phone.page.set_default_timeout(PATIENCE)
    yield phone
    context.close()
    assert not phone.complaints, phone.complaints

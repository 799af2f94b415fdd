"""What holds for every page: it complains of nothing, is light, asks no other host, and anybody can use it."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Request, Response

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
MOST_BYTES = 350_000
# No part of the page is still on its way.
SETTLED = "document.readyState === 'complete' && !document.querySelector('.htmx-request')"
FITS = "document.documentElement.scrollWidth <= window.innerWidth"
# A phone, a tablet, a laptop, a large screen.
WIDTHS = (360, 768, 1440, 1600)
PATIENCE_SECONDS = 10.0
_COMPRESSED = ("text/", "application/json", "application/javascript", "image/svg")
_sizes: dict[str, int] = {}


class Traffic:
    """What a page asks for, and what of that failed."""

    def __init__(self, page: Page) -> None:
        self.answers: list[Response] = []
        self.asked: list[str] = []
        self.failed: list[str] = []
        page.on("request", self._hear_request)
        page.on("requestfailed", self._hear_failure)
        page.on("response", self._hear_answer)

    def _hear_request(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.asked.append(request.url)

    def _hear_failure(self, request: Request) -> None:
        # What a page still waits for when one goes on is given up: its stream, a fragment.
        if request.failure != "net::ERR_ABORTED":
            self.failed.append(f"{request.failure} {request.url}")

    def _hear_answer(self, answer: Response) -> None:
        self.answers.append(answer)
        if answer.status >= 400:
            self.failed.append(f"{answer.status} {answer.url}")

    def forget(self) -> None:
        for heard in (self.answers, self.asked, self.failed):
            heard.clear()

    def of_other_hosts(self, base_url: str) -> list[str]:
        own = urlsplit(base_url).netloc
        return [address for address in self.asked if urlsplit(address).netloc != own]

    def compressed_bytes(self) -> int:
        """What came over the wire, behind a proxy that compresses, to somebody who has been nowhere before."""
        answers = {answer.url: answer for answer in self.answers if answer.request.resource_type != "eventsource"}
        return sum(_compressed_size(answer) for answer in answers.values() if answer.status == 200)


def _compressed_size(answer: Response) -> int:
    if "/static/" not in answer.url:
        return _gzipped(answer)
    if answer.url not in _sizes:
        _sizes[answer.url] = _gzipped(answer)
    return _sizes[answer.url]


def _gzipped(answer: Response) -> int:
    is_text = answer.headers.get("content-type", "").startswith(_COMPRESSED)
    return len(gzip.compress(answer.body(), 6) if is_text else answer.body())


def settle(page: Page) -> None:
    assert becomes(page, SETTLED), f"{page.url} waits for something"


def becomes(page: Page, condition: str, seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether a condition in JavaScript holds soon. Asked from here: in the page the policy lets nobody evaluate."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            return False
        page.wait_for_timeout(50)
    return True


def findings(page: Page, *rules: str) -> list[str]:
    """What axe finds wrong, serious or worse: the rule, and the first element that breaks it."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE)
    options: dict[str, Any] = {"resultTypes": ["violations"], "elementRef": False, "preload": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    result = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{broken['id']} ({broken['impact']}, {len(broken['nodes'])} times):"
        f" {broken['nodes'][0]['html'][:200]} {broken['nodes'][0]['failureSummary']}"
        for broken in result["violations"]
        if broken["impact"] in ("serious", "critical")
    ]


def sticks_out_at(page: Page, width: int) -> list[str]:
    """What is wider than a window of this width, as its classes; empty when the page does not scroll sideways."""
    page.set_viewport_size({"width": width, "height": 800})
    # Charts follow a new size a moment later.
    if becomes(page, FITS, seconds=2):
        return []
    found: list[str] = page.evaluate(
        """() => {
            const scrolls = (e) => e && e !== document.body
                && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
            return [...document.querySelectorAll("body *")]
                .filter((e) => e.getBoundingClientRect().right > window.innerWidth && !scrolls(e.parentElement))
                .map((e) => `${e.tagName}.${e.getAttribute("class")}`);
        }"""
    )
    return ["the page scrolls sideways", *found[:5]]

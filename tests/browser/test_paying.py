"""A month as finance lives it in the demo: what it comes to so far, an invoice paid by card, its PDF."""

from __future__ import annotations

import time

from tests.browser.conftest import Window
from tests.browser.every_page import settle
from tests.demo import ORGANIZATION

BILLING = f"/o/{ORGANIZATION}/billing/"
PATIENCE_SECONDS = 60.0


def test_from_so_far_to_a_paid_invoice_with_its_pdf(windows: dict[str, Window]) -> None:
    window = windows["fiona@northbound.test"]
    page = window.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(window.base_url + BILLING)
    page.get_by_role("link", name="Invoices", exact=True).first.click()
    page.get_by_role("link", name="what it is made of").click()
    page.wait_for_url("**/so-far/")
    assert "Scale" in page.locator("main").inner_text()

    page.goto(f"{window.base_url}{BILLING}invoices/?status=open")
    page.get_by_role("row").filter(has_text="INV-").first.get_by_role("link").first.click()
    page.wait_for_url("**/INV-*/")
    invoice = page.url
    to_pay = page.get_by_role("link", name="Pay by card")
    due = page.locator(".tl-stat").filter(has_text="To pay").locator(".tl-figure").inner_text().replace("\n", "")
    assert due.strip() not in ("", "$0.00")

    to_pay.click()
    page.wait_for_url("**/i/in_*")
    assert due.strip("$") in page.locator("main").inner_text()
    page.fill("input[name=number]", "4242 4242 4242 4242")
    page.fill("input[name=expires]", "12 / 34")
    page.fill("input[name=cvc]", "123")
    page.get_by_role("button", name="Pay").click()
    page.get_by_text("This invoice is paid").wait_for()

    # The payment is told by a webhook, which a worker reads.
    deadline = time.monotonic() + PATIENCE_SECONDS
    page.goto(invoice)
    while page.locator("h1").inner_text().split()[-1] != "Paid":
        assert time.monotonic() < deadline, "the payment did not arrive"
        page.wait_for_timeout(300)
        page.goto(invoice)
    settle(page)
    assert to_pay.count() == 0
    with page.expect_download() as started:
        page.get_by_role("link", name="PDF").click()
    assert started.value.path().read_bytes().startswith(b"%PDF-1.7")

"""The API's description as a page, under the policy it is served with."""

from __future__ import annotations

from tests.browser.conftest import Visitor


def test_it_shows_the_endpoints_without_complaint(visitor: Visitor) -> None:
    page = visitor.open("/v1/docs")
    page.get_by_text("Query usage", exact=True).click()
    page.get_by_text("Dimensions, with commas between").wait_for()
    assert page.get_by_text("Send events", exact=True).count() == 1
    page.get_by_role("button", name="Try it out").first.click()
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_text("An API key.").first.wait_for()

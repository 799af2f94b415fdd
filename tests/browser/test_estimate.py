"""The estimate as a person asks for it: a pasted text, a file, wide and narrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from accounts.models import User
from tests.browser.conftest import Visitor
from tests.metering.door import prices

__all__ = ["prices"]

PAGE = "/o/acme/estimate/"


@pytest.mark.usefixtures("prices")
def test_from_a_text_to_its_cost(visitor: Visitor, alice: User, tmp_path: Path) -> None:
    visitor.log_in(alice.email)
    page = visitor.page
    page.get_by_role("link", name="Estimate").first.click()
    page.wait_for_url(f"**{PAGE}")
    page.get_by_label("Text or chat").fill("tiktoken is great!")
    page.get_by_label("Model").fill("gpt-4o")
    page.get_by_label("Expected output tokens").fill("100")
    page.get_by_role("button", name="Estimate").click()
    page.get_by_role("heading", name="Cost of one call").wait_for()
    assert page.locator(".tl-strip .tl-figure").all_inner_texts() == ["$0.0010", "6", "100", "<$0.0001", "$0.0010"]
    assert "Exact" in page.locator(".tl-strip").inner_text()
    assert page.get_by_role("row").filter(has_text="gpt-4o").count() == 2
    # What was asked is still there, to be changed.
    assert page.get_by_label("Text or chat").input_value() == "tiktoken is great!"
    file = tmp_path / "notes.md"
    file.write_text("word " * 1_000)
    page.get_by_label("Or a file").set_input_files(file)
    page.get_by_role("button", name="Estimate").click()
    page.get_by_text("notes.md").wait_for()
    assert page.locator(".tl-strip .tl-figure").nth(1).inner_text() == "1,001"
    page.get_by_label("Or a file").set_input_files({"name": "a.pdf", "mimeType": "", "buffer": b"%PDF-1.7\n\0"})
    page.get_by_role("button", name="Estimate").click()
    page.get_by_text("This is no text file").wait_for()
    # The browser's own word for an answer of 422.
    visitor.complaints = [one for one in visitor.complaints if "422" not in one]


@pytest.mark.usefixtures("prices")
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_width_scrolls_sideways(visitor: Visitor, alice: User, width: int) -> None:
    visitor.log_in(alice.email)
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 800})
    visitor.open(PAGE)
    assert not visitor.is_wider_than_its_window()
    page.get_by_label("Text or chat").fill("tiktoken " * 400)
    page.get_by_label("Model").fill("a-model-with-a-name-that-is-longer-than-any-screen-of-a-phone-could-ever-show")
    page.get_by_role("button", name="Estimate").click()
    page.get_by_role("heading", name="Cost of one call").wait_for()
    assert not visitor.is_wider_than_its_window()

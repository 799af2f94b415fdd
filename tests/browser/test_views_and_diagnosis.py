"""Saving a view, opening and replacing it; asking for a diagnosis and reading it: in a browser."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils.timezone import now
from playwright.sync_api import expect

from accounts.models import Organization, User
from core.tenancy import organization_scope
from reports.models import Diagnosis
from reports.tasks import diagnose
from tests.browser.conftest import Visitor
from tests.metering.query.usage import make_event, write


@pytest.fixture
def usage(acme: Organization, alice: User) -> None:
    at = now() - dt.timedelta(minutes=5)
    write(acme.pk, [make_event("a", at, user=alice.email), make_event("b", at, "odd-1")])


def test_a_view_is_saved_opened_and_replaced(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/models?range=7d&model=gpt-4o")
    page = visitor.page
    page.locator("summary[aria-label='Saved views: Views']").click()
    page.get_by_role("link", name="Save this view…").click()
    page.wait_for_url("**/views/new?**")
    page.get_by_label("Name").fill("This week")
    page.get_by_label("Start here").check()
    page.get_by_role("button", name="Save view").click()
    page.wait_for_url("**/models?model=gpt-4o&range=7d&view=*")
    page.get_by_role("link", name="30 days").first.click()
    page.wait_for_url("**range=30d**")
    page.locator("summary[aria-label='Saved views: This week, changed']").click()
    page.get_by_role("link", name="Replace it by what is shown…").click()
    page.wait_for_url("**/replace?**")
    page.get_by_role("button", name="Replace view").click()
    page.wait_for_url("**/models?model=gpt-4o&range=30d&view=*")
    page.goto(f"{visitor.base_url}/o/acme/")
    page.wait_for_url("**/models?model=gpt-4o&range=30d&view=*")
    page.set_viewport_size({"width": 360, "height": 740})
    assert not visitor.is_wider_than_its_window()


def test_a_diagnosis_is_asked_and_read(visitor: Visitor, alice: User, acme: Organization, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/diagnosis/")
    page = visitor.page
    page.get_by_label("A cost is wrong").check()
    page.get_by_role("button", name="Diagnose").click()
    page.wait_for_url("**/diagnosis/*")
    expect(page.get_by_text("0 of 8 looked at")).to_be_visible()
    with organization_scope(acme.pk):
        pk = Diagnosis.objects.get().pk
    diagnose(acme.pk, pk)
    # The page asks for itself.
    expect(page.get_by_role("heading", name="Usage without a price")).to_be_visible()
    page.get_by_role("link", name="odd-1").click()
    page.wait_for_url("**/usage?range=custom**model=odd-1")
    page.set_viewport_size({"width": 360, "height": 740})
    page.go_back()
    page.wait_for_url("**/diagnosis/*")
    expect(page.get_by_role("heading", level=1, name="A cost is wrong")).to_be_visible()
    assert not visitor.is_wider_than_its_window()

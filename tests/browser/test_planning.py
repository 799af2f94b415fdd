"""From the forecast to budgets, as a person plans them: a slider by keyboard, the plan that follows, budgets set."""

from __future__ import annotations

import pytest

from accounts.models import Organization, Project, User
from tests.browser.conftest import Visitor
from tests.reports.forecasting.daily import use


@pytest.fixture
def usage(acme: Organization, website: Project) -> None:
    use(acme, 60, project="website")


def test_from_the_forecast_to_a_teams_budget(visitor: Visitor, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/forecast/")
    page = visitor.page
    page.get_by_role("link", name="Plan budgets").click()
    page.get_by_role("heading", name="Proposed budgets").wait_for()
    growth = page.get_by_label("On top of the forecast")
    growth.focus()
    growth.press("ArrowRight")
    assert page.locator("#scenario-growth-value").inner_text() == "1%"
    page.wait_for_url("**/planning/?growth=1")
    # The plan was brought in beside the slider, which keeps its place.
    page.get_by_role("heading", name="Growth").wait_for()
    assert page.evaluate("document.activeElement.id") == "scenario-growth"
    page.get_by_role("link", name="Set the budget of Search alone").click()
    page.get_by_role("button", name="Set 1 budget").click()
    page.get_by_text("Budgets: 1 added.").wait_for()
    page.wait_for_load_state("networkidle")
    assert page.get_by_role("link", name="Search").first.is_visible()

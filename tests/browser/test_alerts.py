"""From a rule that shows what it would have found to an alert that is acknowledged."""

from __future__ import annotations

import datetime as dt

from django.utils.timezone import now

from accounts.models import Organization, User
from alerts.evaluation.evaluate import evaluate
from metering.events import Usage
from tests.browser.conftest import Visitor
from tests.browser.every_page import settle
from tests.metering.query.usage import make_event, write


def test_a_rule_is_previewed_made_and_its_alert_settled(visitor: Visitor, acme: Organization, alice: User) -> None:
    at = now()
    write(
        acme.pk,
        [
            make_event("then", at - dt.timedelta(days=3), usage=Usage(input=5_000)),
            make_event("now", at - dt.timedelta(seconds=5), usage=Usage(input=5_000)),
        ],
    )
    visitor.log_in(alice.email, "/o/acme/alerts/rules/")
    page = visitor.page
    page.get_by_role("link", name="New rule").first.click()
    page.get_by_text("It would not have fired").wait_for()
    settle(page)  # what is typed before the scripts are there is asked about with the next change
    page.get_by_label("Threshold, tokens").fill("4000")
    page.get_by_text("It would have fired 2 times").wait_for()
    page.get_by_role("button", name="Add rule").click()
    page.wait_for_url("**/alerts/rules/*/")
    page.get_by_role("heading", name="Daily limit", level=1).wait_for()
    evaluate(acme, now())
    visitor.open("/o/acme/alerts/")
    page.get_by_role("link", name="Daily limit").click()
    page.get_by_role("heading", name="By model").wait_for()
    page.set_viewport_size({"width": 360, "height": 780})
    actions = page.locator(".tl-head-actions").locator("a, summary, button:visible")
    shown = {one.inner_text().strip(): box for one in actions.all() if (box := one.bounding_box())}
    assert min(shown, key=lambda name: (shown[name]["y"], shown[name]["x"])) == "Acknowledge"
    assert {"Snooze", "Resolve"} < shown.keys()
    assert all(box["x"] + box["width"] <= 360 for box in shown.values())
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("Acknowledged", exact=True).first.wait_for()

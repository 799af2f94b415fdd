"""A report as a person puts it together: chosen, previewed, saved, made as a file, had every week."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils.timezone import now

from accounts.models import Organization, User
from core.tenancy import organization_scope
from reports.custom import course
from reports.models import ReportSchedule, Result
from tests.browser.conftest import Visitor
from tests.metering.query.usage import make_event, write


@pytest.fixture
def usage(acme: Organization, alice: User) -> None:
    at = now() - dt.timedelta(seconds=30)
    write(acme.pk, [make_event(f"e{n}", at, model, user=alice.email) for n, model in enumerate(["gpt-4o", "claude"])])


def test_from_choosing_to_a_file_and_a_schedule(visitor: Visitor, acme: Organization, alice: User, usage: None) -> None:
    visitor.log_in(alice.email, "/o/acme/reports/")
    page = visitor.page
    page.get_by_role("link", name="New report").first.click()
    page.get_by_label("Range").select_option("7d")
    page.wait_for_url("**range=7d**")
    page.get_by_label("Rows by").select_option("model")
    page.get_by_role("rowheader", name="claude").wait_for()
    page.get_by_label("Errors").focus()
    page.keyboard.press("Space")
    page.get_by_role("columnheader", name="Errors").wait_for()
    # The fields were brought in anew under the one that was changed.
    assert page.evaluate("document.activeElement.id") == "metric-errors"
    page.get_by_role("link", name="Save report").click()
    page.get_by_label("Name").fill("Models of a week")
    page.get_by_role("button", name="Save report").click()
    page.get_by_text("Models of a week is saved.").wait_for()
    page.get_by_role("link", name="New schedule").click()
    page.get_by_label("How often").select_option("cron")
    page.get_by_label("Cron expression").fill("0 7 * * mon-fri")
    page.get_by_text("07:00").first.wait_for()
    page.get_by_role("button", name="Start schedule").click()
    page.get_by_text("Cron 0 7 * * MON-FRI").wait_for()
    page.get_by_role("button", name="Make file").click()
    page.get_by_text("Waiting for a worker").wait_for()
    with organization_scope(acme.pk):
        result = Result.objects.get()
        assert ReportSchedule.objects.get().report_id == result.report_id
    course.make_result(acme.pk, result.pk)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.startswith("acme-models-of-a-week-")

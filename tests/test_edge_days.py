"""Days at the calendar's ends are refused where they are read, in every way they come."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization
from billing.models import PlanVersion
from billing.plans import change_plan_terms, first_day_to_change, versions_on
from core.days import OUTSIDE
from core.tenancy import unscoped
from tests.billing.plans import subscribed

pytestmark = pytest.mark.django_db
DAYS = ["0001-01-01", "9999-12-31"]
PRICE = {"model": "gpt-4o", "how": "free", "valid_from": "2026-11-01T00:00"}


@pytest.mark.parametrize("day", DAYS)
def test_the_api_refuses_them(acme_api: Client, day: str) -> None:
    for address, param in (
        ("/v1/usage/query", "from"),
        ("/v1/usage/query", "to"),
        ("/api/usage/hourly", "date"),
        ("/v1/events", "from"),
        ("/v1/chats", "from"),
        ("/v1/files", "to"),
        ("/v1/usage/export", "from"),
        ("/v1/prices", "at"),
        ("/v1/audit", "from"),
        ("/v1/audit", "to"),
    ):
        for text in (day, f"{day}T23:59:59-12:00", f"{day}T00:00:00+14:00"):
            answer = acme_api.get(address, {param: text})
            assert answer.status_code == 422, (address, param, text)
            assert answer.json()["error"]["param"] == param, (address, param, answer.content)


@pytest.mark.parametrize("day", DAYS)
def test_the_forms_refuse_them(acme: Organization, alice_client: Client, olga_client: Client, day: str) -> None:
    subscribed(acme, "developer", now(), with_trial=True)
    operator, credit = "/operator/organizations/acme/", {"amount": "5", "note": "x", "token": str(uuid.uuid4())}
    posts: list[tuple[Client, str, dict[str, Any], str]] = [
        (olga_client, f"{operator}credits/grant/", {**credit, "last_day": day}, "last_day"),
        (olga_client, f"{operator}plan/trial/", {"ends_on": day}, "ends_on"),
        (olga_client, "/operator/plans/startup/change/", {"effective_on": day}, "effective_on"),
        (olga_client, "/operator/plans/startup/retire/", {"effective_on": day}, "effective_on"),
        (olga_client, "/operator/billing/rates/new/", {"since": day}, "since"),
        (olga_client, "/operator/prices/set/", {**PRICE, "valid_from": f"{day}T00:00"}, "valid_from"),
        (alice_client, "/o/acme/settings/keys/new/", {"expires_on": day}, "expires_on"),
        (alice_client, "/o/acme/diagnosis/", {"first_day": day}, "first_day"),
    ]
    for client, address, values, field in posts:
        page = client.post(address, values)
        assert page.status_code in (200, 422), address
        assert page.context["form"].errors[field] == [OUTSIDE], address


def test_no_plan_changes_in_a_wrong_year(olga_client: Client) -> None:
    """However it is asked for; and what holds on the day is where the next version begins."""
    with pytest.raises(Exception, match="2000 to 2100"):
        change_plan_terms("startup", {"name": "Later"}, effective_on=dt.date(9998, 12, 31), by_label="olga")
    change_plan_terms("startup", {"name": "Later"}, effective_on=dt.date(2099, 12, 31), by_label="olga")
    form = olga_client.get("/operator/plans/startup/change/").context["form"]
    assert form.initial["name"] == "Startup"
    assert form.initial["effective_on"] >= first_day_to_change(now())
    with unscoped("test"):
        assert PlanVersion.objects.filter(plan__code="startup").count() == 2
    assert versions_on(now().date())["startup"].name == "Startup"

"""A budget's own dates: those of a wrong year are refused wherever they are sent, and hold nobody's usage up."""

from __future__ import annotations

import datetime as dt
from importlib import import_module

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts.models import Organization
from billing.models import Budget
from core.ownership import as_owner
from core.tenancy import organization_scope
from metering.models import Limit

WRONG = [
    ("0001-01-01", "2027-01-01", "starts_on"),
    ("1999-12-31", "2027-01-01", "starts_on"),
    ("2026-01-01", "9999-12-31", "ends_on"),
    ("2026-01-01", "2101-01-01", "ends_on"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("starts_on", "ends_on", "param"), WRONG)
def test_a_wrong_year_is_refused(acme_api: Client, starts_on: str, ends_on: str, param: str) -> None:
    body = {
        "scope": "organization", "amount_usd": "5", "period": "custom", "starts_on": starts_on, "ends_on": ends_on,
    }  # fmt: skip
    answer = acme_api.post("/v1/budgets", body, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["message"] == "This lies outside of the years 2000 to 2100."


@pytest.mark.django_db
def test_a_wrong_year_is_an_error_of_the_form(acme: Organization, alice_client: Client) -> None:
    values = {
        "of": "organization:0", "unit": "cost", "amount": "5", "period": "custom", "at_the_limit": "warn",
        "thresholds": "", "starts_on": "0001-01-01", "ends_on": "9999-12-31",
    }  # fmt: skip
    page = alice_client.post("/o/acme/budgets/new/", values)
    assert page.status_code == 422
    assert set(page.context["form"].errors) == {"starts_on", "ends_on"}
    with organization_scope(acme.pk):
        assert not Budget.objects.exists()


@pytest.mark.django_db
def test_the_widest_dates_there_are(acme: Organization, acme_api: Client) -> None:
    body = {
        "scope": "organization", "amount_usd": "5", "period": "custom", "is_hard": True,
        "starts_on": "2000-01-01", "ends_on": "2100-12-31",
    }  # fmt: skip
    assert acme_api.post("/v1/budgets", body, content_type="application/json").status_code == 201
    for address in ("/v1/budgets", "/v1/usage/query", "/v1/usage"):
        assert acme_api.get(address).status_code == 200


@pytest.mark.django_db
def test_the_database_holds_no_wrong_year(acme: Organization) -> None:
    rows = (
        Budget(organization=acme, scope="organization", amount=1, period="custom"),
        Limit(organization=acme, source="x", kind="budget", label="x", unit="cost", amount=1, period="fixed"),
    )
    for row in rows:
        for starts_on, ends_on, _ in WRONG:
            row.starts_on, row.ends_on = dt.date.fromisoformat(starts_on), dt.date.fromisoformat(ends_on)
            with (
                organization_scope(acme.pk),
                pytest.raises(IntegrityError, match="of_known_years"),
                transaction.atomic(),
            ):
                row.save(force_insert=True)


# What the migrations make of dates that were stored before: as much of them as there is usage for.
BEFORE = [
    ("0001-01-01", "2027-01-01", ("2000-01-01", "2027-01-01", True)),
    ("2026-01-01", "9999-12-31", ("2026-01-01", "2100-12-31", True)),
    ("0001-01-01", "9999-12-31", ("2000-01-01", "2100-12-31", True)),
    ("0001-01-01", "0002-01-01", ("2000-01-01", "2000-01-02", False)),
    ("9000-01-01", "9001-01-01", ("2100-12-30", "2100-12-31", False)),
    ("2026-01-01", "2026-02-01", ("2026-01-01", "2026-02-01", True)),
]


@pytest.mark.django_db(transaction=True)
def test_budgets_of_before_are_brought_within(acme: Organization) -> None:
    ours = import_module("billing.migrations.0012_budgets_of_known_years").BRING_WITHIN
    meterings = import_module("metering.migrations.0023_limits_of_known_years").BRING_WITHIN
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_budget DROP CONSTRAINT budget_of_known_years")
        cursor.execute("ALTER TABLE metering_limit DROP CONSTRAINT limit_of_known_years")
        with organization_scope(acme.pk):
            for number, (starts_on, ends_on, _) in enumerate(BEFORE):
                days = {"starts_on": starts_on, "ends_on": ends_on, "amount": 1, "unit": "cost"}
                row = Budget.objects.create(
                    organization=acme, scope="organization", period="custom", name=str(number), **days
                )
                Limit.objects.create(
                    organization=acme,
                    source=f"budget:{row.pk}",
                    label=str(number),
                    kind="budget",
                    period="fixed",
                    **days,
                )
        cursor.execute(ours)
        cursor.execute(meterings)
        with organization_scope(acme.pk):
            budgets = list(Budget.objects.order_by("pk"))
            found = [(str(one.starts_on), str(one.ends_on), one.archived_at is None) for one in budgets]
            assert found == [after for *_, after in BEFORE]
            limits = {one.label: (str(one.starts_on), str(one.ends_on)) for one in Limit.objects.all()}
            kept = {str(number): after[:2] for number, (*_, after) in enumerate(BEFORE) if after[2]}
            assert limits == kept
        transaction.set_rollback(True)

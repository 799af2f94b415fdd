"""What the audit log says of budgets and credits: amounts with their unit, names and words for ids and objects."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import audit
from accounts.audit_log import changes_of
from accounts.models import AuditEntry, Organization, Team
from billing.budgets.reach import Reach
from billing.budgets.records import change_budget, create_budget
from core.tenancy import organization_scope
from tests.billing.plans import BY

pytestmark = pytest.mark.django_db
WHOLE = Reach.whole()
THRESHOLDS = [{"percent": 75, "name": "Warning"}, {"percent": 100, "name": "Used up"}]


def said(acme: Organization, action: str) -> dict[str, tuple[str | None, str]]:
    with organization_scope(acme.pk):
        entry = AuditEntry.objects.filter(action=action).latest("pk")
        return {name: (before, after) for name, before, after in changes_of(entry)}


def test_a_budget_in_words(acme: Organization, search: Team, alice_client: Client) -> None:
    values: dict[str, Any] = {
        "scope": "team", "ref": search.pk, "unit": "cost", "amount": 5_000_000_000, "thresholds": THRESHOLDS,
    }  # fmt: skip
    made = create_budget(acme, values, WHOLE, by=BY)
    found = said(acme, "budget.create")
    assert found["amount"] == (None, "$5.00")
    assert found["ref"] == (None, "Search")
    assert found["thresholds"] == (None, "Warning at 75%, Used up at 100%")
    change_budget(made, {"amount": 7_000_000, "unit": "tokens", "thresholds": THRESHOLDS[:1]}, WHOLE, by=BY)
    found = said(acme, "budget.change")
    assert found["amount"] == ("$5.00", "7,000,000 tokens")
    assert found["thresholds"] == ("Warning at 75%, Used up at 100%", "Warning at 75%")
    page = alice_client.get("/o/acme/settings/audit/").content.decode()
    assert "$5.00" in page
    assert "5000000000" not in page


def test_amounts_and_objects_in_words(acme: Organization) -> None:
    changes = {"low_below_nanos": (None, 20_000_000_000), "amount_usd": (None, "12.5"), "top_up_nanos": (5, None)}
    with organization_scope(acme.pk):
        entry = audit.record(BY, "credits.set_rules", acme, changes)
        entry.changes["rules"] = [None, [{"percent": 75, "name": "Warning"}]]
        assert {name: (before, after) for name, before, after in changes_of(entry)} == {
            "low below": (None, "$20.00"),
            "amount": (None, "$12.50"),
            "top up": ("$0.000000005", "none"),
            "rules": (None, "percent 75, name Warning"),
        }

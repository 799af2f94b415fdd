from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Organization
from billing.models import Invoice
from billing.subscriptions import start_subscription
from core.tenancy import organization_scope

from .selling import BY, issue

pytestmark = pytest.mark.django_db


def test_an_invoice_is_taken_back_once(acme: Organization, capsys: pytest.CaptureFixture[str]) -> None:
    start_subscription(acme, by=BY)
    number = issue(acme, "Plan").number
    call_command("credit_invoice", number, "--reason", "Wrong address")
    assert f"takes {number} back" in capsys.readouterr().out
    with organization_scope(acme.pk):
        note = Invoice.objects.get(kind="credit_note")
        assert (note.reason, note.created_by_label) == ("Wrong address", "command credit_invoice")
    with pytest.raises(CommandError, match="taken back before"):
        call_command("credit_invoice", number, "--reason", "Again")
    with pytest.raises(CommandError, match="is not taken back"):
        call_command("credit_invoice", note.number, "--reason", "Back and forth")


@pytest.mark.parametrize(("number", "reason"), [("INV-2026-9999", "Why"), ("INV-2026-9001", " "), ("x", "y" * 201)])
def test_refusals(acme: Organization, number: str, reason: str) -> None:
    with pytest.raises(CommandError):
        call_command("credit_invoice", number, "--reason", reason)

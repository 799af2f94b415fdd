from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import Actor
from billing.invoices.crediting import take_back
from billing.models import Invoice
from core.errors import ApiError
from core.tenancy import unscoped


class Command(BaseCommand):
    help = "Take an invoice back by a credit note of all of it. Only who runs the installation does: they bill."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", help="INV-2026-0001")
        parser.add_argument("--reason", required=True, help="printed on the credit note")

    def handle(self, *args: Any, **options: Any) -> None:
        reason: str = options["reason"].strip()
        if not reason or len(reason) > 200:
            raise CommandError("A reason has 1 to 200 characters.")
        with unscoped("the operator takes an invoice of any organization back"):
            invoice = Invoice.objects.select_related("organization").filter(number=options["number"]).first()
        if invoice is None:
            raise CommandError(f"There is no invoice {options['number']!r}.")
        try:
            note = take_back(invoice, reason=reason, by=Actor.of_command("credit_invoice"))
        except ApiError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"{note.number} takes {invoice.number} back.")

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import Actor
from accounts.models import Organization
from billing.invoices.closing import close_due_periods
from billing.invoices.lines import NoSellerError
from billing.models import Invoice, Subscription
from core.tenancy import unscoped


class Command(BaseCommand):
    help = "Close every billing period whose grace is over, and state its invoice. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organization", nargs="?", help="slug; without it every organization with a plan")

    def handle(self, *args: Any, **options: Any) -> None:
        with unscoped("the operator closes periods of every organization"):
            wanted = Organization.objects.filter(pk__in=Subscription.objects.values("organization"))
            if options["organization"]:
                wanted = wanted.filter(slug=options["organization"])
            organizations = list(wanted.order_by("slug"))
        if options["organization"] and not organizations:
            raise CommandError(f"There is no organization {options['organization']!r} with a plan.")
        for organization in organizations:
            try:
                closed = close_due_periods(organization, by=Actor.of_command("close_period"))
            except NoSellerError as missing:
                raise CommandError(str(missing)) from missing
            for one in closed:
                self.stdout.write(f"{organization.slug} {one.starts_on}: {_words(one.invoice)}")


def _words(invoice: Invoice | None) -> str:
    if invoice is None:
        return "nothing to bill"
    return f"{invoice.number}, {Decimal(invoice.gross).scaleb(-2)} {invoice.currency}"

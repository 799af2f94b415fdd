from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from reports.forecasting.periods import in_words
from reports.forecasting.records import MEASURES, Kept, fresh, make_all
from reports.forecasting.subjects import WHOLE


class Command(BaseCommand):
    help = "Forecast what is likely to be used, as it is done every night. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organization", nargs="?", help="slug; without it every organization")
        parser.add_argument("--json", action="store_true", help="print one JSON object with every organization's own")

    def handle(self, *, organization: str | None, json: bool, **_: Any) -> None:
        at = now()
        told: dict[str, dict[str, Any]] = {}
        for one in _organizations(organization):
            number = make_all(one, at, is_thorough=True)
            with organization_scope(one.pk):
                kept = fresh(one, [(WHOLE, measure) for measure in MEASURES], at)
            if json:
                told[one.slug] = {"forecasts": number, **{of.measure: _written(of) for of in kept.values()}}
                continue
            for of in kept.values():
                self.stdout.write(f"{one.slug}: {in_words(of)}")
        if json:
            self.stdout.write(msgspec.json.encode({"at": at, "organizations": told}).decode())


def _organizations(slug: str | None) -> list[Organization]:
    with unscoped("the operator forecasts every organization, or one by name"):
        found = Organization.objects.order_by("slug")
        organizations = list(found if slug is None else found.filter(slug=slug))
    if slug is not None and not organizations:
        raise CommandError(f"There is no organization {slug!r}.")
    return organizations


def _written(kept: Kept) -> dict[str, Any] | None:
    """Cost in nano-dollars, as everything else in whole numbers; None where there is too little history."""
    if kept.outlook is None:
        return None
    last = kept.outlook.totals[-1]
    ends_on = kept.first_day + dt.timedelta(days=len(kept.outlook.totals))
    return {
        "from": kept.first_day,
        "until_before": ends_on,
        "total": last,
        "method": kept.outlook.method,
        "measured": kept.outlook.measured,
    }

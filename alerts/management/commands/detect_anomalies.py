from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from accounts.models import Organization
from alerts.detection.finding import Finding
from alerts.detection.judging import judge
from core.tenancy import unscoped


class Command(BaseCommand):
    help = "Say what is unusual about an organization's usage, or about everybody's, now or as it was at a time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organization", nargs="?", help="slug of one organization; without it all of them")
        parser.add_argument(
            "--at", type=_instant, help="a time, such as 2026-11-21T14:00Z; what came later is left out"
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object with every finding and its parts"
        )

    def handle(self, *, organization: str | None, at: dt.datetime | None, json: bool, **_: Any) -> None:
        moment = at or now()
        found = {one.slug: judge(one, moment) for one in _organizations(organization)}
        if json:
            listed = {slug: [_written(one) for one in findings] for slug, findings in found.items()}
            self.stdout.write(msgspec.json.encode({"at": moment, "organizations": listed}).decode())
            return
        for slug, findings in found.items():
            if not findings:
                self.stdout.write(f"{slug}: nothing unusual.")
            for finding in findings:
                indent = "  also: " if finding.within else ""
                self.stdout.write(f"{slug}: {indent}{finding.text}")


def _instant(text: str) -> dt.datetime:
    at = dt.datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time carries its offset")
    return at


def _organizations(slug: str | None) -> list[Organization]:
    with unscoped("the operator looks at every organization, or at one by name"):
        found = Organization.objects.order_by("slug")
        organizations = list(found if slug is None else found.filter(slug=slug))
    if slug is not None and not organizations:
        raise CommandError(f"There is no organization {slug!r}.")
    return organizations


def _written(finding: Finding) -> dict[str, Any]:
    """Cost in nano-dollars, as everything else in whole numbers."""
    return {"identity": finding.identity, "difference": finding.difference, **msgspec.to_builtins(finding)}

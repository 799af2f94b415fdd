from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Organization
from core.figures import count
from core.tenancy import unscoped
from metering.rebuilding import organizations_with_usage, rebuild_rollups


class Command(BaseCommand):
    help = "Make the roll-ups anew from the events, in the organization's time zone. Prints what that changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", nargs="?", metavar="ORG", help="its slug; every organization without it")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        slug = options["organization"]
        with unscoped("an operator rebuilds every organization's roll-ups"):
            chosen = list(organizations_with_usage())
            if slug is not None and not Organization.objects.filter(slug=slug).exists():
                raise CommandError(f"There is no organization {slug}.")
        answers = []
        for organization_id, name in chosen:
            if slug is not None and name != slug:
                continue
            rebuilt = rebuild_rollups(organization_id)
            answers.append({"organization": name, "changed_rows": rebuilt.changed_rows, **msgspec.to_builtins(rebuilt)})
            if options["json"]:
                continue
            self.stdout.write(
                f"{name} ({rebuilt.zone}, {rebuilt.months} months): {count(rebuilt.changed_rows)} rows changed"
            )
            for table in rebuilt.tables:
                self.stdout.write(
                    f"  {table.table:<22}{count(table.rows):>12} rows: {count(table.added)} added, "
                    f"{count(table.removed)} removed, {count(table.changed)} changed"
                )
        if options["json"]:
            self.stdout.write(json.dumps(answers))

from __future__ import annotations

import datetime as dt
import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Organization
from core.figures import count, money_exact
from core.money import usd_text
from core.tenancy import unscoped
from metering.prove import MonthProof, keep_proof, months_with_usage, prove_month
from metering.rebuilding import organizations_with_usage


class Command(BaseCommand):
    help = (
        "Prove that roll-ups, queries, exports and invoices say what the events say. "
        "Lists every difference and exits with 1 when there is one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", nargs="?", metavar="ORG", help="its slug; every organization without it")
        parser.add_argument("--period", metavar="YYYY-MM", help="one month; every month without it")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        period = _month(options["period"])
        proofs: list[dict[str, Any]] = []
        differences = 0
        for organization_id, slug in _organizations(options["organization"]):
            for month in [period] if period else months_with_usage(organization_id):
                proof = prove_month(organization_id, month)
                if proof is None:
                    continue
                keep_proof(organization_id, proof, "command prove")
                differences += proof.difference_count
                if options["json"]:
                    proofs.append(as_json(slug, proof))
                else:
                    for line in _lines(slug, proof):
                        self.stdout.write(line)
        if options["json"]:
            self.stdout.write(json.dumps({"proved": differences == 0, "differences": differences, "months": proofs}))
        elif differences:
            self.stderr.write(f"{count(differences)} differences.")
        else:
            self.stdout.write("Difference 0.")
        if differences:
            sys.exit(1)


def _organizations(slug: str | None) -> list[tuple[int, str]]:
    with unscoped("an operator proves every organization's ledger"):
        if slug is None:
            return list(organizations_with_usage())
        found = Organization.objects.filter(slug=slug).values_list("id", "slug").first()
    if found is None:
        raise CommandError(f"There is no organization {slug}.")
    return [found]


def _month(text: str | None) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise CommandError(f"--period takes a month such as 2026-11, not {text}.") from None


def as_json(slug: str, proof: MonthProof) -> dict[str, Any]:
    return {
        "organization": slug,
        "period": f"{proof.month:%Y-%m}",
        "timezone": proof.timezone,
        "proved": proof.is_proved,
        "figures": msgspec.to_builtins(proof.figures) | {"cost_usd": usd_text(proof.figures.known_cost_nanos)},
        "checks": [{**msgspec.to_builtins(check), "proved": check.is_proved} for check in proof.checks],
        "duration_ms": proof.duration_ms,
    }


def _lines(slug: str, proof: MonthProof) -> Iterator[str]:
    figures = proof.figures
    yield (
        f"{slug} {proof.month:%Y-%m} ({proof.timezone}): {count(figures.requests)} events, "
        f"{count(figures.total_tokens)} tokens, {money_exact(figures.known_cost_nanos)}"
    )
    for check in proof.checks:
        verdict = "0" if check.is_proved else count(check.difference_count)
        yield f"  {check.words:<72} {count(check.compared):>12} {check.unit:<8} difference {verdict}"
        for difference in check.differences:
            expected, found = (word or "nothing" for word in (difference.expected, difference.found))
            yield f"    {difference.where}: {difference.field} is {found}, events say {expected}"
        if check.difference_count > len(check.differences):
            yield f"    … and {count(check.difference_count - len(check.differences))} more"

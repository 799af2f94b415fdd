from __future__ import annotations

import datetime as dt
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError

from accounts.audit import Actor
from accounts.models import Organization
from core.errors import ApiError
from core.figures import count, money_exact
from core.money import usd_text
from core.periods import local_day
from core.tenancy import unscoped
from metering.pricing.book import PriceBook
from metering.pricing.reprice import ModelDifference, Repricing, reprice
from metering.query.params import read_instant
from metering.store.repricing import PostgresRepricing

_COLUMNS = ("calls", "changed", "old cost", "new cost", "difference", "now priced", "now unpriced")


class Command(BaseCommand):
    help = (
        "Show what the calls of a period would cost at the prices the book holds now; with --apply, change them to it. "
        "Calls keep the price they were rated at until then."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", metavar="ORG", help="its slug")
        parser.add_argument(
            "--from", required=True, metavar="DATE", help="the first day, in the organization's time zone"
        )
        parser.add_argument(
            "--to", required=True, metavar="DATE", help="the last day, included; or a time, which is not"
        )
        parser.add_argument("--model", metavar="M", help="only calls of this model, named as in the calls")
        parser.add_argument("--apply", metavar="DIGEST", help="change the calls, if this is still what was shown")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        organization = _organization(options["organization"])
        start, end = _period(organization, options["from"], options["to"])
        digest: str | None = options["apply"]
        store = PostgresRepricing(is_alone=digest is not None, model=options["model"])
        try:
            result = reprice(
                store,
                PriceBook.load(),
                organization.pk,
                start,
                end,
                dry_run=digest is None,
                actor=Actor.of_command("reprice"),
                confirmed_digest=digest,
            )
        except ApiError as error:
            raise CommandError(error.message) from error
        if not store.calls_read:
            of_model = f" of {options['model']}" if options["model"] else ""
            raise CommandError(f"{organization.slug} has no calls{of_model} in that period.")
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(organization, result, store.calls_read, options["model"])))
            return
        for line in _lines(organization, result, store.calls_read):
            self.stdout.write(line)
        if result.changed and not result.is_done:
            self.stdout.write(f"\nNothing is changed yet. To do it, run this again with --apply {result.digest}")


def _organization(slug: str) -> Organization:
    with unscoped("a command names its organization"):
        organization: Organization | None = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise CommandError(f"There is no organization {slug}.")
    return organization


def _period(organization: Organization, first: str, last: str) -> tuple[dt.datetime, dt.datetime]:
    zone = ZoneInfo(organization.timezone)
    try:
        start, end = read_instant(first, zone, "from"), read_instant(last, zone, "to", is_end=True)
    except ApiError as error:
        raise CommandError(f"--{error.message}") from error
    if end <= start:
        raise CommandError("The period is empty: --to must not be before --from.")
    return start, end


def _lines(organization: Organization, result: Repricing, calls: int) -> Iterator[str]:
    zone = ZoneInfo(organization.timezone)
    first, last = local_day(result.start, zone), local_day(result.end - dt.timedelta(microseconds=1), zone)
    changed = "changed" if result.is_done else "would change"
    yield (
        f"{organization.slug}, {first} to {last} ({zone.key}): "
        f"{count(result.changed)} of {count(calls)} calls {changed}."
    )
    if not result.differences:
        return
    table = [["model", *_COLUMNS], *(_row(difference) for difference in result.differences)]
    if len(result.differences) > 1:
        table.append(_row(_total(result)))
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    yield ""
    for name, *figures in table:
        cells = [name.ljust(widths[0]), *(text.rjust(width) for text, width in zip(figures, widths[1:], strict=True))]
        yield "  ".join(cells)


def _row(difference: ModelDifference) -> list[str]:
    name = f"{difference.provider}/{difference.model}" if difference.provider else difference.model
    change = difference.new_cost_nanos - difference.old_cost_nanos
    return [
        name,
        count(difference.events),
        count(difference.changed),
        money_exact(difference.old_cost_nanos),
        money_exact(difference.new_cost_nanos),
        ("+" if change > 0 else "") + money_exact(change),
        count(difference.newly_priced),
        count(difference.newly_unpriced),
    ]


def _total(result: Repricing) -> ModelDifference:
    names = ("events", "changed", "newly_priced", "newly_unpriced", "old_cost_nanos", "new_cost_nanos")
    return ModelDifference(None, "total", *(sum(getattr(one, name) for one in result.differences) for name in names))


def _as_json(organization: Organization, result: Repricing, calls: int, model: str | None) -> dict[str, Any]:
    return {
        "organization": organization.slug,
        "from": result.start.isoformat(),
        "to": result.end.isoformat(),
        "model": model,
        "dry_run": not result.is_done,
        "calls": calls,
        # Without a difference there is nothing to apply.
        "digest": result.digest if result.changed else None,
        **_figures(_total(result)),
        "models": [
            {"provider": one.provider, "model": one.model, "calls": one.events, **_figures(one)}
            for one in result.differences
        ],
    }


def _figures(difference: ModelDifference) -> dict[str, Any]:
    return {
        "changed": difference.changed,
        "newly_priced": difference.newly_priced,
        "newly_unpriced": difference.newly_unpriced,
        "old_cost_usd": usd_text(difference.old_cost_nanos),
        "new_cost_usd": usd_text(difference.new_cost_nanos),
        "difference_usd": usd_text(difference.new_cost_nanos - difference.old_cost_nanos),
    }

"""What the export writes = the events: its real lines, read back as anybody would."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from decimal import Decimal

from core.money import FEMTOS_PER_NANO, nanos_from_usd
from metering.proofs.subject import CheckResult, Difference, Subject, result
from metering.query.export import make_export
from metering.query.focus.columns import SCALE
from metering.query.focus.table import FocusFile
from metering.query.metrics import METRICS, Figures
from metering.query.spec import UsageQuery
from metering.query.tables import Cell, write_csv, write_jsonl

Sums = dict[str, int]
# Sums that a file has; averages have none, and seconds are whole milliseconds.
SUMMED = tuple(name for name, metric in METRICS.items() if not name.startswith("average_") and metric.unit != "seconds")


def sums_of(figures: Figures) -> Sums:
    """Figures as exports and the API name them, money in nano-dollars."""
    return {name: getattr(figures, f"known_{name[:-4]}_nanos" if name.endswith("_usd") else name) for name in SUMMED}


def add(sums: Sums, name: str, value: object) -> None:
    if not name.endswith("_usd"):
        number = int(str(value))
    else:
        number = 0 if value is None else nanos_from_usd(Decimal(str(value)))  # nothing known adds nothing
    sums[name] = sums.get(name, 0) + number


def unequal(where: str, expected: Sums, found: Sums) -> list[Difference]:
    return [
        Difference(where, name, str(expected[name]), str(found.get(name, 0)))
        for name in expected
        if expected[name] != found.get(name, 0)
    ]


def check(subject: Subject) -> CheckResult:
    expected = sums_of(subject.recount.figures)
    query = UsageQuery(subject.organization_id, subject.start, subject.end, subject.zone)
    differences: list[Difference] = []
    published: Sums = {}
    rows = 0
    export = make_export(query)
    for row in csv.DictReader(_lines(write_csv(export))):
        rows += 1
        for name in ("prompt_tokens", "completion_tokens", "total_tokens", "requests"):
            add(published, name, row[name])
    differences += unequal("export as CSV", {name: expected[name] for name in published or ("requests",)}, published)

    everything: Sums = {}
    by_model: dict[str | None, Sums] = {}
    for line in _lines(write_jsonl(make_export(query, ("timestamp", "model", *SUMMED)))):
        rows += 1
        row = json.loads(line)
        for name in SUMMED:
            add(everything, name, row[name])
            add(by_model.setdefault(row["model"], {}), name, row[name])
    differences += unequal("export as JSON lines", expected, everything)
    names = subject.labels(subject.recount.models)
    for model, figures in subject.recount.models.items():
        differences += unequal(
            f"export of model {names.get(model)}", sums_of(figures), by_model.get(names.get(model), {})
        )
    focus = _focus(query)
    rows += focus.pop("rows")
    differences += unequal("FOCUS", {name: expected[name] for name in focus}, focus)
    return result("export", "Exports, read back line by line (CSV, JSON lines and FOCUS)", rows, "rows", differences)


def _focus(query: UsageQuery) -> Sums:
    """What the charges of a FOCUS file sum to: money billed, and tokens with and without a price."""
    file = FocusFile(query)
    place = {column.name: at for at, column in enumerate(file.columns)}
    sums = {"rows": 0, "cost_usd": 0, "total_tokens": 0}
    for page in file.pages():
        for row in page:
            sums["rows"] += 1
            sums["cost_usd"] += _whole(row[place["BilledCost"]], FEMTOS_PER_NANO)
            for quantity, unit in (("ConsumedQuantity", "ConsumedUnit"), ("x_UnpricedQuantity", "x_UnpricedUnit")):
                if row[place[unit]] == "Tokens":
                    sums["total_tokens"] += _whole(row[place[quantity]], 10**SCALE)
    return sums


def _whole(cell: Cell, of: int) -> int:
    """A cell as a whole number of `of`; a fraction of one would be a difference, and is told as one more."""
    number = cell if isinstance(cell, int) else 0
    return -(-number // of)


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    for chunk in chunks:
        yield from chunk.decode().splitlines(keepends=True)

"""The PDF of a report: what it asks in words, totals, and a table of so many rows; the others are in other files."""

from __future__ import annotations

import itertools
from typing import Any

from metering.query.metrics import METRICS
from reports.custom import shown
from reports.custom.definition import Definition, Report
from reports.custom.table import Line, lines, totals
from reports.custom.timing import clock_words

TEMPLATE = "pdf/custom_report.html"
MOST_ROWS = 2_000
# More columns than that stand on a page lying on its side.
MOST_UPRIGHT = 6


def context_of(report: Report, definition: Definition, name: str) -> dict[str, Any]:
    """Every figure as the text that is printed; the template only places them. Needs the organization's scope."""
    rows: list[Line] = list(itertools.islice(itertools.chain.from_iterable(lines(definition)), MOST_ROWS + 1))
    heads = shown.headings(definition)
    whole = totals(definition)
    named = shown.names(definition)
    return {
        "title": name,
        "organization": report.organization.name,
        "whose": report.whose,
        "period": report.period,
        "zone": report.chosen.zone.key,
        "against": shown.against(definition),
        "filters": report.filter_words(),
        "headings": heads,
        "is_wide": len(heads) > MOST_UPRIGHT,
        "names": named,
        "rows": [shown.cells(definition, line) for line in rows[:MOST_ROWS]],
        "totals": shown.figure_cells(definition, whole),
        "is_cut": len(rows) > MOST_ROWS,
        "is_limited": definition.limit is not None and len(rows) == definition.limit,
        "most": MOST_ROWS,
        "at": clock_words(report.now, report.chosen.zone),
        "unpriced_tokens": whole.now.unpriced_tokens
        if any(METRICS[metric].unit == "usd" for metric in definition.metrics)
        else 0,
    }

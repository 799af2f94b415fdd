"""The PDF of a report: what it asks in words, totals, and as many rows as are laid out in seconds.

Columns that do not fit beside each other are further tables below, each with the names of the rows again. How wide a
column is is told from its longest text, so that nothing is cut at the edge; the layout is fixed, which is also quicker.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import msgspec

from metering.query.metrics import METRICS
from reports.custom import shown
from reports.custom.definition import Definition, Report
from reports.custom.table import Line, lines, totals
from reports.custom.timing import clock_words

TEMPLATE = "pdf/custom_report.html"
# Five milliseconds and 30 kB each: 15 seconds, less than 300 MB. The names of a row count in each table.
MOST_CELLS = 3_000
BEAT_SECONDS = 1.0

# In millimeters, as static/css/print/custom_report.css has them; a digit of the font is 0.6 em wide.
_PADDING = 3.2
_WIDEST_NAME = 48.0


class Sheet(msgspec.Struct, frozen=True):
    """The room between the margins, and the width of a character."""

    width: float
    character: float


UPRIGHT = Sheet(178.0, 0.6 * 8.5 * 25.4 / 72)
WIDE = Sheet(265.0, 0.6 * 7.5 * 25.4 / 72)


def context_of(report: Report, definition: Definition, name: str) -> dict[str, Any]:
    """Every figure as the text that is printed; the template only places them. Needs the organization's scope."""
    heads, named = shown.headings(definition), shown.names(definition)
    if not named:
        heads, named = [{"label": "Usage", "is_figure": False}, *heads], 1
    # At first as if all were beside each other: what is narrow has the most rows.
    found: list[Line] = list(itertools.islice(itertools.chain.from_iterable(lines(definition)), MOST_CELLS + 1))
    whole = totals(definition)
    rows = [shown.cells(definition, line) for line in found[: MOST_CELLS // len(heads)] if shown.names(definition)]
    every = shown.figure_cells(definition, whole)
    sheet, parts = parted(heads, named, rows, every, 1 if definition.before is None else 3)
    most = MOST_CELLS // (len(heads) + named * (len(parts) - 1))
    return {
        "title": name,
        "organization": report.organization.name,
        "whose": report.whose,
        "period": report.period,
        "zone": report.chosen.zone.key,
        "against": shown.against(definition),
        "uncompared": shown.uncompared(definition),
        "filters": report.filter_words(),
        "is_wide": sheet is WIDE,
        "names": named,
        "rows": len(rows[:most]),
        "parts": [
            {
                "headings": [heads[at] for at in part.columns],
                "widths": [f"{100 * width / sum(part.widths):.2f}" for width in part.widths],
                "rows": [[row[at] for at in part.columns] for row in rows[:most]],
                "totals": [every[at - named] for at in part.columns if at >= named],
            }
            for part in parts
        ],
        "is_cut": len(found) > most,
        "is_limited": definition.limit is not None and len(found) == definition.limit,
        "at": clock_words(report.now, report.chosen.zone),
        "unpriced_tokens": whole.now.unpriced_tokens
        if any(METRICS[metric].unit == "usd" for metric in definition.metrics)
        else 0,
    }


def laid_out(context: dict[str, Any], beat: Callable[[], None]) -> bytes:
    """The file. WeasyPrint says nothing until it is done, so another thread lays out and this one calls `beat`.

    What `beat` raises is raised once the other thread is done.
    """
    # WeasyPrint takes long to load; a process that makes no PDF need not.
    from core.pdf import render_pdf

    with ThreadPoolExecutor(1) as pool:
        pages = pool.submit(render_pdf, TEMPLATE, context)
        while not wait([pages], timeout=BEAT_SECONDS).done:
            beat()
        return pages.result()


# ── What fits ──


class Part(msgspec.Struct, frozen=True):
    """The columns of one table, the names' first, and the width of each in millimeters."""

    columns: tuple[int, ...]
    widths: tuple[float, ...]


def parted(
    heads: list[dict[str, Any]],
    named: int,
    rows: list[list[dict[str, Any]]],
    every: list[dict[str, Any]],
    together: int,
) -> tuple[Sheet, list[Part]]:
    """Upright if all columns fit; else lying, in as many tables as it takes. `together` columns are of one metric."""
    if sum(_widths(UPRIGHT, heads, named, rows, every)) <= UPRIGHT.width:
        return UPRIGHT, _parts(UPRIGHT, _widths(UPRIGHT, heads, named, rows, every), named, together)
    return WIDE, _parts(WIDE, _widths(WIDE, heads, named, rows, every), named, together)


def _widths(
    sheet: Sheet,
    heads: list[dict[str, Any]],
    named: int,
    rows: list[list[dict[str, Any]]],
    every: list[dict[str, Any]],
) -> list[float]:
    """Names break anywhere, so they have what they like, up to a bound; figures what they need."""
    found = []
    for at, head in enumerate(heads):
        texts = [row[at]["text"] for row in rows]
        if at >= named:
            texts.append(every[at - named]["text"])
        # Headings break between their words.
        longest = max(map(len, itertools.chain(texts, head["label"].split())), default=1)
        found.append(longest * sheet.character + _PADDING)
    names = found[:named]
    bound = min(_WIDEST_NAME, sheet.width / 2 / named) if named else 0
    return [min(width, bound) for width in names] + found[named:]


def _parts(sheet: Sheet, widths: list[float], named: int, together: int) -> list[Part]:
    names = tuple(range(named))
    room = sheet.width - sum(widths[:named])
    groups = [tuple(range(at, at + together)) for at in range(named, len(widths), together)]
    filled: list[tuple[int, ...]] = [groups[0]]
    for group in groups[1:]:
        columns = (*filled[-1], *group)
        if sum(widths[at] for at in columns) <= room:
            filled[-1] = columns
        else:
            filled.append(group)
    return [Part((*names, *columns), tuple(widths[at] for at in (*names, *columns))) for columns in filled]

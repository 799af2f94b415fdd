"""A report's rows as people read them: on the page, where they are tried, and in the PDF."""

from __future__ import annotations

import datetime as dt
from typing import Any

from core import figures as words
from core.periods import Interval, bucket_start, next_bucket
from metering.query.metrics import METRICS
from metering.query.spec import UsageQuery
from reports.breakdown import heading, metric_text
from reports.custom import beside
from reports.custom.definition import AGAINST_WORDS, EVERY_WORDS, Definition
from reports.custom.table import Line, change_of
from reports.filters import dimension_label, period_words
from reports.series import bucket_title
from reports.stacks import name_of


def headings(definition: Definition) -> list[dict[str, Any]]:
    """`label`, and whether the column has figures."""
    texts = [dimension_label(name) for name in definition.query.group_by]
    if definition.every:
        texts.insert(0, EVERY_WORDS[definition.every].capitalize())
    figures = []
    for metric in definition.metrics:
        figures.append(heading(metric))
        if definition.before is not None:
            figures += ["Before", "Change"]
    return [{"label": label, "is_figure": False} for label in texts] + [
        {"label": label, "is_figure": True} for label in figures
    ]


def cells(definition: Definition, line: Line) -> list[dict[str, Any]]:
    """`text`, and whether it is a figure. The first ones name the row."""
    query = definition.query
    texts = [name_of(line.group[name], name) for name in query.group_by]
    if definition.every:
        texts.insert(0, _bucket_words(query, definition.every, line.start))
    return [{"text": text, "is_figure": False} for text in texts] + figure_cells(definition, line)


def _bucket_words(query: UsageQuery, every: Interval, start: dt.datetime) -> str:
    """The first and the last bucket are cut to the range."""
    end = min(next_bucket(bucket_start(start, every, query.zone), every, query.zone), query.end)
    title = bucket_title(start, end, every, query.zone)
    return title if every == "month" else f"{title} {start.astimezone(query.zone).year}"


def figure_cells(definition: Definition, line: Line) -> list[dict[str, Any]]:
    found = []
    for metric in definition.metrics:
        found.append(metric_text(metric, line.now))
        if definition.before is not None:
            found.append("—" if line.before is None else metric_text(metric, line.before))
            found.append(_change_text(metric, line))
    return [{"text": text, "is_figure": True} for text in found]


def _change_text(metric: str, line: Line) -> str:
    change = change_of(metric, line)
    if change.difference is None:
        return "—"
    unit = METRICS[metric].unit
    if unit == "usd":
        text = words.money_change(int(change.difference))
    else:
        text = f"{change.difference:+,}".replace("-", "−") if change.difference else "0"
    if change.percent is None:
        return text
    return f"{text} ({f'{change.percent:+,.1f}'.replace('-', '−')}%)"


def names(definition: Definition) -> int:
    """How many columns name a row."""
    return len(definition.query.group_by) + (1 if definition.every else 0)


def uncompared(definition: Definition) -> list[str]:
    """Sentences: why some rows have nothing to compare with."""
    before, since = definition.before, definition.since
    if before is None:
        return []
    found = []
    if since is not None and beside.is_recorded_in_part(definition, before):
        zone = definition.query.zone
        day = since.astimezone(zone)
        found.append(f"Usage is recorded since {day.day} {day:%b %Y}; what begins before that is not compared.")
    if definition.every and any(
        pair.has_other and not pair.is_alike for pair in beside.pairs(definition, definition.query)
    ):
        found.append(f"A {EVERY_WORDS[definition.every]} that is not as long as the other period's is not compared.")
    return found


def against(definition: Definition) -> str:
    """ "Compared with a year before, 1–30 Nov 2025", or nothing."""
    if definition.before is None:
        return ""
    return (
        f"Compared with {AGAINST_WORDS[definition.against]}, {period_words(definition.before, definition.query.zone)}"
    )

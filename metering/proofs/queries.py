"""What a query answers = the events, whichever table it reads. Every page and program asks queries."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from metering.dimensions import DIMENSIONS
from metering.proofs.subject import CheckResult, Subject, compare, result
from metering.query.metrics import Figures
from metering.query.run import UsageRow, run
from metering.query.spec import LARGEST_LIMIT, UsageQuery


def check(subject: Subject) -> CheckResult:
    """The month as a whole, by hour, by day and by every dimension; whatever table answers."""
    counted = subject.recount
    expected = counted.figures
    base = UsageQuery(subject.organization_id, subject.start, subject.end, subject.zone)
    differences = compare("query", expected, run(base).totals)
    differences += compare("query of raw events", expected, run(base, frozenset()).totals)
    asked = 2
    for interval in ("hour", "day"):
        answer = run(msgspec.structs.replace(base, interval=interval))
        differences += compare(f"query by {interval}", expected, sum((row.figures for row in answer.rows), Figures()))
        if interval == "day":
            days = {_day(row, subject): row.figures for row in answer.rows}
            for day in sorted(set(days) | set(counted.days)):
                differences += compare(f"query of {day}", counted.days.get(day, Figures()), days.get(day, Figures()))
        asked += 1
    for name in (*DIMENSIONS, "chat"):
        total, valued, groups = _grouped(msgspec.structs.replace(base, group_by=(name,), limit=LARGEST_LIMIT), name)
        differences += compare(f"query by {name}", expected, total)
        if name == "chat":
            differences += compare("query by chat, those with one", counted.chats, valued)
        if name == "model":
            names = subject.labels(counted.models)
            for model, figures in counted.models.items():
                where = f"query of model {names.get(model, model)}"
                differences += compare(where, figures, groups.get(model, Figures()))
        asked += 1
    return result("queries", "Queries by hour, by day and by every dimension", asked, "queries", differences)


def _day(row: UsageRow, subject: Subject) -> dt.date:
    return row.start.astimezone(subject.zone).date()


def _grouped(query: UsageQuery, name: str) -> tuple[Figures, Figures, dict[Any, Figures]]:
    """The sum of all groups, page by page; of those that have a value; and the groups of models, which are few."""
    total, valued, groups = Figures(), Figures(), {}
    while True:
        answer = run(query)
        for row in answer.rows:
            total += row.figures
            if row.group[name].ref:
                valued += row.figures
            if name == "model":
                groups[row.group[name].ref] = row.figures
        if answer.next_cursor is None:
            return total, valued, groups
        query = msgspec.structs.replace(query, cursor=answer.next_cursor)

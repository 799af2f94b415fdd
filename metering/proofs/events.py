"""Events counted in Python = events summed by the database."""

# ruff: noqa: S608  (SQL is put together from our own names of columns)
from __future__ import annotations

from django.db import connection

from core.periods import local_day
from metering.proofs.subject import CheckResult, Difference, Subject, compare, result
from metering.query.metrics import Figures
from metering.store.rollups import MEASURES

_SUMS = ", ".join(f"sum({expression})::bigint" for expression in MEASURES.values())
# GROUPING tells the sums by model from those by day.
_BY_MODEL_AND_DAY = f"""
SELECT GROUPING(e.model_id), e.model_id, (%(days)s::date[])[at], {_SUMS}
FROM metering_event e, width_bucket(e.occurred_at, %(hours)s::timestamptz[]) AS at
WHERE e.organization_id = %(organization)s AND e.occurred_at >= %(start)s AND e.occurred_at < %(end)s
    AND e.superseded_by IS NULL
GROUP BY GROUPING SETS ((e.model_id), ((%(days)s::date[])[at]))
"""


def check(subject: Subject) -> CheckResult:
    counted = subject.recount
    models, days = counted.models, counted.days
    differences: list[Difference] = []
    with connection.cursor() as cursor:
        cursor.execute(_BY_MODEL_AND_DAY, subject.places)
        rows = cursor.fetchall()
    by_model = {row[1]: Figures(*row[3:]) for row in rows if row[0] == 0}
    by_day = {row[2]: Figures(*row[3:]) for row in rows if row[0] == 1}
    names = subject.labels(set(by_model) | set(models))
    for model in sorted(set(by_model) | set(models)):
        where = f"model {names.get(model, model)}"
        differences += compare(where, models.get(model, Figures()), by_model.get(model, Figures()))
    for day in sorted(set(by_day) | set(days)):
        differences += compare(f"day {day}", days.get(day, Figures()), by_day.get(day, Figures()))
    outside = [day for day in days if not subject.month <= day < local_day(subject.end, subject.zone)]
    differences += [Difference(f"day {day}", "month", f"{subject.month:%Y-%m}", f"{day:%Y-%m}") for day in outside]
    return result(
        "events",
        "Events counted one by one equal the database's sums",
        counted.figures.requests,
        "events",
        differences,
    )

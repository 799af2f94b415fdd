"""A month that is to be proved, and what a check says about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection

from core.periods import buckets, local_day, month_span
from metering.proofs.recount import Recount, recount
from metering.query.metrics import MEASURE_FIELDS, Figures

# Differences that are listed; all are counted.
MOST_LISTED = 50


class Difference(msgspec.Struct, frozen=True):
    """One place where two figures differ. `expected` follows from the events; None is "not there"."""

    where: str
    field: str
    expected: str | None
    found: str | None


class CheckResult(msgspec.Struct, frozen=True):
    """`compared` says how many things were looked at, in `unit`s."""

    name: str
    words: str
    compared: int
    unit: str
    difference_count: int = 0
    differences: tuple[Difference, ...] = ()
    # Why there was nothing to compare.
    note: str = ""

    @property
    def is_proved(self) -> bool:
        return self.difference_count == 0


class Subject:
    """One organization's month, in the zone its roll-ups are kept in; counted once for every check."""

    def __init__(self, organization_id: int, month: dt.date, zone: ZoneInfo) -> None:
        self.organization_id = organization_id
        self.month = month
        self.zone = zone
        self.start, self.end = month_span(month, zone)
        self.recount: Recount = recount(organization_id, self.start, self.end, zone)

    @property
    def places(self) -> dict[str, Any]:
        """Where events of this month belong, as parameters of the checks' SQL."""
        hours = [hour for hour, _ in buckets(self.start, self.end, "hour", self.zone)]
        return {
            "organization": self.organization_id,
            "start": self.start,
            "end": self.end,
            "month": self.month,
            "next_month": local_day(self.end, self.zone),
            "hours": hours,
            "days": [local_day(hour, self.zone) for hour in hours],
        }

    def labels(self, ids: Iterable[int]) -> dict[int, str]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, text FROM metering_label WHERE organization_id = %s AND id = ANY (%s)",
                [self.organization_id, list(ids)],
            )
            return dict(cursor.fetchall())


def compare(where: str, expected: Figures, found: Figures) -> list[Difference]:
    """Every measure that differs."""
    return [
        Difference(where, name, str(getattr(expected, name)), str(getattr(found, name)))
        for name in MEASURE_FIELDS
        if getattr(expected, name) != getattr(found, name)
    ]


def result(
    name: str, words: str, compared: int, unit: str, differences: list[Difference], note: str = ""
) -> CheckResult:
    return CheckResult(name, words, compared, unit, len(differences), tuple(differences[:MOST_LISTED]), note)

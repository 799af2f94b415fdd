"""Prove that every table and every answer says what the events say: difference 0, or each difference by name.

All figures of a month are read from one snapshot of the database, so traffic meanwhile disturbs nothing.
docs/algorithms/integrity.md says what is compared with what, and what that shows.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection, transaction
from django.utils.module_loading import import_string
from django.utils.timezone import now

from core.periods import local_day, month_start
from core.tenancy import organization_scope
from metering.models import Ledger, Proof
from metering.proofs import CHECKS
from metering.proofs.subject import CheckResult, Subject
from metering.query.metrics import Figures

# Hours are short enough: one that a month begins in counts for both.
_HOURS = """
SELECT date_trunc('hour', occurred_at) FROM metering_event WHERE organization_id = %(id)s GROUP BY 1
UNION SELECT date_trunc('hour', occurred_at) FROM metering_event_key WHERE organization_id = %(id)s GROUP BY 1
UNION SELECT date_trunc('hour', hour) FROM metering_usage_hour WHERE organization_id = %(id)s GROUP BY 1
"""
_DAYS = """
SELECT day FROM metering_usage_day WHERE organization_id = %(id)s GROUP BY 1
UNION SELECT month FROM metering_usage_chat WHERE organization_id = %(id)s GROUP BY 1
UNION SELECT month FROM metering_usage_file WHERE organization_id = %(id)s GROUP BY 1
UNION SELECT day FROM metering_usage_latency WHERE organization_id = %(id)s GROUP BY 1
"""
_CUBE_MONTHS = """
SELECT date_trunc('month', day)::date FROM metering_usage_day WHERE organization_id = %(id)s AND kind = 0
GROUP BY 1 ORDER BY 1
"""
_LAST_MINUTES = dt.timedelta(minutes=59)


class MonthProof(msgspec.Struct, frozen=True):
    """What was found about one month of one organization."""

    month: dt.date
    timezone: str
    figures: Figures
    checks: tuple[CheckResult, ...]
    duration_ms: int

    @property
    def is_proved(self) -> bool:
        return all(check.is_proved for check in self.checks)

    @property
    def difference_count(self) -> int:
        return sum(check.difference_count for check in self.checks)


def months_with_usage(organization_id: int) -> list[dt.date]:
    """Every month that an event, a key or a roll-up speaks of, oldest first."""
    with organization_scope(organization_id), connection.cursor() as cursor:
        zone = _ledger_zone(organization_id)
        if zone is None:
            return []
        cursor.execute(_HOURS, {"id": organization_id})
        days = {local_day(at, zone) for (hour,) in cursor for at in (hour, hour + _LAST_MINUTES)}
        cursor.execute(_DAYS, {"id": organization_id})
        days |= {day for (day,) in cursor}
    return sorted({month_start(day) for day in days})


def months_of_rollups(organization_id: int) -> list[dt.date]:
    """Months with a day of usage, as the day cube has them: quick enough for a page."""
    with organization_scope(organization_id), connection.cursor() as cursor:
        cursor.execute(_CUBE_MONTHS, {"id": organization_id})
        return [month for (month,) in cursor]


def prove_month(organization_id: int, month: dt.date) -> MonthProof | None:
    """Compare everything there is about a month; None for an organization without a ledger."""
    began = time.monotonic()
    with _snapshot(), organization_scope(organization_id):
        zone = _ledger_zone(organization_id)
        if zone is None:
            return None
        subject = Subject(organization_id, month_start(month), zone)
        checks = tuple(import_string(path)(subject) for path in CHECKS.values())
    duration_ms = round((time.monotonic() - began) * 1000)
    return MonthProof(subject.month, zone.key, subject.recount.figures, checks, duration_ms)


def keep_proof(organization_id: int, proof: MonthProof, by: str) -> Proof:
    """Put a proof in the place of the month's last one."""
    with organization_scope(organization_id):
        kept: Proof
        kept, _ = Proof.objects.update_or_create(
            organization_id=organization_id,
            month=proof.month,
            defaults={
                "proved_at": now(),
                "requested_at": None,
                "duration_ms": proof.duration_ms,
                "is_proved": proof.is_proved,
                "events": proof.figures.requests,
                "result": msgspec.to_builtins(proof),
                "proved_by_label": by[:254],
            },
        )
    return kept


def proof_of(kept: Proof) -> MonthProof | None:
    """What a kept proof found; None while its first one is under way."""
    return msgspec.convert(kept.result, MonthProof) if kept.result else None


@contextmanager
def _snapshot() -> Iterator[None]:
    """One transaction that sees one moment. Inside another one (a test's) its moment is that one's."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _ledger_zone(organization_id: int) -> ZoneInfo | None:
    zone = Ledger.objects.filter(organization_id=organization_id).values_list("timezone", flat=True).first()
    return ZoneInfo(zone) if zone else None

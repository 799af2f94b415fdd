"""The checks of each symptom, and a diagnosis carried through, one check after the other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec
import structlog
from django.db import DatabaseError
from django.utils.timezone import now

from core.errors import ApiError
from core.tenancy import organization_scope
from metering.query.run import LedgerMovedError
from reports.diagnosis import costs, missing, totals
from reports.diagnosis.finding import Finding, Subject
from reports.models import Diagnosis, Symptom

logger = structlog.get_logger(__name__)

# One that stands still for so long has lost its worker.
PATIENCE = dt.timedelta(minutes=10)
KEPT = dt.timedelta(days=90)


class Check(msgspec.Struct, frozen=True):
    """`is_everybodys` is left out of a diagnosis of one's own usage: it looks at the whole organization."""

    function: Callable[[Subject], Finding]
    is_everybodys: bool = False


CHECKS: dict[Symptom, tuple[Check, ...]] = {
    Symptom.MISSING: (
        Check(missing.chosen_usage),
        Check(missing.quiet_keys),
        Check(missing.quiet_integrations),
        Check(missing.refused),
        Check(missing.ended_keys),
        Check(missing.imports, is_everybodys=True),
        Check(missing.waiting_calls, is_everybodys=True),
        Check(missing.other_times),
        Check(missing.estimated),
    ),
    Symptom.COST: (
        Check(costs.unpriced),
        Check(costs.free),
        Check(costs.estimated),
        Check(costs.price_changes),
        Check(costs.own_prices),
        Check(costs.receipts, is_everybodys=True),
        Check(costs.corrected),
        Check(costs.conflicts, is_everybodys=True),
    ),
    Symptom.TOTALS: (
        Check(totals.roll_ups, is_everybodys=True),
        Check(totals.without_team),
        Check(totals.several_teams),
        Check(totals.other_team_now),
        Check(totals.moves, is_everybodys=True),
        Check(totals.zone),
        Check(totals.later_changes),
    ),
}


def checks_of(diagnosis: Diagnosis) -> tuple[Check, ...]:
    each = CHECKS[Symptom(diagnosis.symptom)]
    return tuple(check for check in each if not (diagnosis.is_own and check.is_everybodys))


def findings_of(diagnosis: Diagnosis) -> list[Finding]:
    return msgspec.convert(diagnosis.findings, list[Finding])


def diagnose(organization_id: int, diagnosis_id: int) -> None:
    """Run the checks that are not done yet, each in a transaction of its own, so that progress shows."""
    while _check_next(organization_id, diagnosis_id):
        pass


def _check_next(organization_id: int, diagnosis_id: int) -> bool:
    """False when there is none left."""
    with organization_scope(organization_id):
        diagnosis = Diagnosis.objects.select_related("organization").filter(pk=diagnosis_id).first()
        if diagnosis is None or diagnosis.finished_at is not None:
            return False
        done, checks = len(diagnosis.findings), checks_of(diagnosis)
        subject = _subject(diagnosis)
    if done < len(checks):
        finding = _finding(organization_id, checks[done], subject)
        diagnosis.findings = [*diagnosis.findings, msgspec.to_builtins(finding)]
    diagnosis.advanced_at = now()
    if len(diagnosis.findings) == len(checks):
        diagnosis.finished_at = diagnosis.advanced_at
    with organization_scope(organization_id):
        Diagnosis.objects.filter(pk=diagnosis_id, finished_at=None).update(
            findings=diagnosis.findings, advanced_at=diagnosis.advanced_at, finished_at=diagnosis.finished_at
        )
    return diagnosis.finished_at is None


def _finding(organization_id: int, check: Check, subject: Subject) -> Finding:
    try:
        with organization_scope(organization_id):
            return check.function(subject)
    except (ApiError, DatabaseError, LedgerMovedError) as error:
        logger.exception("diagnosis_check_failed", check=check.function.__name__, organization_id=organization_id)
        name = check.function.__name__
        title = name.replace("_", " ").capitalize()
        said = error.message if isinstance(error, ApiError) else "The store did not answer in time."
        return Finding(name, title, "failed", "This could not be looked at.", said, "Diagnose again in a while.")


def _subject(diagnosis: Diagnosis) -> Subject:
    filters = {name: tuple(values) for name, values in diagnosis.filters.items()}
    return Subject(diagnosis.organization, diagnosis.starts_at, diagnosis.ends_at, filters, now())

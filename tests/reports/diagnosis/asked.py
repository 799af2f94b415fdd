"""Diagnoses asked and carried through in a test."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils.timezone import now

from accounts.models import Membership, Organization
from core.tenancy import organization_scope
from reports.diagnosis.finding import Finding
from reports.diagnosis.run import diagnose, findings_of
from reports.models import Diagnosis, Symptom


def asked(acme: Organization, symptom: Symptom, *, is_own: bool = False, days: int = 7, **filters: Any) -> Diagnosis:
    """The last days, up to tomorrow's beginning or so; asked by anybody."""
    at = now()
    with organization_scope(acme.pk):
        asker = Membership.objects.order_by("pk")[0]
        diagnosis: Diagnosis = Diagnosis.objects.create(
            organization=acme,
            asked_by=asker,
            is_own=is_own,
            symptom=symptom,
            starts_at=at - dt.timedelta(days=days),
            ends_at=at + dt.timedelta(hours=1),
            filters=filters,
        )
    return diagnosis


def found(acme: Organization, symptom: Symptom, **fields: Any) -> dict[str, Finding]:
    """What each check says, by its name."""
    diagnosis = asked(acme, symptom, **fields)
    diagnose(acme.pk, diagnosis.pk)
    with organization_scope(acme.pk):
        diagnosis.refresh_from_db()
    assert diagnosis.finished_at is not None
    return {finding.check: finding for finding in findings_of(diagnosis)}


def states(findings: dict[str, Finding]) -> dict[str, str]:
    """Those that are not fine."""
    return {name: finding.state for name, finding in findings.items() if finding.state != "fine"}

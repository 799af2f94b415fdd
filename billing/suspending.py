"""Calls suspended by hand: the operator's word, with a reason, until they take it back.

A row of metering's makes the gateway and admissions refuse (403 organization_suspended). What is reported to the ledger
goes on being recorded, and everything can be read.
"""

from __future__ import annotations

import datetime as dt

from django.db import IntegrityError, transaction
from django.utils.text import Truncator
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from billing.models import Suspension
from core.errors import ApiError
from core.periods import local_day
from core.tenancy import organization_scope
from metering.models import Limit, LimitKind, LimitPeriod, LimitUnit

SOURCE = "operator"
_MOST_LABEL = 120
_DAY = dt.timedelta(days=1)


def present_suspension(organization: Organization) -> Suspension | None:
    """Needs the organization's scope."""
    found: Suspension | None = Suspension.objects.filter(organization=organization, ended_at=None).first()
    return found


def suspend_calls(organization: Organization, reason: str, *, by: Actor, at: dt.datetime | None = None) -> Suspension:
    """From now on no call is let in. Raises ApiError 409 where calls are suspended already."""
    at = at or now()
    with organization_scope(organization.pk):
        try:
            with transaction.atomic():
                row: Suspension = Suspension.objects.create(
                    organization=organization, reason=reason, begun_at=at, begun_by_label=by.label[:254]
                )
        except IntegrityError as error:
            raise ApiError(409, "suspended", "Calls of this organization are suspended already.") from error
        audit.record(by, "suspension.begin", row, {"reason": (None, reason)}, label=organization.name)
        push_operators_word(organization)
    return row


def let_calls_in(organization: Organization, *, by: Actor, at: dt.datetime | None = None) -> None:
    """The suspension ends. Raises ApiError 409 where there is none."""
    with organization_scope(organization.pk):
        row = Suspension.objects.select_for_update().filter(organization=organization, ended_at=None).first()
        if row is None:
            raise ApiError(409, "not_suspended", "Calls of this organization are not suspended.")
        row.ended_at, row.ended_by_label = at or now(), by.label[:254]
        row.save(update_fields=["ended_at", "ended_by_label"])
        audit.record(by, "suspension.end", row, {"reason": (row.reason, None)}, label=organization.name)
        push_operators_word(organization)


def push_operators_word(organization: Organization) -> None:
    """Make metering's row what holds. Needs the organization's scope; writes only what differs."""
    row = present_suspension(organization)
    present = Limit.objects.filter(source=SOURCE).first()
    if row is None:
        if present is not None:
            present.delete()
        return
    label = Truncator(f"Calls are suspended by the operator: {row.reason.rstrip('.')}").chars(_MOST_LABEL)
    if present is None:
        Limit.objects.create(
            organization=organization,
            source=SOURCE,
            kind=LimitKind.SUSPENDED,
            label=label,
            unit=LimitUnit.TOKENS,
            amount=0,
            period=LimitPeriod.FIXED,
            # It holds in whatever zone the organization moves to.
            starts_on=local_day(row.begun_at, organization.zone) - _DAY,
        )
    elif present.label != label:
        Limit.objects.filter(pk=present.pk).update(label=label)

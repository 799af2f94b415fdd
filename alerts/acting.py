"""What people and programs do about an alert: take note of it, put it off, end it."""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import PermissionDenied
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from alerts.evaluation import keeping
from alerts.evaluation.telling import tell
from alerts.models import ActKind, Alert, AlertRule, AlertState, Resolution
from alerts.rules.reach import Reach
from core.errors import ApiError
from core.periods import local_day
from core.tenancy import organization_scope

MORNING = dt.time(9)
LONGEST_SNOOZE = dt.timedelta(days=30)


def find(alert_id: int, reach: Reach) -> Alert:
    """Raises ApiError 404 for one that is not there, or not to be seen. Needs the organization's scope."""
    alert: Alert | None = Alert.objects.select_related("rule").filter(pk=alert_id).first()
    if alert is None or not reach.may_see(alert):
        raise ApiError(404, "not_found", "There is no such alert.")
    return alert


def acknowledge(alert: Alert, reach: Reach, *, by: Actor, at: dt.datetime | None = None) -> Alert:
    """Somebody sees to it: it is not told again, and is over when it is. Raises as `snooze`."""
    at = at or now()
    with organization_scope(alert.organization_id):
        found = _open_one(alert, reach)
        if found.state != AlertState.ACKNOWLEDGED:
            found.state, found.snoozed_until = AlertState.ACKNOWLEDGED, None
            keeping.note(found, ActKind.ACKNOWLEDGED, at, by.label)
            audit.record(by, "alert.acknowledge", found, label=found.label)
            found.save(update_fields=["state", "snoozed_until"])
    return found


def snooze(alert: Alert, until: dt.datetime, reach: Reach, *, by: Actor, at: dt.datetime | None = None) -> Alert:
    """Quiet until then; told again if it still goes on. Raises ApiError 409 for one that is over, 422 for a time that
    is none, PermissionDenied beyond one's reach."""
    at = at or now()
    if not at < until <= at + LONGEST_SNOOZE:
        raise ApiError(422, "invalid_parameter", "Snooze until a time within the next 30 days.", param="until")
    with organization_scope(alert.organization_id):
        found = _open_one(alert, reach)
        found.state, found.snoozed_until = AlertState.SNOOZED, until
        keeping.note(found, ActKind.SNOOZED, at, by.label, f"until {until.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC")
        audit.record(by, "alert.snooze", found, {"snoozed_until": (None, until)}, label=found.label)
        found.save(update_fields=["state", "snoozed_until"])
        AlertRule.objects.filter(pk=found.rule_id, due_at__gt=until).update(due_at=until)
    return found


def resolve(alert: Alert, reach: Reach, *, by: Actor, at: dt.datetime | None = None) -> Alert:
    """It is over for its window, and for what follows at once. Raises as `snooze`."""
    at = at or now()
    with organization_scope(alert.organization_id):
        found = _open_one(alert, reach)
        keeping.resolve(found, Resolution.BY_HAND, at, by.label)
        audit.record(by, "alert.resolve", found, label=found.label)
        tell(Organization.objects.get(pk=found.organization_id), found.rule, found, "resolved", at)
        found.save()
    return found


def tomorrow_morning(organization: Organization, at: dt.datetime) -> dt.datetime:
    day = local_day(at, organization.zone) + dt.timedelta(days=1)
    return dt.datetime.combine(day, MORNING, organization.zone).astimezone(dt.UTC)


def _open_one(alert: Alert, reach: Reach) -> Alert:
    """As it is now, with its rule locked, so that nobody judges meanwhile."""
    if not reach.may_set(alert):
        raise PermissionDenied("You may see this alert, not settle it.")
    AlertRule.objects.select_for_update(no_key=True).get(pk=alert.rule_id)
    found = find(alert.pk, reach)
    if found.state == AlertState.RESOLVED:
        raise ApiError(409, "alert_is_over", "This alert is over.")
    return found

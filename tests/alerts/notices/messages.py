"""What waits to be sent, and whom it waits for."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils.timezone import now

from accounts.models import Membership, Organization, User
from alerts.models import Dispatch
from alerts.notices.hours import set_timing
from core.tenancy import organization_scope
from tests.cast import membership_of

HOUR = dt.timedelta(hours=1)


def waiting(acme: Organization) -> list[Dispatch]:
    with organization_scope(acme.pk):
        return list(Dispatch.objects.filter(sent_at=None, given_up_at=None).order_by("pk"))


def rows(acme: Organization) -> list[Dispatch]:
    with organization_scope(acme.pk):
        return list(Dispatch.objects.order_by("pk"))


def move(acme: Organization, by: dt.timedelta) -> None:
    """As if so much time had passed for what waits."""
    with organization_scope(acme.pk):
        for row in Dispatch.objects.filter(sent_at=None, given_up_at=None):
            Dispatch.objects.filter(pk=row.pk).update(due_at=row.due_at - by)


def has_timing(user: User, acme: Organization, **values: Any) -> Membership:
    member = membership_of(user, acme)
    with organization_scope(acme.pk):
        set_timing(member, values)
    return member


def quiet_now(user: User, acme: Organization) -> Membership:
    """From an hour ago to an hour from now."""
    clock = now().astimezone(acme.zone).replace(second=0, microsecond=0)
    return has_timing(user, acme, quiet_from=(clock - HOUR).time(), quiet_until=(clock + HOUR).time())


# ── What a message says ──

"""When a member wants to be told, kept; and what is on its way moved with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from accounts.models import Membership
from alerts.models import Dispatch, Rhythm, Timing
from alerts.notices.timing import digest_due_at, due_at


def timing_of(member: Membership) -> Timing:
    """Theirs, or what holds without one. Needs the organization's scope, as everything here."""
    found: Timing | None = Timing.objects.filter(member=member).first()
    return found or Timing(organization_id=member.organization_id, member=member)


def set_timing(member: Membership, values: Mapping[str, Any]) -> None:
    """Keep it. E-mail that waits for the next digest follows: into another one, out by itself, or not at all."""
    organization = member.organization
    with transaction.atomic():
        Timing.objects.update_or_create(member=member, defaults={**values, "organization_id": organization.pk})
        timing = Timing.objects.select_for_update().get(member=member)
        waiting = Dispatch.objects.filter(member=member, is_in_digest=True, sent_at=None, given_up_at=None)
        at = now()
        if timing.rhythm == Rhythm.EACH:
            waiting.update(is_in_digest=False, due_at=due_at(timing, organization, at))
        elif timing.rhythm == Rhythm.URGENT:
            waiting.update(given_up_at=at, problem="Digests were turned off.")
        else:
            waiting.update(due_at=digest_due_at(timing, organization, at))

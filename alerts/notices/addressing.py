"""A fact → notices in inboxes, and rows of what is to be sent by e-mail and push."""

from __future__ import annotations

from collections import defaultdict

from django.utils.timezone import now

from accounts.models import Organization
from alerts.letters import letter_of
from alerts.models import Dispatch, Notice, PushDevice, Rhythm, Timing, ToldFact, Way
from alerts.notices.audience import Told, audience, is_for_people
from alerts.notices.inbox import announce
from alerts.notices.sending import hasten
from alerts.notices.timing import digest_due_at, due_at


def address(fact: ToldFact) -> None:
    """Called once for each fact, in its organization's scope (alerts/channels)."""
    if not is_for_people(fact):
        return
    organization = Organization.objects.get(pk=fact.organization_id)
    told = audience(fact)
    if not told:
        return
    is_urgent = letter_of(fact, organization).is_urgent
    _fill_inboxes(fact, told)
    timings = {row.member_id: row for row in Timing.objects.filter(member__in=[one.member for one in told])}
    rows = _emails(fact, organization, told, timings, is_urgent=is_urgent)
    rows += _pushes(fact, organization, told, timings, is_urgent=is_urgent)
    hasten(Dispatch.objects.bulk_create(rows))


def _fill_inboxes(fact: ToldFact, told: list[Told]) -> None:
    members = [one.member for one in told if Way.INBOX in one.ways]
    Notice.objects.bulk_create(
        Notice(organization_id=fact.organization_id, fact=fact, member=member, kind=fact.kind) for member in members
    )
    announce(fact.organization_id, [member.user_id for member in members])


def _emails(
    fact: ToldFact, organization: Organization, told: list[Told], timings: dict[int, Timing], *, is_urgent: bool
) -> list[Dispatch]:
    at, rows = now(), []
    for one in told:
        timing = timings.get(one.member.pk)
        rhythm = Rhythm.EACH if timing is None or is_urgent else Rhythm(timing.rhythm)
        if Way.EMAIL not in one.ways or rhythm == Rhythm.URGENT:
            continue
        row = Dispatch(organization=organization, fact=fact, channel="email", member=one.member, due_at=at)
        if timing is not None and rhythm in (Rhythm.DAILY, Rhythm.WEEKLY):
            row.is_in_digest, row.due_at = True, digest_due_at(timing, organization, at)
        elif not is_urgent:
            row.due_at = due_at(timing, organization, at)
        rows.append(row)
    return rows


def _pushes(
    fact: ToldFact, organization: Organization, told: list[Told], timings: dict[int, Timing], *, is_urgent: bool
) -> list[Dispatch]:
    at = now()
    members = [one.member for one in told if Way.PUSH in one.ways]
    devices: dict[int, list[PushDevice]] = defaultdict(list)
    for device in PushDevice.objects.filter(user_id__in=[member.user_id for member in members]).order_by("pk"):
        devices[device.user_id].append(device)
    return [
        Dispatch(
            organization=organization,
            fact=fact,
            channel="push",
            member=member,
            device=device,
            due_at=at if is_urgent else due_at(timings.get(member.pk), organization, at),
        )
        for member in members
        for device in devices[member.user_id]
    ]

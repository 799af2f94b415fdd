"""What members said about kinds and ways of being told; where they said nothing, their role decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from django.db import transaction

from accounts.models import Membership, Role
from accounts.permissions import Right, administered_team_ids, may
from alerts.catalogue import KINDS, Kind
from alerts.models import Preference, Way

# Which right it takes to hear of what is the whole organization's. What is one's own or one's team's takes none.
SEEN_WITH: dict[str, Right] = {
    "usage.threshold": Right.SEE_USAGE,
    "usage.anomaly": Right.SEE_USAGE,
    "usage.daily_summary": Right.SEE_USAGE,
    "usage.weekly_summary": Right.SEE_USAGE,
    "rate_limit.frequent": Right.SEE_USAGE,
    "budget.threshold": Right.SEE_USAGE,
    "credits.low": Right.SEE_MONEY,
    "invoice.finalized": Right.SEE_MONEY,
    "invoice.paid": Right.SEE_MONEY,
    "payment.failed": Right.SEE_MONEY,
    "payment.recovered": Right.SEE_MONEY,
    "payment.disputed": Right.SEE_MONEY,
    "calls.suspended": Right.SEE_MONEY,
    "report.ready": Right.SEE_USAGE,
    "report.failed": Right.SEE_USAGE,
    "key.created": Right.MANAGE_KEYS,
    "member.joined": Right.SEE_MEMBERS,
    "webhook.disabled": Right.MANAGE_INTEGRATIONS,
}

Choice = tuple[str, Way]


class KindChoices(msgspec.Struct, frozen=True):
    """One kind as a member chooses about it. `default` is what they are told of unless they say otherwise: everything,
    what is about their teams, what is about themselves, or nothing. `on` has each way as it holds, `own` those they
    decided on."""

    kind: Kind
    default: Literal["all", "teams", "self", "none"]
    on: Mapping[Way, bool]
    own: frozenset[Way]


def may_see(role: Role | str, kind: str) -> bool:
    """Whether a role hears of what is the whole organization's."""
    return may(role, SEEN_WITH[kind])


def choices_of(member: Membership) -> list[KindChoices]:
    """Every kind this member can be told of. Needs the organization's scope."""
    said = {
        (row.kind, Way(row.way)): row.is_on
        for row in Preference.objects.filter(member=member).only("kind", "way", "is_on")
    }
    leads = bool(administered_team_ids(member))
    found = []
    for kind in KINDS.values():
        if not (may_see(member.role, kind.name) or kind.tells_team_admins):
            continue
        default = _default(member.role, kind, leads=leads)
        found.append(
            KindChoices(
                kind,
                default,
                {way: said.get((kind.name, way), default != "none") for way in Way},
                frozenset(way for way in Way if (kind.name, way) in said),
            )
        )
    return found


def _default(role: str, kind: Kind, *, leads: bool) -> Literal["all", "teams", "self", "none"]:
    if role in kind.roles:
        return "all"
    if kind.tells_team_admins and leads:
        return "teams"
    return "self" if kind.tells_team_admins and not may_see(role, kind.name) else "none"


def choose(member: Membership, chosen: Mapping[Choice, bool]) -> int:
    """Keep what differs from what holds already. Returns how many. Needs the organization's scope."""
    before = {(one.kind.name, way): is_on for one in choices_of(member) for way, is_on in one.on.items()}
    changed = {choice: is_on for choice, is_on in chosen.items() if choice in before and before[choice] != is_on}
    with transaction.atomic():
        for (kind, way), is_on in changed.items():
            Preference.objects.update_or_create(
                member=member,
                kind=kind,
                way=way,
                defaults={"organization_id": member.organization_id, "is_on": is_on},
            )
    return len(changed)


def forget_choices(member: Membership) -> None:
    """Back to what the role decides."""
    Preference.objects.filter(member=member).delete()


def said_about(kind: str) -> dict[tuple[int, str], bool]:
    """What members of the organization said about a kind, by member and way."""
    rows: Iterable[tuple[int, str, bool]] = Preference.objects.filter(kind=kind).values_list(
        "member_id", "way", "is_on"
    )
    return {(member, way): is_on for member, way, is_on in rows}


def is_turned_off(member_id: int, kind: str, way: Way) -> bool:
    """Whether somebody said no, in these words, to what is on its way to them."""
    return Preference.objects.filter(member_id=member_id, kind=kind, way=way, is_on=False).exists()

"""A fact → the members who are told of it, and how: roles, the team's admins, those named, and what each chose."""

from __future__ import annotations

import msgspec
from django.db.models import Q

from accounts.models import Membership, Project, TeamMembership
from alerts.catalogue import KINDS
from alerts.models import ToldFact, Way
from alerts.notices.preferences import may_see, said_about


class Told(msgspec.Struct, frozen=True):
    member: Membership
    ways: frozenset[Way]


def audience(fact: ToldFact) -> list[Told]:
    """Never strangers, people who have left or cannot log in, or people who may not see what it is about.

    The organization's facts go to the roles of their kind, a team's to its admins too, what is about a member to that
    member, and every fact to those it names. Members may want less, or more of what they may see; of what is for those
    it names there is no more to want. Needs the organization's scope.
    """
    kind = KINDS[fact.kind]
    said = said_about(fact.kind)
    admins = _admins(fact) if kind.tells_team_admins else frozenset()
    themselves = fact.ref if kind.tells_team_admins and fact.scope == "member" else None
    willing = {member for (member, _), is_on in said.items() if is_on}
    candidates = (
        Membership.objects.filter(ended_at=None, user__is_active=True)
        .filter(Q(role__in=kind.roles) | Q(user_id__in=fact.people) | Q(pk__in={*admins, *willing, themselves}))
        .select_related("user")
        .order_by("pk")
    )
    found = []
    only_named = is_for_those_named(fact)
    for member in candidates:
        sees_all, is_named = may_see(member.role, fact.kind), member.pk in admins or member.user_id in fact.people
        # Who sees everybody's is told of their own as of others'.
        default = is_named or member.role in kind.roles or (member.pk == themselves and not sees_all)
        if not (default or sees_all or member.pk == themselves) or (only_named and not is_named):
            continue
        ways = frozenset(way for way in Way if said.get((member.pk, way), default))
        if ways:
            found.append(Told(member, ways))
    return found


def is_for_people(fact: ToldFact) -> bool:
    """Of thresholds that a budget reached at once, people hear the highest; programs hear each."""
    return bool(fact.data.get("is_highest", True))


def is_for_those_named(fact: ToldFact) -> bool:
    """Whether it is told to the people it names, and its team's admins, and to nobody else."""
    return KINDS[fact.kind].names_its_readers and (bool(fact.people) or fact.scope != "organization")


def team_ids_of(scope: str, ref: int) -> frozenset[int]:
    """The teams something is about: a team itself, a project's, those of a member."""
    if scope == "team":
        return frozenset([ref])
    if scope == "project":
        teams = Project.objects.filter(pk=ref).exclude(team=None).values_list("team_id", flat=True)
        return frozenset(teams)
    if scope == "member":
        return frozenset(TeamMembership.objects.filter(membership_id=ref).values_list("team_id", flat=True))
    return frozenset()


def _admins(fact: ToldFact) -> frozenset[int]:
    """Members who administer a team it is about."""
    teams = team_ids_of(fact.scope, fact.ref)
    places = TeamMembership.objects.filter(team_id__in=teams, is_admin=True) if teams else TeamMembership.objects.none()
    return frozenset(places.values_list("membership_id", flat=True))

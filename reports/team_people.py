"""Who is in which team."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Count

from accounts.models import Team, TeamMembership


def people_of(team: Team) -> dict[int, str]:
    """Who is in a team now, by name."""
    places = TeamMembership.objects.filter(team=team, membership__ended_at=None)
    named = places.values_list("membership_id", "membership__user__name", "membership__user__email")
    return {pk: name or email for pk, name, email in named}


def people_of_teams() -> dict[int, int]:
    """How many are in each team now."""
    places = TeamMembership.objects.filter(membership__ended_at=None).values_list("team_id")
    return dict(places.annotate(Count("membership_id")))


def teams_of_members(member_ids: Iterable[int]) -> dict[int, list[str]]:
    """The names of each member's teams, the oldest place first: usage without a team's project counts there."""
    places = TeamMembership.objects.filter(membership_id__in=list(member_ids)).order_by("created_at", "pk")
    found: dict[int, list[str]] = defaultdict(list)
    for member_id, name in places.values_list("membership_id", "team__name"):
        found[member_id].append(name)
    return found

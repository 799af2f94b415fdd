"""Who may see and set which budgets."""

from __future__ import annotations

from typing import Self

import msgspec

from accounts.models import Membership, Project, TeamMembership
from accounts.permissions import Right, administered_team_ids, may
from billing.models import Budget, BudgetScope

Subject = tuple[str, int]


class Reach(msgspec.Struct, frozen=True):
    """`sees_all` and `sets_all` are of the whole organization; `sets` and `sees` name the others one by one."""

    sees_all: bool
    sets_all: bool
    sees: frozenset[Subject] = frozenset()
    sets: frozenset[Subject] = frozenset()
    # Whose usage has pages for them: their own, and that of teams they administer.
    explores: frozenset[Subject] = frozenset()

    @classmethod
    def whole(cls) -> Self:
        """Of a key that may administer, or a command."""
        return cls(sees_all=True, sets_all=True)

    @classmethod
    def of(cls, membership: Membership) -> Self:
        """Of a member. What is set for them is theirs to see; what is for teams they administer, and for the teams'
        projects and people, theirs to set. Needs the organization's scope."""
        sees_all, sets_all = may(membership.role, Right.SEE_USAGE), may(membership.role, Right.MANAGE_BUDGETS)
        if sets_all:
            return cls(sees_all=sees_all, sets_all=True)
        teams = administered_team_ids(membership)
        people = TeamMembership.objects.filter(team_id__in=teams).values_list("membership_id", flat=True)
        projects = Project.objects.filter(team_id__in=teams).values_list("pk", flat=True)
        sets = frozenset(
            [
                *((BudgetScope.TEAM.value, team) for team in teams),
                *((BudgetScope.MEMBER.value, person) for person in people),
                *((BudgetScope.PROJECT.value, project) for project in projects),
            ]
        )
        own = (BudgetScope.MEMBER.value, membership.pk)
        # Nobody sets a budget for themselves only because they lead a team.
        explores = frozenset({own, *((BudgetScope.TEAM.value, team) for team in teams)})
        return cls(sees_all=sees_all, sets_all=False, sees=sets | {own}, sets=sets - {own}, explores=explores)

    def may_see(self, budget: Budget) -> bool:
        return self.sees_all or (budget.scope, budget.ref) in self.sees

    def may_set(self, scope: str, ref: int) -> bool:
        return self.sets_all or (scope, ref) in self.sets

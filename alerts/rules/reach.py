"""Who may see and set which rules, and see and settle which alerts."""

from __future__ import annotations

from typing import Self

import msgspec
from django.db.models import Q, QuerySet

from accounts.models import Membership
from accounts.permissions import Right, may
from alerts.conditions import all_conditions, condition
from alerts.models import Alert, AlertRule
from billing.budgets.reach import Reach as BudgetReach
from billing.budgets.reach import Subject


class Reach(msgspec.Struct, frozen=True):
    """`sees_all` and `sets_all` are of the whole organization, `sets_money` of rules about money; `sees` and `sets`
    name whose rules one sees and sets besides."""

    sees_all: bool
    sees_money: bool
    sets_all: bool
    sets_money: bool
    sees: frozenset[Subject] = frozenset()
    sets: frozenset[Subject] = frozenset()

    @classmethod
    def whole(cls) -> Self:
        """Of a key that may administer, or a command."""
        return cls(sees_all=True, sees_money=True, sets_all=True, sets_money=True)

    @classmethod
    def of(cls, membership: Membership) -> Self:
        """Of a member: who is told of a team because they administer it may set its rules, its projects' and its
        people's. Needs the organization's scope."""
        role = membership.role
        beyond = BudgetReach.of(membership)
        return cls(
            sees_all=may(role, Right.SEE_USAGE),
            sees_money=may(role, Right.SEE_MONEY),
            sets_all=may(role, Right.MANAGE_ALERTS),
            sets_money=may(role, Right.MANAGE_BUDGETS),
            sees=beyond.sees,
            sets=beyond.sets,
        )

    @property
    def sets_some(self) -> bool:
        return self.sets_all or self.sets_money or bool(self.sets)

    def may_see(self, one: AlertRule | Alert) -> bool:
        if one.condition in _OF_MONEY and not (self.sees_money or (one.scope, one.ref) in self.sets):
            return False
        return self.sees_all or (one.scope, one.ref) in self.sees

    def may_set(self, one: AlertRule | Alert) -> bool:
        if self.sets_all or (one.scope, one.ref) in self.sets:
            return True
        return self.sets_money and condition(one.condition).is_about_money

    def seen(self, rows: QuerySet[Alert]) -> QuerySet[Alert]:
        """The same as `may_see`, of many."""
        if self.sees_all:
            return rows if self.sees_money else rows.exclude(condition__in=_OF_MONEY)
        own = Q(pk__in=[])
        for scope, refs in _by_scope(self.sees).items():
            own |= Q(scope=scope, ref__in=refs)
        if self.sees_money:
            return rows.filter(own)
        set_by_them = Q(pk__in=[])
        for scope, refs in _by_scope(self.sets).items():
            set_by_them |= Q(scope=scope, ref__in=refs)
        return rows.filter(own & (~Q(condition__in=_OF_MONEY) | set_by_them))


def _by_scope(subjects: frozenset[Subject]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for scope, ref in sorted(subjects):
        found.setdefault(scope, []).append(ref)
    return found


# What credits there are is said to those alone who see money; a cost is on every page of usage.
_OF_MONEY = frozenset(one.name for one in all_conditions() if one.kind == "credits.low")

"""Who may see which kinds of advice, and settle it."""

from __future__ import annotations

from typing import Self

import msgspec

from accounts.keys import KeyGrant
from accounts.models import Role, Scope
from accounts.permissions import Right, may
from reports.advice import KINDS, kind_of

# Who decides what is meant to be spent decides about advice.
ACTS = Right.MANAGE_BUDGETS
# What a key needs for what people see by these rights; for any other it has to administer.
_SCOPES = {Right.SEE_USAGE: Scope.USAGE_READ, Right.SEE_MONEY: Scope.BILLING_READ}


class Reach(msgspec.Struct, frozen=True):
    """`kinds` in the order of lists."""

    kinds: tuple[str, ...]
    acts: bool

    @classmethod
    def of(cls, role: Role | str) -> Self:
        return cls(tuple(name for name in KINDS if may(role, kind_of(name).needs)), may(role, ACTS))

    @classmethod
    def of_key(cls, grant: KeyGrant) -> Self:
        needed = {name: _SCOPES.get(kind_of(name).needs, Scope.ADMIN) for name in KINDS}
        return cls(tuple(name for name in KINDS if grant.allows(needed[name])), grant.allows(Scope.ADMIN))

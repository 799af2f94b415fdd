"""Who may do what: one table of roles for people, scopes for keys.

A right covers the whole organization. What a member sees beyond their own usage comes from the teams they
administer (`administered_team_ids`), not from this table.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http.response import HttpResponseBase
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import Membership, Role, Scope, TeamMembership
from accounts.requests import OrganizationRequest
from core.errors import ApiError

if TYPE_CHECKING:
    # REST framework's views import this module by its settings, so it cannot import them.
    from rest_framework.views import APIView

    from accounts.keys import KeyGrant


class Right(enum.StrEnum):
    SEE_OWN_USAGE = "see_own_usage"
    SEE_USAGE = "see_usage"
    SEE_MONEY = "see_money"
    SEE_KEYS = "see_keys"
    SEE_MEMBERS = "see_members"
    SEE_AUDIT = "see_audit"
    IMPORT_USAGE = "import_usage"
    # Write down a call of one's own that nothing else reports.
    NOTE_USAGE = "note_usage"
    # Keys that act for oneself; everybody's keys are MANAGE_KEYS.
    MANAGE_OWN_KEYS = "manage_own_keys"
    MANAGE_KEYS = "manage_keys"
    MANAGE_MEMBERS = "manage_members"
    MANAGE_TEAMS = "manage_teams"
    MANAGE_PRICES = "manage_prices"
    MANAGE_BUDGETS = "manage_budgets"
    MANAGE_ALERTS = "manage_alerts"
    MANAGE_REPORTS = "manage_reports"
    MANAGE_INTEGRATIONS = "manage_integrations"
    # Name, time zone and billing address.
    MANAGE_ORGANIZATION = "manage_organization"
    MANAGE_PAYMENT = "manage_payment"
    MANAGE_PLAN = "manage_plan"
    MANAGE_OWNERS = "manage_owners"


_VIEWER = frozenset({Right.SEE_OWN_USAGE, Right.SEE_USAGE})
_MEMBER = frozenset({Right.SEE_OWN_USAGE, Right.NOTE_USAGE, Right.SEE_KEYS, Right.MANAGE_OWN_KEYS})
_FINANCE = _VIEWER | {
    Right.NOTE_USAGE,
    Right.SEE_MONEY,
    Right.SEE_KEYS,
    Right.SEE_MEMBERS,
    Right.MANAGE_BUDGETS,
    Right.MANAGE_REPORTS,
    Right.MANAGE_PAYMENT,
}
_OWNER = frozenset(Right)
_ADMIN = _OWNER - {Right.MANAGE_OWNERS, Right.MANAGE_PLAN}

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.OWNER: _OWNER,
    Role.ADMIN: _ADMIN,
    Role.FINANCE: frozenset(_FINANCE),
    Role.MEMBER: _MEMBER,
    Role.VIEWER: _VIEWER,
}


def may(role: Role | str, right: Right) -> bool:
    return right in RIGHTS[Role(role)]


def administered_team_ids(membership: Membership) -> frozenset[int]:
    """The teams whose usage and budgets this member looks after."""
    places = TeamMembership.objects.filter(membership=membership, is_admin=True)
    return frozenset(places.values_list("team_id", flat=True))


# ── Pages ──

_View = TypeVar("_View", bound=Callable[..., HttpResponseBase])


def require(*rights: Right) -> Callable[[_View], _View]:
    """A page for roles with at least one of these rights; the others get 403."""
    if not rights:
        raise ImproperlyConfigured("name the right that opens this page")

    def decorate(view: _View) -> _View:
        @functools.wraps(view)
        def guarded(request: OrganizationRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not any(may(request.role, right) for right in rights):
                raise PermissionDenied(f"Your role here, {request.role.label.lower()}, does not open this page.")
            return view(request, *args, **kwargs)

        return cast("_View", guarded)

    return decorate


# ── Programs ──


class HasScope(BasePermission):
    """The key has the scope the view names for this method. A view that names none is a mistake, not an open door."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        needed = needed_scope(view, request.method or "GET")
        if needed is None or request.method == "OPTIONS":
            return True
        if request.auth is None:
            raise ApiError(401, "missing_api_key", "Send an API key as `Authorization: Bearer tl_…`.")
        grant: KeyGrant = request.auth  # type: ignore[assignment]
        if not grant.allows(needed):
            raise PermissionDenied(f"This key lacks the scope {needed.value}.")
        return True


def needed_scope(view: APIView, method: str) -> Scope | None:
    """`required_scopes` of a view is one scope, or one per method; None opens it to everybody."""
    declared: Any = getattr(view, "required_scopes", Ellipsis)
    if declared is Ellipsis:
        raise ImproperlyConfigured(f"{type(view).__name__} does not say which scope it needs")
    if isinstance(declared, dict):
        declared = declared.get("GET" if method in ("HEAD", "OPTIONS") else method, Scope.ADMIN)
    return declared if declared is None else Scope(declared)

"""An operator in a member's place: for one organization, half an hour at most, written down at both ends.

The session stays the operator's own and names a row; every request asks the row anew, so that what ends it (its time,
the button, the membership's or the operator's end) ends it at once. docs/decisions/0009-impersonation.md has the rules.
"""

from __future__ import annotations

import datetime as dt

from django.http import HttpRequest
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Impersonation, Membership, Role, User
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped

LASTS = dt.timedelta(minutes=30)
SESSION_KEY = "impersonation"
LONGEST_REASON = 200


def begin(request: HttpRequest, operator: User, membership: Membership, *, reason: str, is_full: bool) -> Impersonation:
    """Put the session into the member's place. Raises ApiError 403 where nobody may be, 422 without a reason."""
    reason = reason.strip()
    if not operator.is_operator or not operator.is_active:
        raise ApiError(403, "forbidden", "Only operators take a member's place.")
    if not reason or len(reason) > LONGEST_REASON:
        raise ApiError(422, "invalid_parameter", f"Say why, in at most {LONGEST_REASON} characters.", param="reason")
    _refuse(membership)
    with organization_scope(membership.organization_id):
        row: Impersonation = Impersonation.objects.create(
            organization_id=membership.organization_id,
            membership=membership,
            operator=operator,
            is_full=is_full,
            reason=reason,
            expires_at=now() + LASTS,
        )
        audit.record(
            Actor.of_person(operator, request),
            "impersonation.begin",
            membership,
            {"mode": (None, mode_of(row)), "reason": (None, reason), "until": (None, row.expires_at)},
            label=membership.user.email,
        )
    # Whoever knew the session before its powers changed does not know it now.
    request.session.cycle_key()
    request.session[SESSION_KEY] = row.pk
    return row


def current(request: HttpRequest, operator: User) -> Impersonation | None:
    """The running impersonation of this session; one that may not go on is ended on the way, and is None."""
    row_id = request.session.get(SESSION_KEY)
    if row_id is None:
        return None
    row = _find(row_id)
    if row is None or row.operator_id != operator.pk or row.ended_at is not None:
        _forget(request)
        return None
    ended = _why_over(row, operator)
    if ended:
        finish(row, Actor.of_person(operator, request), ended)
        _forget(request)
        return None
    return row


def end(request: HttpRequest, row: Impersonation, operator: User) -> None:
    """By the button, or with the log-out."""
    finish(row, Actor.of_person(operator, request), "ended")
    _forget(request)


def finish(row: Impersonation, actor: Actor, how: str) -> None:
    """Write the end down, once, whoever comes first."""
    with organization_scope(row.organization_id):
        if Impersonation.objects.filter(pk=row.pk, ended_at=None).update(ended_at=now()):
            audit.record(
                actor, "impersonation.end", row.membership, {"how": (None, how)}, label=row.membership.user.email
            )


def end_expired() -> int:
    """Those whose browser never came back. Returns how many."""
    with unscoped("impersonations of all organizations run out"):
        rows = list(
            Impersonation.objects.filter(ended_at=None, expires_at__lte=now()).select_related("membership__user")
        )
    for row in rows:
        finish(row, Actor.of_command("impersonation"), "expired")
    return len(rows)


def actor_of(row: Impersonation, operator: User, request: HttpRequest, role: Role) -> Actor:
    """The operator did it, in the member's place and with the member's role."""
    label = f"{operator.email} on behalf of {row.membership.user.email}"
    return Actor(label, role, operator, audit.ip_address_of(request), getattr(request, "id", ""))


def mode_of(row: Impersonation) -> str:
    return "full" if row.is_full else "read-only"


def _refuse(membership: Membership) -> None:
    if membership.ended_at is not None:
        raise ApiError(403, "forbidden", "This person has left the organization.")
    if not membership.user.is_active:
        raise ApiError(403, "forbidden", "This person's account is closed.")
    if membership.user.is_operator:
        raise ApiError(403, "forbidden", "Nobody takes another operator's place.")


def _why_over(row: Impersonation, operator: User) -> str:
    """Why it cannot go on; "" while it can."""
    if row.expires_at <= now():
        return "expired"
    if not operator.is_operator or not operator.is_active:
        return "no operator any more"
    try:
        _refuse(row.membership)
    except ApiError as refusal:
        return refusal.message
    return ""


def _find(row_id: object) -> Impersonation | None:
    if not isinstance(row_id, int):
        return None
    with unscoped("a session's impersonation is read before an organization is entered"):
        return (
            Impersonation.objects.select_related("membership__user", "membership__organization", "operator")
            .filter(pk=row_id)
            .first()
        )


def _forget(request: HttpRequest) -> None:
    request.session.pop(SESSION_KEY, None)
    request.session.cycle_key()

"""Files that take a while: asked for, made by a task that may be killed at any moment, kept, and deleted in time.

    result = ask(organization, Wanted(maker="report", …), membership)     # queued; a task makes it (course.py)
    queued → running → ready → expired
                     ↘ failed, canceled

Who makes them is named in `reports.custom.MAKERS`; the pages of one are result_pages.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from accounts.models import Membership, Organization, Team
from accounts.permissions import Right, administered_team_ids, may
from core.errors import ApiError
from metering.tasks import enqueue
from reports.models import Result, ResultState
from reports.models.custom import KEPT, UNDER_WAY

if TYPE_CHECKING:
    from reports.custom.course import Making

# Under way at once, of one person: a report in each of its formats.
MOST_AT_ONCE = 6


class Maker(Protocol):
    """What a module of MAKERS has."""

    def make(self, making: Making) -> Iterable[bytes]:
        """The file's bytes, piece by piece. Raises UnmakeableError, or ApiError, with words for people.

        Nothing is open when it begins: it opens the organization's scope itself, for as short as it can. It says with
        `making.advance` how far it is, at least every minute.
        """

    def ended(self, result: Result) -> None:
        """Called once, in the transaction in which it became ready or failed, in the organization's scope."""


class UnmakeableError(Exception):
    """It cannot be made, now or later. The message is for people."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made, and whose usage it will hold (reports.models.Result). `asked` is for the maker, JSON."""

    maker: str
    title: str
    file_name: str
    content_type: str
    asked: dict[str, Any]
    of_member: Membership | None = None
    of_team: Team | None = None
    rights: tuple[Right, ...] = ()
    rows_estimated: int | None = None


def ask(organization: Organization, wanted: Wanted, by: Membership | None) -> Result:
    """Have it made; `by` is None where nobody asks by hand. Needs the organization's scope. Raises as `enlist`."""
    return enlist(queued(organization, wanted, by))


def enlist(result: Result, *, is_bounded: bool = True) -> Result:
    """Save the row and hand it to a worker once the transaction is committed.

    Raises ApiError 429 when its asker has too much under way, unless it is not `is_bounded`: by no hand.
    """
    if is_bounded and result.asked_by_id is not None:
        _check_room(result.asked_by_id)
    result.save(force_insert=True)
    hand_over(result)
    return result


def _check_room(membership_id: int) -> None:
    # Who asks twice at once is counted one after the other.
    Membership.objects.select_for_update(no_key=True).get(pk=membership_id)
    if Result.objects.filter(asked_by=membership_id, state__in=UNDER_WAY).count() >= MOST_AT_ONCE:
        raise ApiError(
            429, "too_many", f"{MOST_AT_ONCE} files of yours are being made. Wait for one of them, or cancel it."
        )


def queued(organization: Organization, wanted: Wanted, by: Membership | None) -> Result:
    """The row of it, not saved yet."""
    return Result(
        organization=organization,
        asked_by=by,
        maker=wanted.maker,
        title=wanted.title[:200],
        file_name=wanted.file_name[:200],
        content_type=wanted.content_type,
        asked=wanted.asked,
        of_member=wanted.of_member,
        of_team=wanted.of_team,
        rights=[right.value for right in wanted.rights],
        rows_estimated=wanted.rows_estimated,
        expires_at=now() + KEPT,
    )


def hand_over(result: Result) -> None:
    from reports.custom.tasks import make_result

    enqueue(make_result, result.organization_id, result.pk)


# ── Who may ──


def visible_results(membership: Membership) -> QuerySet[Result]:
    """What this person asked for or may see, the newest first. Needs the organization's scope.

    What was asked for is theirs only while they may still see the usage in it.
    """
    role = membership.role
    own = Q(of_member=membership)
    whose = own | Q(of_team__in=administered_team_ids(membership), of_member=None)
    if may(role, Right.SEE_USAGE):
        whose = Q()
    lacking = [right for right in Right if not may(role, right)]
    rows = Result.objects.select_related("asked_by__user", "of_member__user", "of_team").filter(whose)
    for right in lacking:
        rows = rows.exclude(rights__contains=[right.value])
    return rows.order_by("-created_at", "-pk")


def may_cancel(result: Result, membership: Membership) -> bool:
    """One's own, and everybody's for who looks after reports."""
    is_theirs = result.asked_by_id == membership.pk or may(membership.role, Right.MANAGE_REPORTS)
    return result.is_under_way and is_theirs


def cancel(result: Result, membership: Membership) -> bool:
    """Whether it was still under way. Its worker notices within seconds. Raises ApiError 403. Needs the scope."""
    if not (result.asked_by_id == membership.pk or may(membership.role, Right.MANAGE_REPORTS)):
        raise ApiError(403, "forbidden", "Who asked for it cancels it.")
    canceled = Result.objects.filter(pk=result.pk, state__in=UNDER_WAY).update(
        state=ResultState.CANCELED, finished_at=now()
    )
    return bool(canceled)

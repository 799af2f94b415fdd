"""Saved views as rows: who finds which, who may change them, and what the audit log hears of it.

A view holds the parameters of an address, nothing else, so whoever opens it sees what is theirs. Private ones are
nobody else's business; of shared ones every change is in the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Membership
from accounts.permissions import Right, may
from core.errors import ApiError
from reports.models import CustomReport, SavedView, StartPage

# The parameter of an address that names the view it came from.
PARAMETER = "view"
# Where a list went on, and the view itself, are no part of a view.
_NOT_KEPT = (PARAMETER, "cursor")
MOST_OWN = 100
MOST_SHARED = 200
LONGEST = 4_000

Parameters = dict[str, list[str]]


def kept_of(parameters: Mapping[str, Sequence[str]]) -> Parameters:
    """What a view keeps of an address. Raises ApiError 422 when that is too much."""
    kept = {name: list(values) for name, values in sorted(parameters.items()) if name not in _NOT_KEPT}
    if len(urlencode(kept, doseq=True)) > LONGEST:
        raise ApiError(422, "invalid_parameter", f"A view has at most {LONGEST:,} characters of filters.")
    return kept


def visible_views(membership: Membership) -> QuerySet[SavedView]:
    """Their own and what is shared, by name. Needs the organization's scope."""
    rows = SavedView.objects.select_related("owner__user").filter(Q(owner=membership) | Q(is_shared=True))
    return rows.order_by(Lower("name"), "pk")


def may_share(membership: Membership) -> bool:
    return may(membership.role, Right.MANAGE_REPORTS)


def may_change(kept: SavedView | CustomReport, membership: Membership) -> bool:
    """One's own; what is shared is looked after by everybody who may share."""
    if kept.is_shared:
        return may_share(membership)
    return kept.owner_id == membership.pk


def url_of(view: SavedView, slug: str) -> str:
    return f"{path_of(view.page, slug)}?{urlencode({**view.parameters, PARAMETER: [view.pk]}, doseq=True)}"


def path_of(page: str, slug: str) -> str:
    return reverse(f"reports:{page}", args=[slug])


# ── Changes ──


def create_view(
    membership: Membership, name: str, page: str, parameters: Parameters, *, is_shared: bool, by: Actor
) -> SavedView:
    """Raises ApiError 403 for who may not share, 409 for a second view of a name, and 422 for one too many."""
    _check_sharing(membership, is_shared)
    _check_room(membership, is_shared)
    view = SavedView(
        organization_id=membership.organization_id,
        owner=membership,
        name=_name(name),
        page=page,
        parameters=parameters,
        is_shared=is_shared,
    )
    _save(view)
    if is_shared:
        audit.record(by, "view.share", view, audit.creation(view, ("name", "page", "parameters")))
    return view


def change_view(view: SavedView, membership: Membership, *, name: str, is_shared: bool, by: Actor) -> None:
    """Another name, shared or not. Raises as `create_view`."""
    _check_change(view, membership)
    if is_shared and not view.is_shared:
        _check_sharing(membership, is_shared)
        _check_room(membership, is_shared)
    was_shared, before = view.is_shared, view.name
    view.name, view.is_shared = _name(name), is_shared
    _save(view)
    if was_shared and not is_shared:
        # Somebody else's start page must not show what is private now.
        StartPage.objects.filter(view=view).exclude(membership=view.owner).delete()
    if was_shared or is_shared:
        changes = {"name": (before, view.name), "is_shared": (was_shared, is_shared)}
        audit.record(by, "view.update", view, {key: pair for key, pair in changes.items() if pair[0] != pair[1]})


def replace_view(view: SavedView, membership: Membership, page: str, parameters: Parameters, *, by: Actor) -> None:
    """Another page or other filters, under the same name."""
    _check_change(view, membership)
    changes = {"page": (view.page, page), "parameters": (str(view.parameters), str(parameters))}
    view.page, view.parameters = page, parameters
    _save(view)
    if view.is_shared:
        audit.record(by, "view.update", view, {key: pair for key, pair in changes.items() if pair[0] != pair[1]})


def delete_view(view: SavedView, membership: Membership, *, by: Actor) -> None:
    """Who landed on it lands on the overview."""
    _check_change(view, membership)
    if view.is_shared:
        audit.record(by, "view.delete", view, {"name": (view.name, None)})
    view.delete()


def _save(view: SavedView) -> None:
    view.changed_at = now()
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError as error:
        raise ApiError(409, "name_taken", f"There is a view called {view.name} already.", param="name") from error


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name:
        raise ApiError(422, "invalid_parameter", "A view needs a name.", param="name")
    return name


def _check_sharing(membership: Membership, is_shared: bool) -> None:
    if is_shared and not may_share(membership):
        raise ApiError(403, "forbidden", "Your role does not share views.", param="is_shared")


def _check_change(view: SavedView, membership: Membership) -> None:
    if not may_change(view, membership):
        raise ApiError(403, "forbidden", "Your role does not change shared views.")


def _check_room(membership: Membership, is_shared: bool) -> None:
    if is_shared and SavedView.objects.filter(is_shared=True).count() >= MOST_SHARED:
        raise ApiError(422, "too_many", f"An organization shares at most {MOST_SHARED} views.")
    if SavedView.objects.filter(owner=membership, is_shared=False).count() >= MOST_OWN:
        raise ApiError(422, "too_many", f"You have {MOST_OWN} views already, which is the most. Delete one first.")


# ── Where a person lands ──


def start_view(membership: Membership) -> SavedView | None:
    start = StartPage.objects.filter(membership=membership).first()
    return None if start is None else visible_views(membership).filter(pk=start.view_id).first()


def set_start(membership: Membership, view: SavedView | None) -> None:
    """None is the overview."""
    if view is None:
        StartPage.objects.filter(membership=membership).delete()
        return
    StartPage.objects.update_or_create(
        membership=membership, defaults={"organization_id": membership.organization_id, "view": view}
    )

"""Saved views in the filter bar: the ones to open, and what can be done with the view one is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from accounts.models import Membership, Organization
from core.errors import ApiError
from reports.models import SavedView
from reports.saved.records import PARAMETER, kept_of, may_change, url_of, visible_views

MOST_LISTED = 12


def views_menu(
    organization: Organization, membership: Membership, page: str, parameters: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Takes one query. `page` is the page's word in the address, `parameters` all of the address."""
    slug = organization.slug
    views = list(visible_views(membership))
    current = current_view(views, parameters)
    here = urlencode({"page": page, "query": urlencode(dict(parameters), doseq=True)})
    listed = sorted(views, key=lambda view: (view != current, view.page != page))[:MOST_LISTED]
    menu: dict[str, Any] = {
        "label": current.name if current else "Views",
        "options": [
            {"label": view.name, "url": url_of(view, slug), "is_current": view == current, "is_shared": view.is_shared}
            for view in listed
        ],
        "all_url": reverse("reports:views", args=[slug]),
        "save_url": f"{reverse('reports:view-create', args=[slug])}?{here}",
    }
    if current and (current.page != page or not _is_unchanged(current, parameters)):
        menu["label"] = f"{current.name}, changed"
        if may_change(current, membership):
            menu["replace_url"] = f"{reverse('reports:view-replace', args=[slug, current.pk])}?{here}"
    return menu


def current_view(views: Sequence[SavedView], parameters: Mapping[str, Sequence[str]]) -> SavedView | None:
    """The one that the address says it came from."""
    named = next(iter(parameters.get(PARAMETER, ())), "")
    return next((view for view in views if str(view.pk) == named), None)


def _is_unchanged(view: SavedView, parameters: Mapping[str, Sequence[str]]) -> bool:
    try:
        return kept_of(parameters) == view.parameters
    except ApiError:
        return False

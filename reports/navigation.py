"""What surrounds every page: where one is, where one can go, in which organization."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest
from django.urls import reverse

from accounts.middleware import SESSION_KEY
from accounts.models import Membership, Role, User
from accounts.permissions import Right, may
from accounts.views.home import memberships_of
from reports.filters import carried


class Place(msgspec.Struct, frozen=True):
    """Somewhere to go: shown to roles with one of `rights`. `short` fits the phone's bottom bar."""

    label: str
    url_name: str
    icon: str
    rights: tuple[Right, ...]
    short: str = ""
    # Has the filter bar, whose state goes along from one such page to the next.
    is_filtered: bool = False

    def is_open_to(self, role: Role) -> bool:
        return any(may(role, right) for right in self.rights)


SEERS = (Right.SEE_USAGE, Right.SEE_OWN_USAGE)
OVERVIEW = Place("Overview", "reports:overview", "columns-gap", SEERS, is_filtered=True)
USAGE = Place("Usage", "reports:usage", "bar-chart", SEERS, is_filtered=True)
ESTIMATE = Place("Estimate", "metering:estimate", "calculator", (Right.SEE_OWN_USAGE,))
CONNECT = Place("Connect", "reports:connect", "plug", SEERS)
KEYS = Place("API keys", "accounts:keys", "key", (Right.SEE_KEYS,), "Keys")
MEMBERS = Place("Members", "accounts:members", "people", (Right.SEE_MEMBERS,))
GROUPS: tuple[tuple[str, tuple[Place, ...]], ...] = (
    ("", (OVERVIEW, USAGE, ESTIMATE)),
    ("Control", (CONNECT, KEYS, Place("Upstreams", "metering:upstreams", "hdd-stack", (Right.MANAGE_INTEGRATIONS,)))),
    (
        "Organization",
        (
            MEMBERS,
            Place("Teams and projects", "accounts:teams", "diagram-3", (Right.SEE_MEMBERS,)),
            Place("Import", "metering:imports", "upload", (Right.IMPORT_USAGE,)),
            Place("Integrity", "metering:integrity", "check2-square", (Right.SEE_USAGE,)),
            Place("Audit log", "accounts:audit", "journal-text", (Right.SEE_AUDIT,)),
            Place("Settings", "accounts:organization", "gear", (Right.MANAGE_ORGANIZATION,)),
        ),
    ),
)
TABS = (OVERVIEW, USAGE, KEYS, MEMBERS)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: the sidebar, the bottom bar and the account menu of a person who is logged in."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {}
    memberships = list(memberships_of(user))
    current = _current(request, memberships)
    context: dict[str, Any] = {
        "user": {"email": user.email, "name": user.name, "initials": _initials(user)},
        "organizations": [
            {
                "name": membership.organization.name,
                "slug": membership.organization.slug,
                "switch_url": reverse("accounts:switch", args=[membership.organization.slug]),
            }
            for membership in memberships
        ],
        "nav": [],
        "tabs": [],
    }
    if current is not None:
        context["organization"] = current.organization
        context["role"] = Role(current.role).label
        context["nav"] = [
            {"label": label, "items": items} for label, places in GROUPS if (items := _items(request, current, places))
        ]
        context["tabs"] = _items(request, current, TABS)
        context["docs_url"] = reverse("metering-api:docs")
    return {"shell": context}


def _current(request: HttpRequest, memberships: list[Membership]) -> Membership | None:
    """The membership a page is seen through: the address's, else the one looked at last (account pages have none)."""
    entered = getattr(request, "membership", None)
    if entered is not None:
        return next((m for m in memberships if m.pk == entered.pk), None)
    last = request.session.get(SESSION_KEY)
    return next((m for m in memberships if m.organization.slug == last), memberships[0] if memberships else None)


def _items(request: HttpRequest, membership: Membership, places: tuple[Place, ...]) -> list[dict[str, Any]]:
    filters = _filters(request, membership)
    items = []
    for place in places:
        if place.is_open_to(Role(membership.role)):
            path = reverse(place.url_name, args=[membership.organization.slug])
            items.append(
                {
                    "label": place.label,
                    "short": place.short,
                    "url": carried(path, filters) if place.is_filtered else path,
                    "icon": place.icon,
                    "is_current": _is_at(request, path),
                }
            )
    return items


def _filters(request: HttpRequest, membership: Membership) -> dict[str, list[str]]:
    """The state of the filter bar, on a page that has one."""
    slug = membership.organization.slug
    places = [place for _, group in GROUPS for place in group if place.is_filtered]
    is_filtered = any(_is_at(request, reverse(place.url_name, args=[slug])) for place in places)
    return dict(request.GET.lists()) if is_filtered else {}


def _is_at(request: HttpRequest, path: str) -> bool:
    """At the place or below it. The settings page is above all others of the settings, but not where they are."""
    if not path.endswith("/"):
        return request.path == path or request.path.startswith(f"{path}/")
    return request.path == path or (path.count("/") > 4 and request.path.startswith(path))


def _initials(user: User) -> str:
    words = (user.name or user.email.partition("@")[0].replace(".", " ")).split()
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words[:1])).upper()

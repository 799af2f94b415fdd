"""What surrounds the operator's pages: a list of its own, and what the machine does at the foot of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Impersonation, User

HOME = "operator:overview"
# label, address, icon, what the phone's bar calls it
Item = tuple[str, str, str, str]
GROUPS: tuple[tuple[str, tuple[Item, ...]], ...] = (
    ("", (("Overview", HOME, "columns-gap", ""),)),
    (
        "Tenants",
        (("Organizations", "operator:organizations", "building", "Tenants"), ("Prices", "operator:prices", "tags", "")),
    ),
    (
        "System",
        (("Health", "operator:health", "heart-pulse", ""), ("Queue", "operator:queue", "list", "")),
    ),
    (
        "Money",
        (
            ("Plans", "operator:plans", "layers", ""),
            ("Subscriptions", "operator:subscriptions", "credit-card", ""),
            ("Billing", "operator:billing", "receipt", ""),
        ),
    ),
)
TABS = tuple(item for _, items in GROUPS for item in items)[:4]


def is_operators(path: str) -> bool:
    return path.startswith(reverse(HOME))


def operator_shell(path: str, organizations: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What differs from an organization's shell. `organizations` are the operator's own, to go back to."""
    return {
        "area": {"name": "Operator", "note": "This installation"},
        "beside": {"label": "Your organizations", "url": "/", "icon": "building"} if organizations else None,
        "nav": [{"label": label, "items": [_item(item, path) for item in items]} for label, items in GROUPS],
        "tabs": [_item(item, path) for item in TABS],
        "jump": {
            "search_url": reverse("operator:organizations"),
            "options_url": reverse("operator:organizations-found"),
            "placeholder": "Organization, e-mail address of a member, page…",
        },
        "docs_url": reverse("metering-api:docs"),
    }


def impersonation_banner(request: HttpRequest) -> dict[str, Any] | None:
    """Who stands in whose place, until when; on every page while it lasts."""
    row: Impersonation | None = getattr(request, "impersonation", None)
    if row is None:
        return None
    return {
        "member": row.membership.user.email,
        "organization": row.membership.organization,
        "operator": row.operator.email,
        "until": row.expires_at,
        "is_full": row.is_full,
        "end_url": reverse("operator:impersonation-end"),
    }


def area_link(user: User) -> dict[str, str] | None:
    """Into the operator's area, for those who have it."""
    return {"label": "Operator", "url": reverse(HOME), "icon": "speedometer2"} if user.is_operator else None


def _item(item: Item, path: str) -> dict[str, Any]:
    label, name, icon, short = item
    url = reverse(name)
    is_current = path == url if name == HOME else path.startswith(url)
    # What lists a dimension belongs to the overview it filters.
    is_below = name == HOME and path.startswith(f"{url}by/")
    return {"label": label, "short": short, "url": url, "icon": icon, "is_current": is_current or is_below}

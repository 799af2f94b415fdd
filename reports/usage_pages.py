"""The pages below Usage: each asks something else of the same figures, so the filters go along from one to the next."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from accounts.permissions import Right, may
from reports.page import UsagePage

PAGES = {
    "reports:usage": "Explore",
    "reports:tokens": "Tokens",
    "reports:features": "Features and tools",
    "reports:voice": "Voice",
    "reports:efficiency": "Efficiency",
    "reports:patterns": "Patterns",
}


def usage_tabs(page: UsagePage) -> list[dict[str, Any]]:
    tabs = [
        {
            "label": label,
            "url": page.chosen.carried_to(reverse(name, args=[page.organization.slug])),
            "is_current": name == page.url_name,
        }
        for name, label in PAGES.items()
    ]
    if may(page.membership.role, Right.NOTE_USAGE):
        notes_url = reverse("metering:notes", args=[page.organization.slug])
        tabs.append({"label": "Notes", "url": notes_url, "is_current": False})
    return tabs

"""The pages below Usage: each asks something else of the same figures, so the filters go along from one to the next."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

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
    return [
        {
            "label": label,
            "url": page.chosen.carried_to(reverse(name, args=[page.organization.slug])),
            "is_current": name == page.url_name,
        }
        for name, label in PAGES.items()
    ]

"""The settings: one place in the menu, and beside each of its pages the list of the others.

A page belongs to a section by the name of its address, wherever that is: one's own account has no organization in it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Membership
from accounts.permissions import Right, may


class Section(msgspec.Struct, frozen=True):
    """`pages` are how the names of the addresses begin that belong to it, its own aside. Without rights it is
    everybody's, and about the person instead of the organization."""

    label: str
    url_name: str
    icon: str
    rights: tuple[Right, ...] = ()
    pages: tuple[str, ...] = ()

    def is_open_to(self, membership: Membership) -> bool:
        return not self.rights or any(may(membership.role, right) for right in self.rights)

    def path_in(self, slug: str) -> str:
        return reverse(self.url_name, args=[slug] if self.rights else [])

    def holds(self, view_name: str) -> bool:
        return view_name == self.url_name or view_name.startswith(self.pages)


GROUPS: tuple[tuple[str, tuple[Section, ...]], ...] = (
    (
        "Organization",
        (
            Section("Organization", "accounts:organization", "building", (Right.MANAGE_ORGANIZATION,)),
            Section(
                "Members",
                "accounts:members",
                "people",
                (Right.SEE_MEMBERS,),
                ("accounts:member", "accounts:invitation-", "accounts:leave"),
            ),
            Section(
                "Teams and projects",
                "accounts:teams",
                "diagram-3",
                (Right.SEE_MEMBERS,),
                ("accounts:team", "accounts:department", "accounts:project"),
            ),
            Section("Audit log", "accounts:audit", "journal-text", (Right.SEE_AUDIT,)),
        ),
    ),
    (
        "Data",
        (
            Section("API keys", "accounts:keys", "key", (Right.SEE_KEYS,), ("accounts:key",)),
            Section(
                "Upstreams", "metering:upstreams", "hdd-stack", (Right.MANAGE_INTEGRATIONS,), ("metering:upstream",)
            ),
            Section("Webhooks", "alerts:webhooks", "plug", (Right.MANAGE_INTEGRATIONS,), ("alerts:webhook",)),
            Section("Channels", "alerts:channels", "chat-left-text", (Right.MANAGE_INTEGRATIONS,), ("alerts:channel",)),
            Section("Prices", "metering:prices", "tags", (Right.SEE_MONEY, Right.MANAGE_PRICES), ("metering:price",)),
            Section("Import", "metering:imports", "upload", (Right.IMPORT_USAGE,), ("metering:import",)),
            Section(
                "Diagnosis",
                "reports:diagnosis",
                "heart-pulse",
                (Right.SEE_USAGE, Right.SEE_OWN_USAGE),
                ("reports:diagnosis",),
            ),
            Section("Integrity", "metering:integrity", "check2-square", (Right.SEE_USAGE,), ("metering:integrity",)),
        ),
    ),
    (
        "You",
        (
            Section("My account", "account_email", "person", (), ("account_email", "socialaccount_")),
            Section(
                "Notifications",
                "alerts:preferences",
                "bell",
                (Right.SEE_OWN_USAGE,),
                ("alerts:device", "alerts:preferences", "alerts:hours"),
            ),
            Section("Security", "mfa_index", "shield-lock", (), ("account_", "mfa_", "usersessions_")),
        ),
    ),
)


def settings_of(request: HttpRequest, membership: Membership) -> list[dict[str, Any]]:
    """The sections this person may open, by group; at most one of them is the current one."""
    match = request.resolver_match
    view_name = match.view_name if match else ""
    current = next((section for _, group in GROUPS for section in group if section.holds(view_name)), None)
    slug = membership.organization.slug
    groups = []
    for label, sections in GROUPS:
        items = [
            {
                "label": section.label,
                "url": section.path_in(slug),
                "icon": section.icon,
                "is_current": section is current,
            }
            for section in sections
            if section.is_open_to(membership)
        ]
        if items:
            groups.append({"label": label, "items": items})
    return groups

"""What surrounds every page: where one is, where one can go, in which organization."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest
from django.urls import reverse
from django.utils.timezone import now

from accounts.middleware import SESSION_KEY
from accounts.models import Membership, Role, User
from accounts.permissions import Right, administered_team_ids, may
from accounts.views.home import memberships_of
from alerts.notices import inbox
from alerts.views.mailbox import is_open_to
from billing.suspending import present_suspension
from billing.views.dunning import banner
from core.tenancy import organization_scope
from reports.bounds import sidebar_allowance
from reports.filters import carried
from reports.operator.navigation import area_link, impersonation_banner, is_operators, operator_shell
from reports.settings_area import settings_of


class Place(msgspec.Struct, frozen=True):
    """Somewhere to go: shown to roles with one of `rights`. `short` fits the phone's bottom bar."""

    label: str
    url_name: str
    icon: str
    rights: tuple[Right, ...]
    short: str = ""
    # Has the filter bar, whose state goes along from one such page to the next.
    is_filtered: bool = False
    # A page at another address that belongs to the place.
    beside: str = ""
    # Open to members who administer a team, too.
    for_team_admins: bool = False

    def is_open_to(self, role: Role) -> bool:
        return any(may(role, right) for right in self.rights)

    def path_in(self, slug: str) -> str:
        return reverse(self.url_name, args=[slug])

    def holds(self, path: str, slug: str) -> bool:
        """Whether the page at `path` is the place, below it, or beside it."""
        names = (self.url_name, self.beside) if self.beside else (self.url_name,)
        return any(_is_at(path, reverse(name, args=[slug])) for name in names)


SETTINGS = "Settings"
SEERS = (Right.SEE_USAGE, Right.SEE_OWN_USAGE)
QUICK = Place("Quick overview", "reports:quick", "speedometer2", SEERS, "Quick")
OVERVIEW = Place("Overview", "reports:overview", "columns-gap", SEERS, is_filtered=True)
CHATS = Place("Chats", "reports:chats", "chat-left-text", SEERS, is_filtered=True, beside="reports:calls")
FILES = Place("Files", "reports:files", "file-earmark-text", SEERS, is_filtered=True)
USAGE = Place("Usage", "reports:usage", "bar-chart", SEERS, is_filtered=True)
MODELS = Place("Models", "reports:models", "cpu", SEERS, is_filtered=True)
ESTIMATE = Place("Estimate", "metering:estimate", "calculator", (Right.SEE_OWN_USAGE,))
COSTS = Place("Costs", "reports:costs", "receipt", SEERS, is_filtered=True)
FORECAST = Place("Forecast", "reports:forecast", "graph-up-arrow", SEERS)
ADVICE = Place("Advice", "reports:advice", "lightbulb", (Right.SEE_USAGE,))
REPORTS = Place("Reports", "reports:reports", "file-earmark-bar-graph", SEERS)
TEAMS = Place("Teams", "reports:teams", "people", (Right.SEE_USAGE,), is_filtered=True, for_team_admins=True)
CONNECT = Place("Connect", "reports:connect", "plug", SEERS)
BILLING = Place("Billing", "billing:plan", "credit-card", (Right.SEE_MONEY,))
BUDGETS = Place("Budgets and alerts", "billing:budgets", "bullseye", SEERS, beside="alerts:alerts")
INTEGRATIONS = Place(
    "Integrations", "reports:integrations", "puzzle", SEERS, is_filtered=True, beside="reports:connect"
)
GROUPS: tuple[tuple[str, tuple[Place, ...]], ...] = (
    ("", (OVERVIEW, USAGE, MODELS, CHATS, FILES, ESTIMATE)),
    ("Control", (BUDGETS, INTEGRATIONS)),
    ("Money", (COSTS, FORECAST, ADVICE, REPORTS, BILLING)),
    # Below its places stands Settings (settings_area.py), which is open to everybody.
    ("Organization", (TEAMS,)),
)
TABS = (QUICK, OVERVIEW, USAGE, CHATS)

# Pages below a place: reached from its figures, and found by search.
BELOW: tuple[tuple[str, tuple[Place, ...]], ...] = (
    (
        "Usage",
        (
            Place("Token usage", "reports:tokens", "layers", SEERS, is_filtered=True),
            Place("Efficiency", "reports:efficiency", "bullseye", SEERS, is_filtered=True),
            Place("Patterns", "reports:patterns", "calendar3", SEERS, is_filtered=True),
            Place("Features and tools", "reports:features", "puzzle", SEERS, is_filtered=True),
            Place("Voice", "reports:voice", "mic", SEERS, is_filtered=True),
        ),
    ),
    (
        "Budgets and alerts",
        (
            Place("Alerts", "alerts:alerts", "bell", SEERS),
            Place("Alert rules", "alerts:rules", "sliders", SEERS),
        ),
    ),
    ("Integrations", (CONNECT,)),
    (
        "Forecast",
        (Place("Budget planning", "reports:planning", "bullseye", (Right.SEE_USAGE,), for_team_admins=True),),
    ),
    (
        "Billing",
        (
            Place("Credits", "billing:credits", "wallet2", (Right.SEE_MONEY,)),
            Place("Invoices", "billing:invoices", "receipt", (Right.SEE_MONEY,)),
            Place("Period so far", "billing:invoice-draft", "receipt", (Right.SEE_MONEY,)),
        ),
    ),
    (
        "Reports",
        (Place("Monthly reports", "reports:monthly", "calendar3", (Right.SEE_USAGE,), for_team_admins=True),),
    ),
    (
        "Costs",
        (
            Place("Comparison", "reports:comparison", "arrow-left-right", SEERS, is_filtered=True),
            Place("Reconciliation", "billing:reconciliations", "check2-square", (Right.SEE_MONEY,)),
        ),
    ),
)


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
        "beside": area_link(user),
        "mailbox_url": reverse("alerts:mailbox") if is_open_to(user) else None,
        "impersonation": impersonation_banner(request),
    }
    if user.is_operator and is_operators(request.path):
        return {"shell": context | operator_shell(request.path, context["organizations"])}
    if current is not None:
        context["organization"] = current.organization
        context["role"] = Role(current.role).label
        settings = settings_of(request, current)
        context["nav"] = _menu(request, current, settings)
        context["jump"] = {
            "search_url": reverse("reports:search", args=[current.organization.slug]),
            "options_url": reverse("reports:search-options", args=[current.organization.slug]),
            "placeholder": "Chat, file, call, key, member, model, page…",
        }
        context["sections"] = settings
        context["in_settings"] = any(item["is_current"] for group in settings for item in group["items"])
        context["tabs"] = _items(request, current, TABS)
        context["inbox"] = _bell(request, current)
        context["payment"] = banner(current)
        with organization_scope(current.organization_id):
            context["suspension"] = present_suspension(current.organization)
        context["allowance"] = sidebar_allowance(current, now())
        context["docs_url"] = reverse("metering-api:docs")
    return {"shell": context}


def _bell(request: HttpRequest, member: Membership) -> dict[str, Any]:
    """What is unread, and where its changes come from: nowhere for who stands in somebody's place."""
    slug = member.organization.slug
    with organization_scope(member.organization_id):
        unread = inbox.unread_count(member)
    names = () if getattr(request, "impersonation", None) else ("stream", "count")
    urls = {f"{name}_url": reverse(f"alerts:inbox-{name}", args=[slug]) for name in names}
    return {"url": reverse("alerts:inbox", args=[slug]), "count": unread, **urls}


def destinations(request: HttpRequest, membership: Membership) -> list[tuple[str, dict[str, Any]]]:
    """Every place and section of the settings that this person may open, each with the name of its group."""
    found = [(label, item) for label, places in (*GROUPS, *BELOW) for item in _items(request, membership, places)]
    sections = settings_of(request, membership)
    return found + [(SETTINGS, item) for group in sections for item in group["items"]]


def _menu(request: HttpRequest, membership: Membership, settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sidebar's groups, those without a place left out."""
    groups: list[dict[str, Any]] = [
        {"label": label, "items": _items(request, membership, places)} for label, places in GROUPS
    ]
    sections = [item for group in settings for item in group["items"]]
    groups[-1]["items"].append(
        {
            "label": SETTINGS,
            "url": sections[0]["url"],
            "icon": "gear",
            "is_current": any(item["is_current"] for item in sections),
        }
    )
    return [group for group in groups if group["items"]]


def _current(request: HttpRequest, memberships: list[Membership]) -> Membership | None:
    """The membership a page is seen through: the address's, else the one looked at last (account pages have none)."""
    entered = getattr(request, "membership", None)
    if entered is not None:
        return next((m for m in memberships if m.pk == entered.pk), None)
    last = request.session.get(SESSION_KEY)
    return next((m for m in memberships if m.organization.slug == last), memberships[0] if memberships else None)


def _items(request: HttpRequest, membership: Membership, places: tuple[Place, ...]) -> list[dict[str, Any]]:
    filters = _filters(request, membership)
    slug = membership.organization.slug
    items = []
    for place in places:
        if place.is_open_to(Role(membership.role)) or (place.for_team_admins and _administers(membership)):
            path = place.path_in(slug)
            items.append(
                {
                    "label": place.label,
                    "short": place.short,
                    "url": carried(path, filters) if place.is_filtered else path,
                    "icon": place.icon,
                    "is_current": place.holds(request.path, slug),
                }
            )
    return items


def _administers(membership: Membership) -> bool:
    with organization_scope(membership.organization_id):
        return bool(administered_team_ids(membership))


def _filters(request: HttpRequest, membership: Membership) -> dict[str, list[str]]:
    """The state of the filter bar, on a page that has one."""
    places = [place for _, group in GROUPS for place in group if place.is_filtered]
    is_filtered = any(place.holds(request.path, membership.organization.slug) for place in places)
    return dict(request.GET.lists()) if is_filtered else {}


def _is_at(here: str, path: str) -> bool:
    """At the page or below it."""
    return here == path or here.startswith(f"{path.rstrip('/')}/")


def _initials(user: User) -> str:
    words = (user.name or user.email.partition("@")[0].replace(".", " ")).split()
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words[:1])).upper()

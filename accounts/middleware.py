"""Pages of an organization: found, opened to its members, and run inside its scope; and who stands in whose place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import SimpleTemplateResponse
from django.utils.crypto import salted_hmac
from django_htmx.http import HttpResponseClientRedirect

from accounts import impersonation
from accounts.audit import Actor
from accounts.models import Impersonation, Membership, Role, User
from accounts.requests import OrganizationRequest
from core.error_answers import is_for_programs, refused
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped

URL_KWARG = "organization"
SESSION_KEY = "organization"


# Whatever somebody may do in a member's place.
ALWAYS = ("operator:impersonation-end", "account_logout")
# What would outlast the half hour, or is the member's alone to do.
NEVER = (
    "accounts:key-create",
    "accounts:key-rotate",
    "accounts:member-invite",
    "accounts:invitation-renew",
    "accounts:leave",
    "stripe:card",
    "stripe:portal",
)
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class ImpersonationMiddleware:
    """Puts the member in the operator's place on the request, while the session's impersonation runs.

    `impersonation` and `operator` are on the request then. One organization is open, the member's own account is not,
    and read-only lets nothing through but looking.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if impersonation.SESSION_KEY in request.session and isinstance(request.user, User):
            operator = request.user
            row = impersonation.current(request, operator)
            if row is not None:
                entered = cast("OrganizationRequest", request)
                entered.impersonation, entered.operator, entered.user = row, operator, row.membership.user
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponseBase],  # noqa: ARG002  (Django's signature)
        args: list[Any],  # noqa: ARG002  (Django's signature)
        kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        row: Impersonation | None = getattr(request, "impersonation", None)
        name = request.resolver_match.view_name if request.resolver_match else ""
        if row is None or name in ALWAYS or is_for_programs(request):
            return None
        slug = row.membership.organization.slug
        if name == "accounts:home":
            return redirect("reports:overview", slug)
        if URL_KWARG not in kwargs:
            raise PermissionDenied("In a member's place only the pages of their organization are open.")
        if kwargs[URL_KWARG] != slug:
            raise Http404("another organization than the one entered")
        if name in NEVER:
            raise PermissionDenied("This would outlast your time in the member's place, so it is theirs to do.")
        if request.method not in SAFE_METHODS and not row.is_full:
            raise PermissionDenied("You look on read-only; nothing is changed.")
        return None


class OrganizationMiddleware:
    """For every view whose address names an organization (/o/<slug:organization>/…).

    Nobody logged in: to the log-in page and back. Not a member, or no such organization: 404, so that names cannot
    be tried. Otherwise the view runs, and its template renders, inside the organization's scope; it finds
    `organization`, `membership`, `role` and `actor` on the request. What streams after that opens a scope of its own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        if URL_KWARG not in kwargs:
            return None
        slug = kwargs.pop(URL_KWARG)
        if not request.user.is_authenticated:
            return _to_login(request)
        membership = membership_in(request.user, slug)
        if membership is None:
            raise Http404("no such organization among yours")
        enter(request, membership)
        try:
            with organization_scope(membership.organization_id):
                response = view(request, *args, **kwargs)
                if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
                    response = response.render()
        except ApiError as refusal:
            return refused(request, refusal)
        return response


class OwnerMiddleware:
    """Says on each page whose it is, by a word that means nothing elsewhere.

    A browser that keeps copies for when it is offline (static/js/offline/worker.js) tells by it that somebody else is
    here now, or the same person in another organization or role, and throws the copies away. Pages of no organization
    say nothing, unless nobody is logged in.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            owner = _owner(request)
            if owner is not None:
                response.headers["X-Tokenledger-Owner"] = owner
        return response


def _owner(request: HttpRequest) -> str | None:
    if getattr(request, "impersonation", None) is not None:
        # What an operator sees in a member's place stays on no device.
        return "nobody"
    membership: Membership | None = getattr(request, "membership", None)
    if membership is not None:
        return owner_of(membership)
    is_somebody = settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated
    return None if is_somebody else "nobody"


def author_of(membership: Membership) -> str:
    """As `owner_of`, whatever the role: whose unsent notes a browser holds does not change with it."""
    said = f"{membership.user_id}:{membership.organization_id}"
    return salted_hmac("tokenledger.author", said, algorithm="sha256").hexdigest()[:32]


def owner_of(membership: Membership) -> str:
    """The word for a person in an organization, in their present role."""
    said = f"{membership.user_id}:{membership.organization_id}:{membership.role}"
    return salted_hmac("tokenledger.owner", said, algorithm="sha256").hexdigest()[:32]


def membership_in(user: User, slug: str) -> Membership | None:
    with unscoped("who belongs where is asked before a scope is chosen"):
        return (
            Membership.objects.select_related("organization", "user")
            .filter(user=user, organization__slug=slug, ended_at=None)
            .first()
        )


def enter(request: HttpRequest, membership: Membership) -> OrganizationRequest:
    entered = cast("OrganizationRequest", request)
    entered.organization = membership.organization
    entered.membership = membership
    entered.role = Role(membership.role)
    row: Impersonation | None = getattr(request, "impersonation", None)
    entered.actor = (
        Actor.of_person(membership.user, request, entered.role)
        if row is None
        else impersonation.actor_of(row, entered.operator, request, entered.role)
    )
    if request.session.get(SESSION_KEY) != membership.organization.slug:
        request.session[SESSION_KEY] = membership.organization.slug
    return entered


def _to_login(request: HttpRequest) -> HttpResponseBase:
    if getattr(request, "htmx", False):
        # A fragment of the log-in page would land in the middle of the page that asked.
        current = urlsplit(request.headers.get("HX-Current-URL", ""))
        return HttpResponseClientRedirect(redirect_to_login(current.path or "/").url)
    return redirect_to_login(request.get_full_path())

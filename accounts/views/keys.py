"""/o/<organization>/settings/keys/"""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_http_methods, require_safe

from accounts import keys
from accounts.forms.keys import KeyChangeForm, KeyForm, RotationForm
from accounts.forms.organization import refusals_in
from accounts.models import APIKey
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, form_page, to

PAGE = "accounts:keys"


@require_safe
@require(Right.SEE_KEYS)
def index(request: OrganizationRequest) -> HttpResponse:
    rows = _visible(request)
    shows_ended = request.GET.get("state") == "ended"
    working = keys.active_keys().values("pk")
    context = {
        "page": {"title": "API keys"},
        "keys": rows.exclude(pk__in=working) if shows_ended else rows.filter(pk__in=working),
        "active_count": rows.filter(pk__in=working).count(),
        "ended_count": rows.exclude(pk__in=working).count(),
        "shows_ended": shows_ended,
        "may_manage": may(request.role, Right.MANAGE_OWN_KEYS),
        "sees_own_only": not _manages_all(request) and not may(request.role, Right.SEE_MEMBERS),
    }
    return render(request, "accounts/keys.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_KEYS, Right.MANAGE_OWN_KEYS)
def create(request: OrganizationRequest) -> HttpResponse:
    """`?scopes=` are chosen beforehand."""
    is_own = not _manages_all(request)
    initial = {"scopes": request.GET.getlist("scopes")} if "scopes" in request.GET else None
    form = KeyForm(request.POST or None, initial=initial, zone=request.organization.zone, is_own=is_own)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            values = form.values()
            if is_own:
                values["member"] = request.membership
            key, secret = keys.create_key(request.organization, by=request.actor, **values)
            return _show_secret(request, key, secret)
    return form_page(request, form, "New API key", submit="Create key", back=to(request, PAGE))


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_KEYS, Right.MANAGE_OWN_KEYS)
def change(request: OrganizationRequest, key: int) -> HttpResponse:
    row = get_object_or_404(_manageable(request), pk=key)
    zone = request.organization.zone
    initial = {
        "name": row.name,
        "scopes": row.scopes,
        "project": row.project,
        "expires_on": row.expires_at and row.expires_at.astimezone(zone).date(),
        "requests_per_minute": row.requests_per_minute,
        "tokens_per_minute": row.tokens_per_minute,
    }
    form = KeyChangeForm(request.POST or None, initial=initial, zone=zone, is_own=not _manages_all(request))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            values = form.values()
            if "expires_on" not in form.changed_data:
                del values["expires_at"]
            keys.update_key(row, values, by=request.actor)
            messages.success(request, f"Key {row.name} saved.")
            return redirect(to(request, PAGE))
    return form_page(request, form, row.name, submit="Save key", back=to(request, PAGE), lead=f"{row.prefix}…")


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_KEYS, Right.MANAGE_OWN_KEYS)
def rotate(request: OrganizationRequest, key: int) -> HttpResponse:
    row = get_object_or_404(_manageable(request), pk=key)
    form = RotationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            successor, secret = keys.rotate_key(row, by=request.actor, overlap=form.span())
            return _show_secret(request, successor, secret, replaced=row)
    return form_page(
        request,
        form,
        f"Rotate {row.name}",
        submit="Rotate key",
        back=to(request, PAGE),
        lead="A new key with the same powers takes over. Both work until the old one ends.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_KEYS, Right.MANAGE_OWN_KEYS)
def revoke(request: OrganizationRequest, key: int) -> HttpResponse:
    row = get_object_or_404(_manageable(request), pk=key)
    return confirm_page(
        request,
        f"Revoke {row.name}?",
        f"Calls with {row.prefix}… stop at once. Its usage stays in every report.",
        submit="Revoke key",
        back=to(request, PAGE),
        act=lambda: keys.revoke_key(row, by=request.actor),
        done=f"Key {row.name} revoked.",
    )


def _show_secret(
    request: OrganizationRequest, key: APIKey, secret: str, replaced: APIKey | None = None
) -> HttpResponse:
    """The answer to the POST itself: nothing is stored from which it could be shown again."""
    context = {"page": {"title": f"Key {key.name}"}, "key": key, "secret": secret, "replaced": replaced}
    response = render(request, "accounts/key_secret.html", context)
    add_never_cache_headers(response)
    return response


def _manages_all(request: OrganizationRequest) -> bool:
    return may(request.role, Right.MANAGE_KEYS)


def _visible(request: OrganizationRequest) -> QuerySet[APIKey]:
    """All keys to those who manage or account for them, their own to members."""
    rows = APIKey.objects.select_related("project", "member__user", "replaced_by").order_by("name", "-pk")
    if _manages_all(request) or may(request.role, Right.SEE_MEMBERS):
        return rows
    return rows.filter(member=request.membership)


def _manageable(request: OrganizationRequest) -> QuerySet[APIKey]:
    rows = APIKey.objects.select_related("project", "organization", "member")
    return rows if _manages_all(request) else rows.filter(member=request.membership)

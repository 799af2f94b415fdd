"""/o/<organization>/views/: the saved views, and what is done with one."""

from __future__ import annotations

from copy import copy
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.forms.organization import refusals_in
from accounts.permissions import require
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, form_page, to
from core.errors import ApiError
from reports.filters import dimension_label
from reports.models import SavedView
from reports.navigation import SEERS
from reports.page import UsagePage
from reports.saved.records import (
    Parameters,
    change_view,
    create_view,
    delete_view,
    kept_of,
    may_change,
    may_share,
    path_of,
    replace_view,
    set_start,
    start_view,
    url_of,
    visible_views,
)
from reports.views import PAGES

LIST = "reports:views"
_WORDS = {"range": "Range", "from": "From", "to": "To", "interval": "By", "compare": "Compared with"}

sees_usage = require(*SEERS)


class ViewForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80)
    is_shared = forms.BooleanField(
        label="Share it with the organization",
        required=False,
        help_text="Everybody can open it. Each of them sees the figures their role sees.",
    )
    is_start = forms.BooleanField(
        label="Start here", required=False, help_text="You land on it after logging in, instead of on the overview."
    )

    def __init__(self, *args: Any, can_share: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not can_share:
            del self.fields["is_shared"]


@require_GET
@sees_usage
def index(request: OrganizationRequest) -> HttpResponse:
    start = start_view(request.membership)
    rows = [_row(request, view, start) for view in visible_views(request.membership)]
    context = {
        "page": {"title": "Saved views"},
        "own": [row for row in rows if not row["view"].is_shared],
        "shared": [row for row in rows if row["view"].is_shared],
        "start": start,
        "overview_url": to(request, "reports:overview"),
    }
    return render(request, "reports/views.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def create(request: OrganizationRequest) -> HttpResponse:
    """`?page=` and `?query=` are the page that is saved, and its address's parameters."""
    kind, parameters = _asked(request)
    form = ViewForm(request.POST or None, can_share=may_share(request.membership))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            view = create_view(
                request.membership,
                form.cleaned_data["name"],
                _word(kind),
                parameters,
                is_shared=form.cleaned_data.get("is_shared", False),
                by=request.actor,
            )
            if form.cleaned_data["is_start"]:
                set_start(request.membership, view)
            messages.success(request, f"{view.name} is saved.")
            return redirect(url_of(view, request.organization.slug))
    lead = _lead(kind, parameters)
    back = path_of(_word(kind), request.organization.slug)
    return form_page(request, form, "Save this view", submit="Save view", lead=lead, back=back)


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def change(request: OrganizationRequest, view: int) -> HttpResponse:
    saved = _changeable(request, view)
    is_start = start_view(request.membership) == saved
    initial = {"name": saved.name, "is_shared": saved.is_shared, "is_start": is_start}
    form = ViewForm(request.POST or None, initial=initial, can_share=may_share(request.membership))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            change_view(
                saved,
                request.membership,
                name=form.cleaned_data["name"],
                is_shared=form.cleaned_data.get("is_shared", saved.is_shared),
                by=request.actor,
            )
            if form.cleaned_data["is_start"] != is_start:
                set_start(request.membership, saved if form.cleaned_data["is_start"] else None)
            messages.success(request, f"{saved.name} is saved.")
            return redirect(to(request, LIST))
    delete_url = to(request, "reports:view-delete", saved.pk)
    return form_page(
        request, form, saved.name, submit="Save", back=to(request, LIST), delete=("Delete view", delete_url)
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def replace(request: OrganizationRequest, view: int) -> HttpResponse:
    """The view becomes what `?page=` and `?query=` say."""
    saved = _changeable(request, view)
    kind, parameters = _asked(request)
    shown = SavedView(pk=saved.pk, page=_word(kind), parameters=parameters)
    everybody = " Everybody opens it like that from now on." if saved.is_shared else ""
    return confirm_page(
        request,
        f"Replace {saved.name}?",
        f"It becomes: {_lead(kind, parameters)}.{everybody}",
        submit="Replace view",
        back=url_of(shown, request.organization.slug),
        act=lambda: replace_view(saved, request.membership, _word(kind), parameters, by=request.actor),
        done=f"{saved.name} is replaced.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def delete(request: OrganizationRequest, view: int) -> HttpResponse:
    saved = _changeable(request, view)
    lost = "It is gone for everybody in the organization. " if saved.is_shared else ""
    return confirm_page(
        request,
        f"Delete {saved.name}?",
        f"{lost}The usage it shows stays. Who lands on it lands on the overview instead.",
        submit="Delete view",
        back=to(request, LIST),
        act=lambda: delete_view(saved, request.membership, by=request.actor),
        done=f"{saved.name} is deleted.",
    )


@require_POST
@sees_usage
def start(request: OrganizationRequest) -> HttpResponse:
    """`view` is the one to land on; without it, the overview."""
    named = request.POST.get("view", "")
    if named and not (named.isascii() and named.isdecimal() and len(named) < 10):
        raise Http404("no such view")
    saved = _visible(request, int(named)) if named else None
    set_start(request.membership, saved)
    messages.success(request, f"You start with {saved.name if saved else 'the overview'} from now on.")
    return redirect(to(request, LIST))


@require_GET
@sees_usage
def land(request: OrganizationRequest) -> HttpResponse:
    """Where a person comes in: their start page."""
    view = start_view(request.membership)
    slug = request.organization.slug
    return redirect(url_of(view, slug) if view and view.page in PAGES else to(request, "reports:overview"))


# ── Parts ──


def _visible(request: OrganizationRequest, pk: int) -> SavedView:
    view = visible_views(request.membership).filter(pk=pk).first()
    if view is None:
        raise Http404("no such view")
    return view


def _changeable(request: OrganizationRequest, pk: int) -> SavedView:
    """Raises Http404 for somebody else's, ApiError 403 for a shared one that the role does not look after."""
    view = _visible(request, pk)
    if not may_change(view, request.membership):
        raise ApiError(403, "forbidden", "Your role does not change shared views.")
    return view


def _asked(request: OrganizationRequest) -> tuple[type[UsagePage], Parameters]:
    """The page and the parameters that are to be kept.

    Raises Http404, or ApiError what the page itself answers to them: it is asked, so that a view that was saved opens.
    """
    page = PAGES.get(request.GET.get("page", ""))
    if page is None:
        raise Http404("no such page")
    given = QueryDict(request.GET.get("query", ""))
    parameters = kept_of({name: given.getlist(name) for name in given})
    asked = copy(request)
    asked.GET = QueryDict(urlencode(parameters, doseq=True))
    page.of(asked).context()
    return page, parameters


def _word(page: type[UsagePage]) -> str:
    return page.url_name.partition(":")[2]


def _lead(page: type[UsagePage], parameters: Parameters) -> str:
    return " · ".join([page.title, *_said(parameters)])


def _said(parameters: Parameters) -> list[str]:
    """The parameters in words: "Model gpt-4o"."""
    return [f"{_WORDS.get(name) or dimension_label(name)} {', '.join(values)}" for name, values in parameters.items()]


def _row(request: OrganizationRequest, view: SavedView, start: SavedView | None) -> dict[str, Any]:
    page = PAGES.get(view.page)
    return {
        "view": view,
        "url": url_of(view, request.organization.slug) if page else None,
        "page": page.title if page else view.page,
        "said": " · ".join(_said(view.parameters)) or "As it opens",
        "is_start": view == start,
        "change_url": to(request, "reports:view", view.pk) if may_change(view, request.membership) else None,
    }

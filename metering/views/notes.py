"""/o/<organization>/usage/notes/: calls written down by hand, and those a phone kept until it was back."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.middleware import author_of
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import to
from core.errors import ApiError
from core.requests import kept_offline
from metering.note_form import NoteForm
from metering.notes import notes_of, write_note
from metering.query.models_in_use import known_models, used_models
from metering.store.base import Outcome

PAGE = "metering:notes"


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.NOTE_USAGE)
@kept_offline
def index(request: OrganizationRequest) -> HttpResponse:
    """The form and one's notes. What asks for JSON (static/js/notes/queue.js) hears what became of one note."""
    form = NoteForm(request.POST or None, request.organization.zone, now())
    outcome = _write(request, form) if request.method == "POST" else None
    if request.headers.get("Accept") == "application/json":
        return _told(form, outcome)
    if outcome is not None:
        messages.success(request, "Noted." if outcome is Outcome.CREATED else "This note is recorded already.")
        return redirect(to(request, PAGE))
    return _page(request, form)


@require_safe
@never_cache
@require(Right.NOTE_USAGE)
def state(request: OrganizationRequest) -> HttpResponse:
    """Who is here, and the token their notes are sent with: what a script without a page must know first."""
    return JsonResponse({"author": author_of(request.membership), "csrf_token": get_token(request)})


def _write(request: OrganizationRequest, form: NoteForm) -> Outcome | None:
    """What became of the note; None when the form says why nothing did."""
    if not form.is_valid():
        return None
    try:
        return write_note(request.membership, form.draft())
    except ApiError as error:
        form.refuse(error.message, error.param)
        return None


def _told(form: NoteForm, outcome: Outcome | None) -> JsonResponse:
    if outcome is None:
        errors = {name: [str(word) for word in said] for name, said in form.errors.items()}
        return JsonResponse({"errors": errors}, status=422)
    return JsonResponse({"status": outcome})


def _page(request: OrganizationRequest, form: NoteForm) -> HttpResponse:
    before = request.GET.get("before", "")
    notes, following = notes_of(request.membership, int(before) if before.isdecimal() and len(before) < 10 else None)
    context = {
        "page": {"title": "Usage notes"},
        "form": form,
        "notes": notes,
        "following": following,
        "models": known_models(used_models(request.membership)),
        "author": author_of(request.membership),
        "zone": request.organization.zone,
    }
    return render(request, "metering/notes.html", context, status=422 if form.errors else 200)

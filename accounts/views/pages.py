"""What most pages here are: a form with a heading, or a question with one dangerous button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.requests import OrganizationRequest
from core.errors import ApiError


def to(request: OrganizationRequest, name: str, *args: Any) -> str:
    """The address of a page of this organization."""
    return reverse(name, args=[request.organization.slug, *args])


def form_page(request: HttpRequest, form: forms.BaseForm, title: str, *, submit: str, **context: Any) -> HttpResponse:
    """`back` is where Cancel leads; `lead` a sentence below the title."""
    context |= {"form": form, "page": {"title": title}, "submit": submit}
    return render(request, "accounts/form.html", context, status=422 if form.errors else 200)


def confirm_page(
    request: HttpRequest,
    title: str,
    text: str,
    *,
    submit: str,
    back: str,
    act: Callable[[], None],
    done: str,
) -> HttpResponse:
    """Ask; on POST act, say `done` and go back. What the domain refuses is said on the page it came from."""
    if request.method != "POST":
        context = {"page": {"title": title}, "text": text, "submit": submit, "back": back}
        return render(request, "accounts/confirm.html", context)
    return act_and_return(request, act, back, done)


def act_and_return(request: HttpRequest, act: Callable[[], None], back: str, done: str) -> HttpResponseRedirect:
    try:
        act()
    except ApiError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, done)
    return redirect(back)

"""/mailbox/: e-mail that the demo, or a developer's machine, has kept instead of sending it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp, csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from accounts.models import User
from core import mailbox
from core.mailbox import Mail

# Links in a message open beside it; nothing in it runs.
_SANDBOX = ["allow-popups", "allow-popups-to-escape-sandbox"]
_View = Callable[..., HttpResponse]


def is_open_to(user: User) -> bool:
    """In the demo to everybody who is logged in, in development to operators; nowhere else is there a mailbox."""
    return mailbox.is_used() and (settings.IS_DEMO or (settings.DEBUG and user.is_operator))


def _readers(view: _View) -> _View:
    @require_safe
    @never_cache
    @login_required
    @functools.wraps(view)
    def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if not isinstance(request.user, User) or not is_open_to(request.user):
            raise Http404("no mailbox here")
        return view(request, **kwargs)

    return guarded


@_readers
def index(request: HttpRequest) -> HttpResponse:
    found = mailbox.mails()
    rows = [{"mail": mail, "ago": now() - mail.at} for mail in found]
    return render(request, "alerts/mailbox.html", {"page": {"title": "Sent mail"}, "rows": rows})


@csp_update({"frame-src": [SELF]})
@_readers
def detail(request: HttpRequest, mail: str) -> HttpResponse:
    """`?show=` is text or headers; else the message as most programs show it."""
    found = _mail(mail)
    show = request.GET.get("show", "")
    shown = show if show in ("text", "headers") else "html" if found.html else "text"
    tabs = [
        {"label": label, "url": f"?show={name}", "is_current": shown == name}
        for name, label in (("html", "HTML"), ("text", "Text"), ("headers", "Headers"))
        if name != "html" or found.html
    ]
    context = {"page": {"title": found.subject}, "mail": found, "shown": shown, "tabs": tabs}
    return render(request, "alerts/mail.html", context)


@csp(
    {
        "default-src": [NONE],
        "style-src": [UNSAFE_INLINE],
        "img-src": ["data:"],
        "frame-ancestors": [SELF],
        "sandbox": _SANDBOX,
    }
)
@xframe_options_sameorigin
@_readers
def body(request: HttpRequest, mail: str) -> HttpResponse:  # noqa: ARG001
    """The HTML as it was sent, in a frame of its own without any rights."""
    found = _mail(mail)
    if not found.html:
        raise Http404("a message without HTML")
    return HttpResponse(found.html.replace("<head>", '<head><base target="_blank">', 1))


def _mail(id: str) -> Mail:  # noqa: A002
    found = mailbox.mail(id)
    if found is None:
        raise Http404("no such message")
    return found

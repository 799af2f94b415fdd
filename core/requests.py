"""What every answer carries: the id under which its log lines can be found, and who may keep a copy."""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Callable
from typing import Any, TypeVar, cast

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

_GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id(given: str | None) -> str:
    """The caller's own id when it is a sane one, else a new one."""
    if given and _GIVEN.fullmatch(given):
        return given
    return "req_" + secrets.token_hex(10)


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.id = request_id(request.headers.get("x-request-id"))  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=request.id):  # type: ignore[attr-defined]
            response = self.get_response(request)
        response.headers["x-request-id"] = request.id  # type: ignore[attr-defined]
        return response


_View = TypeVar("_View", bound=Callable[..., HttpResponseBase])


def kept_offline(view: _View) -> _View:
    """The service worker may keep the newest copy of this page, for its owner alone (accounts/middleware.py)."""

    @functools.wraps(view)
    def marked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers["X-Tokenledger-Keep"] = "1"
        return response

    return cast("_View", marked)


class PrivateAnswersMiddleware:
    """What somebody with a session is shown is theirs: no cache keeps it, and "back" shows nothing after log-out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if settings.SESSION_COOKIE_NAME in request.COOKIES and "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "private, no-store"
        return response

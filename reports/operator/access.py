"""Who may open the operator's area: nobody learns from an answer that it is there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache

from accounts.models import User
from core.error_answers import refused
from core.errors import ApiError

_View = TypeVar("_View", bound=Callable[..., HttpResponseBase])


class OperatorRequest(HttpRequest):
    """A request of the operator's, as `operator_only` hands it to a view."""

    user: User
    id: str


def operator_only(view: _View) -> _View:
    """A page for operators of the installation; 404 for everybody else, the owner of an organization too."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not (isinstance(request.user, User) and request.user.is_operator):
            raise Http404("no such page")
        try:
            return view(request, *args, **kwargs)
        except ApiError as refusal:
            return refused(request, refusal)

    return cast("_View", never_cache(guarded))

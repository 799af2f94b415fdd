"""The base of every reading and managing endpoint: authenticate, open the organization's scope, answer in one shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import structlog
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import idempotency
from accounts.audit import Actor
from accounts.keys import KeyGrant
from accounts.models import Organization, Scope
from core.errors import ApiError, api_exception_handler, error_body
from core.tenancy import organization_scope

logger = structlog.get_logger(__name__)


class OrganizationAPIView(APIView):
    """A handler runs in one transaction inside the scope of the key's organization; an exception rolls it back.

    `required_scopes` is one scope, or a dict of scope by method (None opens the view to everybody). What streams
    after the handler has returned opens a scope of its own.
    """

    required_scopes: ClassVar[Scope | dict[str, Scope | None] | None]
    # What may follow the question mark of the address; None: the handler says so itself, of dimensions and tags.
    query_parameters: ClassVar[tuple[str, ...] | None] = ()
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    @property
    def grant(self) -> KeyGrant:
        grant = self.request.auth
        if not isinstance(grant, KeyGrant):
            raise TypeError("this view is open to everybody, so there is no grant")
        return grant

    @property
    def actor(self) -> Actor:
        return Actor.of_key(self.grant.prefix, self.request._request)  # noqa: SLF001  (REST framework has no public way to Django's request)

    @property
    def organization(self) -> Organization:
        organization: Organization = Organization.objects.get(pk=self.grant.organization_id)
        return organization

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # REST framework's own dispatch answers exceptions inside the handler's transaction, which would commit it.
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            self.initial(self.request, *args, **kwargs)
            self._refuse_unknown_parameters()
            response: HttpResponseBase = self._run(self._handler(), *args, **kwargs)
        except Exception as error:  # noqa: BLE001  (the contract: never an HTML error to a program)
            response = self.handle_exception(error)
        self.response = self.finalize_response(self.request, cast("Response", response), *args, **kwargs)
        # Caches on the way know `Authorization` as private, but not `x-api-key`.
        self.response.headers.setdefault("Cache-Control", "no-store")
        return self.response

    def _refuse_unknown_parameters(self) -> None:
        """A filter that is misspelled would be a longer answer, not the one that was asked for."""
        if self.query_parameters is None:
            return
        for name in self.request.query_params:
            if name not in self.query_parameters:
                raise ApiError(422, "unknown_parameter", f"There is no parameter {name!r} here.", param=name)

    def _handler(self) -> Callable[..., HttpResponseBase]:
        method = (self.request.method or "").lower()
        if method not in self.http_method_names:
            return self.http_method_not_allowed
        handler: Callable[..., HttpResponseBase] = getattr(self, method, self.http_method_not_allowed)
        return handler

    def _run(self, handler: Callable[..., HttpResponseBase], *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not isinstance(self.request.auth, KeyGrant):
            return handler(self.request, *args, **kwargs)
        with organization_scope(self.grant.organization_id):
            if self.request.method == "POST" and "idempotency-key" in self.request.headers:
                return idempotency.once(self.request, lambda: handler(self.request, *args, **kwargs))
            return handler(self.request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        request = self.request._request  # noqa: SLF001  (REST framework has no public way to Django's request)
        response = api_exception_handler(exc, {"view": self, "request": request})
        if response is None:
            logger.error("request_failed", path=request.path, exc_info=exc)
            got_request_exception.send(sender=type(self), request=request)
            body = error_body(
                500, "internal_error", "This is our mistake. It has been noted.", None, request_id(request)
            )
            response = Response(body, status=500)
        response.exception = True
        return response


def request_id(request: HttpRequest) -> str | None:
    return getattr(request, "id", None)


# ── What the API description says of every endpoint ──


class ErrorDetail(serializers.Serializer[Any]):
    message = serializers.CharField(help_text="For people.")
    type = serializers.CharField()
    code = serializers.CharField(help_text="For programs.")
    param = serializers.CharField(allow_null=True, help_text="The field or parameter at fault.")
    request_id = serializers.CharField(allow_null=True)


class Error(serializers.Serializer[Any]):
    error = ErrorDetail()


def answers(success: Any, status: int = 200, *, also: tuple[int, ...] = (), is_public: bool = False) -> dict[int, Any]:
    """`responses=` of extend_schema: the success, and the errors every endpoint shares plus `also`."""
    errors = {*also, 429} if is_public else {*also, 401, 403, 422, 503}
    return {status: success, **dict.fromkeys(sorted(errors), Error)}
